"""The points of 10 s: what was seen of a source since the last one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.collecting import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.processes.cgroups import CgroupGrowth
    from truechimer_agent.processes.halts import Halt
    from truechimer_agent.processes.runtimes import Polled, Stop
    from truechimer_agent.processes.tasks import Growth

NS = 1e9


@dataclass(slots=True)
class Exposure:
    """How long was really watched, in how many looks."""

    observed_ns: int = 0
    looks: int = 0

    def add(self, span_ns: int) -> None:
        """One look that ends a watched stretch."""
        self.observed_ns += span_ns
        self.looks += 1

    def fields(self) -> dict[str, float | int]:
        """``observed_seconds``, and ``interval_seconds`` if anything was looked at."""
        said: dict[str, float | int] = {"observed_seconds": self.observed_ns / NS}
        if self.looks:
            said["interval_seconds"] = self.observed_ns / self.looks / NS
        return said


class KernelWindow:
    """What the kernel told of one source's processes."""

    def __init__(self) -> None:
        self.exposure = Exposure()
        self.started = 0
        self.ended = 0
        self._standing_ns: dict[str, int] = {}
        self._run_ns = 0
        self._delay_ns = 0
        self._delay_most_ns = 0
        self._major_faults = 0
        self._io_wait_ns: int | None = None
        self._throttled_ns: int | None = None
        self._most_ns = 0
        self._most_upper_ns = 0
        self._count = 0
        self._total_ns = 0

    def add_process(self, growth: Growth) -> None:
        """One process between two looks."""
        self._io_wait_ns = _plus(self._io_wait_ns, growth.io_wait_ns)
        if growth.is_quiet:
            return
        self._run_ns += growth.run_ns
        self._delay_ns += growth.delay_ns
        self._delay_most_ns = max(self._delay_most_ns, growth.wait_ns)
        self._major_faults += growth.major_faults
        self._longest(growth.wait_ns // max(1, growth.wait_slices), growth.wait_ns)
        self._longest(0, growth.io_wait_most_ns)

    def add_cgroup(self, growth: CgroupGrowth) -> None:
        """One cgroup between two looks."""
        self._throttled_ns = _plus(self._throttled_ns, growth.throttled_ns)

    def add_standing(self, cause: str, span_ns: int) -> None:
        """A process was ``cause`` for the time between two looks."""
        self._standing_ns[cause] = self._standing_ns.get(cause, 0) + span_ns

    def add_halt(self, halt: Halt) -> None:
        """One pause."""
        self._count += halt.pauses
        self._total_ns += halt.duration_ns
        self._longest(halt.longest_ns, halt.duration_ns)

    def observations(
        self, tags: Mapping[str, str], now_ns: int, *, processes: int, tasks: int, threshold_ns: int
    ) -> list[Observation]:
        """``truechimer_process`` and ``truechimer_pause_window``."""
        exposure = self.exposure.fields()
        process: dict[str, float | int] = {
            **exposure,
            "processes": processes,
            "tasks": tasks,
            "started": self.started,
            "ended": self.ended,
        }
        if self.exposure.looks:
            process |= self._sums()
        window: dict[str, float | int] = {
            **exposure,
            "count": self._count,
            "total_seconds": self._total_ns / NS,
            "max_seconds": self._most_ns / NS,
            "max_upper_seconds": self._most_upper_ns / NS,
            "threshold_seconds": threshold_ns / NS,
        }
        return [
            Observation("truechimer_process", now_ns, process, tags),
            Observation("truechimer_pause_window", now_ns, window, tags),
        ]

    def _sums(self) -> dict[str, float | int]:
        sums: dict[str, float | int] = {
            "run_seconds": self._run_ns / NS,
            "run_delay_seconds": self._delay_ns / NS,
            "run_delay_seconds_max": self._delay_most_ns / NS,
            "major_faults": self._major_faults,
            "stopped_seconds": self._standing_ns.get("stopped", 0) / NS,
            "frozen_seconds": self._standing_ns.get("frozen", 0) / NS,
        }
        for name, value in (("io_wait", self._io_wait_ns), ("throttled", self._throttled_ns)):
            if value is not None:
                sums[f"{name}_seconds"] = value / NS
        return sums

    def _longest(self, least_ns: int, most_ns: int) -> None:
        self._most_ns = max(self._most_ns, least_ns)
        self._most_upper_ns = max(self._most_upper_ns, most_ns)


def _plus(total: int | None, value: int | None) -> int | None:
    """The sum of what was told."""
    return total if value is None else (total or 0) + value


class RuntimeWindow:
    """What the runtimes of one source's processes told: every stop counts, however short."""

    def __init__(self) -> None:
        self.exposure = Exposure()
        self._count = 0
        self._total_ns = 0
        self._sync_ns = 0
        self._longest_ns = 0
        self._longest_upper_ns = 0

    def add(self, polled: Polled) -> None:
        """One poll of one process."""
        self._count += polled.count
        self._total_ns += polled.total_ns
        self._sync_ns += polled.sync_ns
        self._longest_ns = max(self._longest_ns, polled.longest_ns)
        self._longest_upper_ns = max(self._longest_upper_ns, polled.longest_ns, polled.longest_upper_ns)

    def observation(self, tags: Mapping[str, str], now_ns: int) -> Observation:
        """``truechimer_pause_window``."""
        fields: dict[str, float | int] = {
            **self.exposure.fields(),
            "count": self._count,
            "total_seconds": self._total_ns / NS,
            "sync_seconds": self._sync_ns / NS,
            "max_seconds": self._longest_ns / NS,
            "max_upper_seconds": self._longest_upper_ns / NS,
            "threshold_seconds": 0.0,
        }
        return Observation("truechimer_pause_window", now_ns, fields, tags)


def pause_of_halt(halt: Halt, tags: Mapping[str, str], epoch: int) -> Observation:
    """``truechimer_pause`` of what the kernel told."""
    fields: dict[str, float | int] = {
        "duration_seconds": halt.duration_ns / NS,
        "interval_seconds": halt.interval_ns / NS,
        "confidence_ratio": halt.confidence,
        "steady_seconds": halt.start_ns / NS,
        "epoch": epoch,
    }
    evidence = {
        "run_delay_seconds": halt.run_delay_ns,
        "throttled_seconds": halt.throttled_ns,
        "io_wait_seconds": halt.io_wait_ns,
        "frozen_seconds": halt.frozen_ns,
        "memory_stall_seconds": halt.memory_stall_ns,
        "io_stall_seconds": halt.io_stall_ns,
    }
    fields |= {name: value / NS for name, value in evidence.items() if value is not None}
    if halt.major_faults is not None:
        fields["major_faults"] = halt.major_faults
    if halt.pauses > 1:
        fields["pauses"] = halt.pauses
    return Observation("truechimer_pause", halt.start_ns, fields, {**tags, "cause": halt.cause.value})


def pause_of_stop(stop: Stop, tags: Mapping[str, str], epoch: int) -> Observation:
    """``truechimer_pause`` of what a runtime told."""
    fields: dict[str, float | int] = {
        "duration_seconds": stop.duration_ns / NS,
        "confidence_ratio": float(stop.confidence),
        "steady_seconds": stop.start_steady_ns / NS,
        "epoch": epoch,
    }
    if stop.sync_ns is not None:
        fields["sync_seconds"] = stop.sync_ns / NS
    if stop.count > 1:
        fields["pauses"] = stop.count
    return Observation("truechimer_pause", stop.start_steady_ns, fields, {**tags, "cause": stop.cause.value})
