"""Restores of a virtual machine, by the bytes that a hypervisor and the kernel give."""

import asyncio
import os
import struct
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer.readings import SystemClocks
from truechimer_agent.collectors.vmrestore import VmRestore
from truechimer_agent.hostclock import HostClock
from truechimer_agent.virtual import vmclock, vmgenid


def page(marker, *, sequence=2, magic=vmclock.MAGIC, version=1):
    return struct.pack("<IIHBBIQ", magic, 4096, version, 1, 0, sequence, marker) + bytes(80)


def test_the_marker_is_read_and_a_page_being_written_is_none():
    """An odd sequence: try again."""
    assert vmclock.parse_marker(page(7)) == 7
    assert vmclock.parse_marker(page(7, sequence=3)) is None


@pytest.mark.parametrize("bad", [b"", page(1)[:20], page(1, magic=1), page(1, version=2)])
def test_what_is_no_vmclock_page_is_refused(bad):
    """Too short, foreign, of another version."""
    with pytest.raises(DecodeError):
        vmclock.parse_marker(bad)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_marker_or_a_decode_error(data):
    """Nothing else comes out."""
    try:
        marker = vmclock.parse_marker(data)
    except DecodeError:
        return
    assert marker is None or 0 <= marker < 2**64


@given(st.binary(max_size=300))
def test_any_message_is_a_restore_or_not(data):
    """Only a whole field of the kernel's counts, never the path."""
    assert vmgenid.is_restore(b"change@/x\0" + data + b"\0NEW_VMGENID=1\0SEQNUM=2")
    assert not vmgenid.is_restore(b"change@/NEW_VMGENID=1\0" + data.replace(b"NEW_VMGENID=1", b""))


def test_a_changed_marker_begins_a_new_epoch_and_is_an_event(tmp_path):
    """Once per change; a page that is being written changes nothing."""
    device = tmp_path / "vmclock0"
    device.write_bytes(page(1))
    clock, seen = HostClock(SystemClocks(), None), []
    epoch = clock.steady().epoch
    collector = VmRestore(clock, seen.append, device)

    async def look():
        await collector.open()
        try:
            for content in (page(1), page(2, sequence=3), page(2), page(2)):
                device.write_bytes(content)
                await collector.collect()
        finally:
            await collector.close()

    asyncio.run(look())
    assert [observation.tags for observation in seen] == [{"kind": "vm_restore"}]
    assert clock.steady().epoch == epoch + 1


def test_the_kernels_own_uevents_arrive_and_others_are_not_believed():
    """A synthetic uevent of a real device, as udevadm trigger makes them; root only."""
    device = Path("/sys/devices/virtual/mem/null/uevent")
    if not os.access(device, os.W_OK):
        pytest.skip("needs root, to trigger a uevent")
    name = f"T{uuid.uuid4().hex[:12].upper()}"
    listening = vmgenid.UeventSocket()
    try:
        forger = vmgenid.UeventSocket()
        forger._socket.sendto(b"change@/x\0NEW_VMGENID=1\0", (0, 1))
        forger.close()
        device.write_text(f"change {uuid.uuid4()} {name}=1")
        messages = []
        for _ in range(100):
            messages += listening.take()
            if any(name.encode() in message for message in messages):
                break
            os.sched_yield()
    finally:
        listening.close()
    assert any(name.encode() in message for message in messages)
    assert not any(vmgenid.is_restore(message) for message in messages)
