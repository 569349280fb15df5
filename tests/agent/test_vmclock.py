"""The VM clock's disruption marker: read whole, and a change of it begins a new epoch."""

import asyncio
import struct

import pytest
from agent.test_clockbound_collector import FakeClocks

from truechimer_agent.collectors.wallclock import Wallclock
from truechimer_agent.hostclock import HostClock
from truechimer_agent.vmclock import read_marker


def page(marker, *, magic=0x4B4C4356, version=1, sequence=4):
    return struct.pack("<IIHBBIQ", magic, 104, version, 1, 0, sequence, marker) + bytes(80)


def test_the_marker_is_read(tmp_path):
    (tmp_path / "vmclock0").write_bytes(page(2**64 - 2))
    assert read_marker(tmp_path / "vmclock0") == 2**64 - 2


@pytest.mark.parametrize(
    "raw", [b"", page(5)[:20], page(5, magic=1), page(5, version=2), page(5, sequence=3)]
)
def test_no_or_another_or_a_half_written_clock_has_none(tmp_path, raw):
    assert read_marker(tmp_path / "vmclock0") is None
    (tmp_path / "vmclock0").write_bytes(raw)
    assert read_marker(tmp_path / "vmclock0") is None


def test_a_change_begins_a_new_epoch_and_is_an_event(tmp_path):
    """Those who hear of the epoch find the new marker already."""
    path = tmp_path / "vmclock0"
    path.write_bytes(page(5))
    clock, told, markers = HostClock(FakeClocks(), None), [], []
    clock.on_epoch(lambda: markers.append(clock.disruption_marker))
    wallclock = Wallclock(clock, told.append, path)
    asyncio.run(wallclock.collect())
    assert (clock.disruption_marker, told, markers) == (5, [], [])
    path.write_bytes(page(9))
    epoch = clock.steady().epoch
    asyncio.run(wallclock.collect())
    assert markers == [9]
    assert clock.steady().epoch == epoch + 1
    assert [event.tags["kind"] for event in told] == ["vm_restore"]
    asyncio.run(wallclock.collect())
    assert clock.steady().epoch == epoch + 1
