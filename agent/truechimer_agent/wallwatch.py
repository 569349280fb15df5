"""What the wall clock does, from readings alone: steps, fast slews, suspends, rates.

W and BOOTTIME share the kernel's multiplier, so W − BOOTTIME changes by steps alone; MONOTONIC − RAW
changes by slewing alone; BOOTTIME − MONOTONIC by sleeping alone (kernel/time/timekeeping.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import EventKind

if TYPE_CHECKING:
    from truechimer.readings import Reading, SteadyClock

STEP_NS = 10_000
"""Smaller steps are left out: they are within what a slew does in a millisecond."""
SUSPEND_NS = 10_000
"""No host sleeps and wakes so fast; what noise there is, the readings' widths tell."""
FASTEST_W = 1.101
"""The kernel's clocks against RAW at most: widths are in RAW."""
SLEW_PPM = 600.0
"""Past the 500 ppm that the kernel's frequency word allows, somebody slews on purpose."""
_SLEW_OVER_NS = 900_000_000
_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_LEAP_SEEN_NS = 10 * _SECOND_NS
"""How long after midnight the kernel's leap second is looked for: it is read four times a second."""


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """W changed by ``size_ns`` (of a suspend: the sleep's length) shortly before S = ``steady_ns``."""

    kind: EventKind
    size_ns: int
    steady_ns: int


@dataclass(frozen=True, slots=True)
class WallSummary:
    """W over an interval: W − S now with its extremes, and rates against RAW with steps left out.

    W was looked at from ``observed_ns`` ago on, never more than ``gap_ns`` apart; the extremes are bounds of
    what it was at those looks.
    """

    steady_ns: int
    wall_minus_steady_ns: int
    least_ns: int
    greatest_ns: int
    wall_rate_ppm: float | None
    mono_rate_ppm: float | None
    suspended_ns: int
    width_ns: int
    observed_ns: int
    gap_ns: int


class WallWatch:
    """Takes readings in order; says at once what happened between two of them.

    W − BOOTTIME and BOOTTIME − MONOTONIC stand still without events, so each reading is compared with the
    tightest one since the last event: a step that hides in one wide reading is found by the next.
    """

    def __init__(self, steady: SteadyClock, reading: Reading) -> None:
        self._last = self._reference = reading
        self._slew_from = reading
        self._slewed_ns = 0
        self._begin(steady, reading)

    def _begin(self, steady: SteadyClock, reading: Reading) -> None:
        self._steady = steady
        self._first = reading
        self._stepped_ns = 0
        self._gap_ns = 0
        self._least_ns, self._greatest_ns = _extremes(steady, reading)

    def feed(self, reading: Reading) -> list[ClockEvent]:
        """Compare a reading with the one before; what happened in between, suspends first."""
        self._gap_ns = max(self._gap_ns, reading.raw_ns - self._last.raw_ns)
        self._last, known = reading, self._reference
        noise_ns = round((reading.width_ns + known.width_ns) * FASTEST_W)
        events = []
        slept_ns = reading.suspended_ns - known.suspended_ns
        if abs(slept_ns) > SUSPEND_NS + noise_ns:
            events.append(self._event(EventKind.SUSPEND, slept_ns, reading))
            self._stepped_ns += slept_ns
        stepped_ns = (reading.wall_ns - reading.boot_ns) - (known.wall_ns - known.boot_ns)
        if abs(stepped_ns) > STEP_NS + noise_ns:
            kind = EventKind.LEAP if _is_leap(stepped_ns, noise_ns, reading) else EventKind.STEP
            events.append(self._event(kind, stepped_ns, reading))
            self._stepped_ns += stepped_ns
        if events or reading.width_ns < known.width_ns:
            self._reference = reading
        least_ns, greatest_ns = _extremes(self._steady, reading)
        self._least_ns = min(self._least_ns, least_ns)
        self._greatest_ns = max(self._greatest_ns, greatest_ns)
        return events + self._slews(reading)

    def _event(self, kind: EventKind, size_ns: int, reading: Reading) -> ClockEvent:
        return ClockEvent(kind, size_ns, self._steady.at(reading.raw_ns))

    def _slews(self, reading: Reading) -> list[ClockEvent]:
        elapsed_ns = reading.raw_ns - self._slew_from.raw_ns
        if elapsed_ns < _SLEW_OVER_NS:
            return []
        slewed_ns = _mono_minus_raw(reading) - _mono_minus_raw(self._slew_from)
        noise_ns = reading.width_ns + self._slew_from.width_ns
        self._slew_from = reading
        if abs(slewed_ns) - noise_ns > elapsed_ns * SLEW_PPM * 1e-6:
            self._slewed_ns += slewed_ns
            return []
        total_ns, self._slewed_ns = self._slewed_ns, 0
        return [self._event(EventKind.SLEW, total_ns, reading)] if total_ns else []

    def summarise(self) -> WallSummary:
        """W since the last summary; begins the next interval at the newest reading."""
        first, last = self._first, self._last
        elapsed_ns = last.raw_ns - first.raw_ns
        wall_rate = mono_rate = None
        if elapsed_ns > 0:
            d_ns = self._steady.wall_minus_steady_ns(last) - self._steady.wall_minus_steady_ns(first)
            wall_rate = (d_ns - self._stepped_ns) / elapsed_ns * 1e6
            mono_rate = (_mono_minus_raw(last) - _mono_minus_raw(first)) / elapsed_ns * 1e6
        summary = WallSummary(
            steady_ns=self._steady.at(last.raw_ns),
            wall_minus_steady_ns=self._steady.wall_minus_steady_ns(last),
            least_ns=self._least_ns,
            greatest_ns=self._greatest_ns,
            wall_rate_ppm=wall_rate,
            mono_rate_ppm=mono_rate,
            suspended_ns=last.suspended_ns,
            width_ns=last.width_ns,
            observed_ns=elapsed_ns,
            gap_ns=self._gap_ns,
        )
        self._begin(self._steady, last)
        return summary

    def begin_epoch(self, steady: SteadyClock) -> None:
        """Go on in another epoch of S from the newest reading."""
        self._begin(steady, self._last)


def _is_leap(stepped_ns: int, noise_ns: int, reading: Reading) -> bool:
    """Whether a step is the kernel's leap second: by one second, at the end of a UTC day.

    An inserted one sets W back from midnight, a deleted one forward to it (kernel/time/ntp.c).
    """
    if abs(abs(stepped_ns) - _SECOND_NS) > STEP_NS + noise_ns:
        return False
    midnight_ns = round(reading.wall_ns / _DAY_NS) * _DAY_NS
    earliest_ns = midnight_ns - _SECOND_NS if stepped_ns < 0 else midnight_ns
    return earliest_ns <= reading.wall_ns + noise_ns and reading.wall_ns < midnight_ns + _LEAP_SEEN_NS


def _extremes(steady: SteadyClock, reading: Reading) -> tuple[int, int]:
    """Bounds of W − S at a reading."""
    d_ns, half_ns = steady.wall_minus_steady_ns(reading), (reading.width_ns + 1) // 2
    return d_ns - half_ns, d_ns + half_ns


def _mono_minus_raw(reading: Reading) -> int:
    return reading.mono_ns - reading.raw_ns
