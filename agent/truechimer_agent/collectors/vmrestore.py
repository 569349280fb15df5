"""vmrestore: restores and migrations of this virtual machine, as the hypervisor tells of them.

Across these no clock of the guest can be trusted, and none shows it: a new epoch begins at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from truechimer.codes import EventKind
from truechimer.errors import DecodeError
from truechimer_agent.collecting import CollectFailure, Lacking, Observation
from truechimer_agent.virtual import vmclock, vmgenid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from truechimer_agent.hostclock import HostClock

NS = 1e9


def is_told(device: Path = vmclock.DEVICE) -> bool:
    """Whether a hypervisor tells this host anything."""
    return device.exists() or vmgenid.is_present()


class VmRestore:
    """Reads VMClock's disruption marker four times a second, and listens to the kernel's uevents."""

    interval_s = 0.25

    def __init__(
        self,
        clock: HostClock,
        emit: Callable[[Observation], None],
        device: Path = vmclock.DEVICE,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._device = device
        self._vmclock: vmclock.VmClock | None = None
        self._uevents: vmgenid.UeventSocket | None = None

    async def open(self) -> None:
        """Open what there is. Raises Lacking when nothing of it can be had."""
        problems = []
        try:
            self._vmclock = vmclock.VmClock(self._device)
            self._note(self._vmclock.marker())
        except FileNotFoundError:
            pass
        except (OSError, DecodeError) as error:
            problems.append(f"{self._device}: {error}")
        try:
            self._uevents = vmgenid.UeventSocket()
        except OSError as error:
            problems.append(f"the kernel's uevents: {error.strerror}")
        else:
            asyncio.get_running_loop().add_reader(self._uevents.fileno(), self._heard)
        if self._vmclock is None and self._uevents is None:
            raise Lacking(
                f"restores of this virtual machine cannot be seen: {'; '.join(problems)}",
                hint="allow the agent AF_NETLINK sockets (RestrictAddressFamilies), or to read /dev/vmclock0",
            )

    async def collect(self) -> list[Observation]:
        """Compare the marker with the last one."""
        if self._vmclock is None:
            return []
        try:
            marker = self._vmclock.marker()
        except (OSError, DecodeError) as error:
            raise CollectFailure(f"reading {self._device}: {error}") from error
        if self._note(marker):
            self._restored()
        return []

    def _note(self, marker: int | None) -> bool:
        """Keep the marker for those who publish it; whether it is another than before."""
        known = self._clock.disruption_marker
        if marker is not None:
            self._clock.disruption_marker = marker
        return marker is not None and known is not None and marker != known

    async def close(self) -> None:
        """Let go of both."""
        if self._uevents is not None:
            asyncio.get_running_loop().remove_reader(self._uevents.fileno())
            self._uevents.close()
            self._uevents = None
        if self._vmclock is not None:
            self._vmclock.close()
            self._vmclock = None

    def _heard(self) -> None:
        if self._uevents is not None and any(vmgenid.is_restore(each) for each in self._uevents.take()):
            self._restored()

    def _restored(self) -> None:
        """By how much UTC - S jumped nobody knows yet: the event's size is 0."""
        steady_ns = self._clock.steady_now_ns()
        self._clock.restored_mono_ns = self._clock.clocks.read().mono_ns
        fields = {
            "size_seconds": 0.0,
            "steady_seconds": steady_ns / NS,
            "epoch": self._clock.steady().epoch,
        }
        kind = {"kind": EventKind.VM_RESTORE.value}
        self._emit(Observation("truechimer_clock_event", steady_ns, fields, kind))
        self._clock.begin_epoch()
