"""wallclock: what W does against the steady clock, read four times a second; steps at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.codes import EventKind
from truechimer_agent.collecting import Observation
from truechimer_agent.timerfd import ClockSetWatch
from truechimer_agent.wallwatch import ClockEvent, WallWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_agent.hostclock import HostClock

CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
ROUNDS_PER_SUMMARY = 40
NS = 1e9


class Wallclock:
    """Reads the clocks every 0.25 s and whenever somebody sets W; a summary every 10 s."""

    interval_s = 0.25

    def __init__(self, clock: HostClock, emit: Callable[[Observation], None]) -> None:
        self._clock = clock
        self._emit = emit
        self._watch = WallWatch(clock.steady(), clock.clocks.read())
        self._rounds = 0
        self._clocksource = _clocksource()
        self._set_watch: ClockSetWatch | None = None
        clock.on_epoch(lambda: self._watch.begin_epoch(clock.steady()))

    async def open(self) -> None:
        """Ask the kernel to tell when W is set; without that, steps are still found by reading."""
        self._emit(self._observed(ClockEvent(EventKind.AGENT_START, 0, self._clock.steady_now_ns())))
        try:
            self._set_watch = ClockSetWatch()
        except OSError:
            return
        asyncio.get_running_loop().add_reader(self._set_watch.fileno(), self._wall_was_set)

    async def close(self) -> None:
        """Let go of the timer."""
        if self._set_watch is not None:
            asyncio.get_running_loop().remove_reader(self._set_watch.fileno())
            self._set_watch.close()
            self._set_watch = None

    async def collect(self) -> list[Observation]:
        """One reading; every tenth second a summary too."""
        self._read()
        self._rounds += 1
        if self._rounds % ROUNDS_PER_SUMMARY:
            return []
        self._watch_clocksource()
        return [self.summarise()]

    def summarise(self) -> Observation:
        """W since the last summary, as an observation."""
        summary = self._watch.summarise()
        fields: dict[str, float | int] = {
            "wall_minus_steady_seconds": summary.wall_minus_steady_ns / NS,
            "wall_minus_steady_seconds_min": summary.least_ns / NS,
            "wall_minus_steady_seconds_max": summary.greatest_ns / NS,
            "suspended_seconds": summary.suspended_ns / NS,
            "read_width_seconds": summary.width_ns / NS,
            "observed_seconds": summary.observed_ns / NS,
            "gap_seconds_max": summary.gap_ns / NS,
            "steady_seconds": summary.steady_ns / NS,
            "epoch": self._clock.steady().epoch,
        }
        if summary.wall_rate_ppm is not None and summary.mono_rate_ppm is not None:
            fields["wall_rate_ppm"] = summary.wall_rate_ppm
            fields["mono_rate_ppm"] = summary.mono_rate_ppm
        return Observation("truechimer_clock", summary.steady_ns, fields)

    def _wall_was_set(self) -> None:
        if self._set_watch is not None:
            self._set_watch.acknowledge()
        self._read()

    def _read(self) -> None:
        for event in self._watch.feed(self._clock.clocks.read()):
            self._emit(self._observed(event))
            if event.kind is EventKind.SUSPEND:
                self._clock.slept()
            elif event.kind in (EventKind.STEP, EventKind.LEAP):
                self._clock.stepped()

    def _watch_clocksource(self) -> None:
        name = _clocksource()
        if name != self._clocksource:
            self._clocksource = name
            event = ClockEvent(EventKind.CLOCKSOURCE, 0, self._clock.steady_now_ns())
            self._emit(self._observed(event))
            self._clock.begin_epoch()

    def _observed(self, event: ClockEvent) -> Observation:
        return Observation(
            "truechimer_clock_event",
            event.steady_ns,
            {
                "size_seconds": event.size_ns / NS,
                "steady_seconds": event.steady_ns / NS,
                "epoch": self._clock.steady().epoch,
            },
            {"kind": event.kind.value},
        )


def _clocksource() -> str | None:
    try:
        return CLOCKSOURCE.read_text().strip()
    except OSError:
        return None
