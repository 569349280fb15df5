"""agent: what the agent itself costs, and whether it keeps up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psutil

from truechimer_agent.collecting import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_agent.runner import Runner


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What waits and what was given up: ``oldest_s`` None when unknown (another boot's batches)."""

    waiting_bytes: int
    oldest_s: float | None
    samples_total: int
    dropped_total: int


class HasSteadyTime(Protocol):
    """Whoever knows S."""

    def steady_now_ns(self) -> int:
        """S now."""
        ...


class Agent:
    """Its own CPU, memory, lateness and spool every 10 s; each collector's tally too."""

    interval_s = 10.0

    def __init__(
        self, clock: HasSteadyTime, runner: Callable[[], Runner], outbox: Callable[[], OutboxState]
    ) -> None:
        self._clock = clock
        self._runner = runner
        self._outbox = outbox
        self._process = psutil.Process()
        self._cpu_s: dict[int, float] = {}

    async def open(self) -> None:
        """Nothing to acquire."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def collect(self) -> list[Observation]:
        """One point for the agent, one for each collector."""
        now_ns = self._clock.steady_now_ns()
        runner = self._runner()
        cpu_s, resident_bytes = self._cost()
        outbox = self._outbox()
        fields: dict[str, float | int] = {
            "cpu_seconds_total": cpu_s,
            "resident_bytes": resident_bytes,
            "spool_bytes": outbox.waiting_bytes,
            "samples_total": outbox.samples_total,
            "dropped_total": outbox.dropped_total,
            "late_seconds_max": runner.take_lateness_s(),
        }
        if outbox.oldest_s is not None:
            fields["spool_oldest_seconds"] = outbox.oldest_s
        tallies = [
            Observation(
                "truechimer_collector",
                now_ns,
                {"runs_total": tally.runs, "errors_total": tally.errors, "busy_seconds_total": tally.busy_s},
                {"collector": name},
            )
            for name, tally in runner.tallies.items()
        ]
        return [Observation("truechimer_agent", now_ns, fields), *tallies]

    def _cost(self) -> tuple[float, int]:
        """CPU seconds and resident bytes of this process and its children, ended ones' CPU included."""
        resident_bytes = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    resident_bytes += process.memory_info().rss
            except psutil.Error:
                continue
            self._cpu_s[process.pid] = times.user + times.system
        return sum(self._cpu_s.values()), resident_bytes
