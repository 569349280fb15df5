"""disk: how long write + fsync takes on the disks that matter, every [[disk]] interval_s."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.codes import FsyncOutcome
from truechimer.readings import monotonic_s
from truechimer_agent.collecting import CollectFailure, Observation
from truechimer_agent.disks.probefile import ProbeFile, name_of, write_and_sync
from truechimer_agent.disks.prober import Prober, Waited
from truechimer_agent.disks.reasons import attribute
from truechimer_agent.disks.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from truechimer.config.model import DiskConfig, PausesConfig
    from truechimer_agent.collecting import Host
    from truechimer_agent.disks.probefile import ProbeFailure
    from truechimer_agent.disks.prober import Probed
    from truechimer_agent.pauses.stalllog import StallLog

NS = 1e9
LOOK_S = 1.0
"""How often it is looked whether a probe hangs."""
HUNG_NS = 10**9
TROUBLE_NS = 10 * 10**9
METER_NS = 10**9 // 2
"""The stall meter tells of a stall within so long."""
WINDOW_S = 10.0
GRACE_S = 1.0
"""How long closing waits for probes in flight."""
HANGING_HINT = "look in dmesg for the disk, and whether the file system is frozen or its server is gone"

log = logging.getLogger("truechimer.disk")


@dataclass(slots=True, eq=False)
class _Disk:
    """One [[disk]]: its thread, its window, and what is known of the probe in flight."""

    config: DiskConfig
    label: str
    watch: Watch
    prober: Prober
    epoch: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: ProbeFailure | None = None
    device: int | None = None
    told_s: float = 0.0
    looks: int = 0
    looks_blocked: int = 0
    slow: list[tuple[Waited, int, bool]] = field(default_factory=list)
    """Slow probes, how long they took and whether they were seen blocked: until the meter has spoken."""


class Disks:
    """Probes every [[disk]] in a thread of its own; ``stalls`` tells when this host itself stood still."""

    interval_s = LOOK_S

    def __init__(
        self,
        host: Host,
        disks: Sequence[DiskConfig],
        node: str,
        pauses: PausesConfig,
        stalls: StallLog,
        sync: Callable[[int, bytes], None] = write_and_sync,
    ) -> None:
        self._host = host
        self._configs = tuple(disks)
        self._file_name = name_of(node)
        self._threshold_s = pauses.threshold_ms / 1e3
        self._stalls = stalls
        self._sync = sync
        self._disks: list[_Disk] = []
        self._window_s = 0.0

    async def open(self) -> None:
        """Start the threads. Nothing here touches a disk: it might not come back."""
        self._window_s = monotonic_s() + WINDOW_S
        self._disks = [self._disk(config) for config in self._configs]
        for disk in self._disks:
            disk.prober.start()

    def _disk(self, config: DiskConfig) -> _Disk:
        loop = asyncio.get_running_loop()
        clocks = self._host.clocks

        def tell(probed: Probed | None) -> None:
            # What comes back after the loop has ended has nobody to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take, disk, probed)

        file = ProbeFile(config.path, self._file_name, clocks.raw_ns, self._sync)
        prober = Prober(file, config.interval_s, clocks, tell)
        watch = Watch(round(self._threshold_s * NS))
        disk = _Disk(config, label_of(config.path), watch, prober, self._host.steady().epoch)
        return disk

    async def collect(self) -> list[Observation]:
        """Tell of probes that hang and of slow ones, and every 10 s the windows.

        Raises CollectFailure for what fails now, worded alike as long as it is the same.
        """
        now_s = monotonic_s()
        closes = now_s >= self._window_s
        if closes:
            self._window_s = now_s + WINDOW_S
        troubles: dict[str, str | None] = {}
        for disk in self._disks:
            hanging_ns = self._look(disk, now_s)
            self._tell_slow(disk, self._host.steady_now_ns() - METER_NS)
            if closes:
                self._close_window(disk)
            if hanging_ns > TROUBLE_NS:
                troubles[f"write + fsync in {disk.config.path} has hung for over 10 s"] = HANGING_HINT
            elif disk.ended.is_set():
                troubles[f"the probe of {disk.config.path} has ended by itself"] = "restart the agent"
            elif disk.failure is not None:
                troubles[str(disk.failure)] = disk.failure.hint
        if troubles:
            hints = dict.fromkeys(hint for hint in troubles.values() if hint)
            raise CollectFailure("; ".join(troubles), hint="; ".join(hints) or None)
        return []

    async def close(self) -> None:
        """End the threads; one that hangs is left behind, and how long it has hung so far is told."""
        for disk in self._disks:
            disk.prober.stop()
        ends = [asyncio.ensure_future(disk.ended.wait()) for disk in self._disks]
        if ends:
            _, hanging = await asyncio.wait(ends, timeout=GRACE_S)
            for end in hanging:
                end.cancel()
        disks, self._disks = self._disks, []
        for disk in disks:
            self._abandon(disk)
            self._tell_slow(disk, self._host.steady_now_ns())
            self._close_window(disk)

    def _take(self, disk: _Disk, probed: Probed | None) -> None:
        """One probe that came back, in the loop; None when there will be no more."""
        if probed is None:
            disk.ended.set()
            return
        waited = probed.waited
        began_ns, took_ns = self._steady_ns(waited.began_ns), waited.ended_ns - waited.began_ns
        blocked = 0 < disk.looks == disk.looks_blocked
        disk.looks = disk.looks_blocked = 0
        disk.failure = probed.failure
        fields: dict[str, float | int] = {"interval_seconds": disk.config.interval_s, "hidden": probed.hidden}
        epoch, disk.epoch = disk.epoch, self._host.steady().epoch
        if epoch != disk.epoch:
            # Nobody knows how long it took, nor what was before.
            disk.watch.failed()
            done = probed.written is not None
            self._emit(disk, began_ns, FsyncOutcome.DONE if done else FsyncOutcome.FAILED, fields)
            return
        if probed.written is not None:
            took_ns = probed.written.took_ns
            self._note_device(disk, probed.written.device)
        if probed.written is not None or took_ns > self._threshold_s * NS:
            fields["duration_seconds"] = took_ns / NS
            if disk.watch.done(began_ns, took_ns):
                disk.slow.append((waited, took_ns, blocked))
        if probed.written is not None:
            self._emit(disk, began_ns, FsyncOutcome.DONE, fields)
        else:
            disk.watch.failed()
            self._emit(disk, began_ns, FsyncOutcome.FAILED, fields)

    def _look(self, disk: _Disk, now_s: float) -> int:
        """How long a probe has been in flight (ns); told while it is over a second."""
        raw_ns, epoch = disk.prober.outstanding_since_ns, self._host.steady().epoch
        if raw_ns is None:
            disk.epoch = epoch
            return 0
        began_ns, now_ns = self._steady_ns(raw_ns), self._host.steady_now_ns()
        hanging_ns = now_ns - began_ns
        if hanging_ns < HUNG_NS:
            return 0
        disk.looks += 1
        disk.looks_blocked += disk.prober.is_blocked()
        fields: dict[str, float | int] = {"interval_seconds": disk.config.interval_s}
        if epoch == disk.epoch:  # else nobody knows for how long
            fields["duration_seconds"] = hanging_ns / NS
            disk.watch.waiting(began_ns, now_ns)
        if now_s >= disk.told_s:
            disk.told_s = now_s + max(LOOK_S, disk.config.interval_s) - LOOK_S / 2
            self._emit(disk, now_ns, FsyncOutcome.HUNG, fields)
        return hanging_ns

    def _abandon(self, disk: _Disk) -> None:
        """A probe that has not come back when the agent ends is a pause of at least so long."""
        raw_ns = disk.prober.outstanding_since_ns
        if raw_ns is None or self._look(disk, disk.told_s) == 0 or self._host.steady().epoch != disk.epoch:
            return
        now_ns = self._host.clocks.raw_ns()
        took_ns = now_ns - raw_ns
        if disk.watch.done(self._steady_ns(raw_ns), took_ns):
            blocked = disk.looks == disk.looks_blocked
            disk.slow.append((Waited(raw_ns, now_ns, None, 0), took_ns, blocked))

    def _tell_slow(self, disk: _Disk, until_ns: int) -> None:
        """Hand over the pauses that ended before ``until_ns`` (S): the stall meter has spoken of them."""
        waiting = disk.slow
        disk.slow = [one for one in waiting if self._steady_ns(one[0].ended_ns) > until_ns]
        for waited, took_ns, blocked in waiting[: len(waiting) - len(disk.slow)]:
            start_ns = self._steady_ns(waited.began_ns)
            cause, confidence = attribute(
                took_ns,
                run_delay_ns=waited.run_delay_ns or 0,
                others_ns=waited.others_ns,
                stalled_ns=self._stalls.stalled_ns(start_ns, self._steady_ns(waited.ended_ns)),
                blocked=blocked,
            )
            fields: dict[str, float | int] = {
                "duration_seconds": took_ns / NS,
                "interval_seconds": disk.config.interval_s,
                "confidence_ratio": confidence,
                "steady_seconds": start_ns / NS,
                "epoch": disk.epoch,
            }
            if waited.run_delay_ns is not None:
                fields["run_delay_seconds"] = waited.run_delay_ns / NS
            tags = {**_source(disk), "cause": cause.value}
            self._host.emit(Observation("truechimer_pause", start_ns, fields, tags))

    def _close_window(self, disk: _Disk) -> None:
        window = disk.watch.take()
        if window is None:
            return
        fields: dict[str, float | int] = {
            "observed_seconds": window.observed_ns / NS,
            "count": window.count,
            "total_seconds": window.total_ns / NS,
            "max_seconds": window.max_ns / NS,
            "threshold_seconds": self._threshold_s,
            "interval_seconds": disk.config.interval_s,
        }
        now_ns = self._host.steady_now_ns()
        self._host.emit(Observation("truechimer_pause_window", now_ns, fields, _source(disk)))

    def _emit(
        self, disk: _Disk, steady_ns: int, outcome: FsyncOutcome, fields: Mapping[str, float | int]
    ) -> None:
        point = {"outcome": int(outcome), **fields}
        self._host.emit(Observation("truechimer_fsync", steady_ns, point, {"disk": disk.label}))

    def _note_device(self, disk: _Disk, device: int) -> None:
        if disk.device not in (None, device):
            log.warning("another file system is there now: path=%s", disk.config.path)
        disk.device = device

    def _steady_ns(self, raw_ns: int) -> int:
        return self._host.steady().at(raw_ns)


def label_of(path: Path) -> str:
    """The tag of a path: what cannot be in a tag is a question mark."""
    return "".join(c if c.isprintable() else "?" for c in str(path))


def _source(disk: _Disk) -> dict[str, str]:
    return {"source": f"disk:{disk.label}", "runtime": "disk"}
