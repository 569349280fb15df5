"""A simulated host: true UTC, an oscillator that wanders, a wall clock that is steered, sleeps and pauses.

Two times, both in ns since the scenario's beginning: *true* time never stops; *awake* time is what passes
for the host's programs, and stands still while the host sleeps or its virtual machine is paused. Every
clock is a function of awake time, so nothing has to be stepped through.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Leap
from truechimer.readings import Reading

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

NS = 1_000_000_000
DAY_NS = 86_400 * NS
PPB = 1_000_000_000
_LABEL_MOVES = {Leap.NONE: 0, Leap.INSERT: -NS, Leap.DELETE: NS}


@dataclass(frozen=True, slots=True)
class Wave:
    """A sinusoidal part of the oscillator's frequency error."""

    amplitude_ppm: float
    period_ns: float
    phase: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The host's clocks stand still for ``length_ns`` at an awake instant.

    ``traced``: a sleep, of which BOOTTIME and W tell; otherwise a pause that no local clock shows.
    """

    at_ns: int
    length_ns: int
    traced: bool


@dataclass(frozen=True, slots=True)
class Steering:
    """From an awake instant on MONOTONIC runs ``rate_ppb`` off RAW; W is stepped by ``step_ns`` there."""

    at_ns: int
    rate_ppb: int
    step_ns: int = 0


@dataclass(frozen=True, slots=True)
class Month:
    """UTC's label: ``start_ns`` at true time 0; the month ends at true time ``ends_at_ns`` with ``leap``.

    An inserted second repeats the label's last one, as Linux does; a deleted one leaves it out.
    """

    start_ns: int
    ends_at_ns: int
    leap: Leap

    def utc_ns(self, true_ns: int) -> int:
        """The label at a true time."""
        at_ns = self.ends_at_ns - (NS if self.leap is Leap.DELETE else 0)
        return self.start_ns + true_ns + (_LABEL_MOVES[self.leap] if true_ns >= at_ns else 0)


@dataclass(frozen=True, slots=True)
class _Segment:
    """MONOTONIC and W − BOOTTIME from an awake instant on."""

    raw_ns: int
    mono_ns: int
    rate_ppb: int
    wall_minus_boot_ns: int


class Host:
    """Every clock of the host at any awake instant."""

    def __init__(
        self,
        month: Month,
        *,
        frequency_ppm: float,
        waves: Sequence[Wave],
        stops: Sequence[Stop],
        steerings: Sequence[Steering],
        wall_error_ns: int,
        raw_start_ns: int,
    ) -> None:
        self.month = month
        self._frequency = frequency_ppm * 1e-6
        self._waves = [
            (wave.amplitude_ppm * 1e-6 * wave.period_ns / math.tau, math.tau / wave.period_ns, wave.phase)
            for wave in waves
        ]
        self._raw_start_ns = raw_start_ns
        self.stops = sorted(stops, key=lambda stop: stop.at_ns)
        self._steered_at: list[int] = []
        self._segments: list[_Segment] = []
        self._steer(steerings, month.start_ns + wall_error_ns)

    def _steer(self, steerings: Sequence[Steering], wall_ns: int) -> None:
        raw_ns = self._raw_start_ns
        mono_ns = raw_ns - 5 * NS
        last = _Segment(raw_ns, mono_ns, 0, wall_ns - mono_ns)
        self._steered_at.append(-(2**62))
        self._segments.append(last)
        for steering in sorted(steerings, key=lambda each: each.at_ns):
            raw_ns = self.raw_ns(steering.at_ns)
            last = _Segment(
                raw_ns,
                _mono_ns(last, raw_ns),
                steering.rate_ppb,
                last.wall_minus_boot_ns + steering.step_ns,
            )
            self._steered_at.append(steering.at_ns)
            self._segments.append(last)

    def true_ns(self, awake_ns: int) -> int:
        """True time at an awake instant; at a stop's own instant, after it."""
        return awake_ns + sum(stop.length_ns for stop in self.stops if stop.at_ns <= awake_ns)

    def awake_ns(self, true_ns: int) -> int:
        """The awake instant at which what happens at a true time is noticed."""
        passed_ns = 0
        for stop in self.stops:
            if true_ns - passed_ns <= stop.at_ns:
                break
            passed_ns = min(passed_ns + stop.length_ns, true_ns - stop.at_ns)
        return true_ns - passed_ns

    def stopped_between(self, first_ns: int, last_ns: int) -> bool:
        """Whether the host stood still between two awake instants."""
        return any(first_ns < stop.at_ns <= last_ns for stop in self.stops)

    def raw_ns(self, awake_ns: int) -> int:
        """CLOCK_MONOTONIC_RAW."""
        gained = self._frequency * awake_ns
        for scale_ns, turn, phase in self._waves:
            gained += scale_ns * (math.cos(phase) - math.cos(turn * awake_ns + phase))
        return self._raw_start_ns + awake_ns + round(gained)

    def utc_ns(self, awake_ns: int) -> int:
        """True UTC."""
        return self.month.utc_ns(self.true_ns(awake_ns))

    def wall_ns(self, awake_ns: int) -> int:
        """CLOCK_REALTIME."""
        raw_ns = self.raw_ns(awake_ns)
        segment = self._segment(awake_ns)
        return _mono_ns(segment, raw_ns) + self._slept_ns(awake_ns) + segment.wall_minus_boot_ns

    def reading(self, awake_ns: int, rng: random.Random) -> Reading:
        """All clocks in one bracket, mostly tight; each is read somewhere inside of it."""
        width_ns = 200 + int(rng.expovariate(1 / 400.0))
        if rng.random() < 0.01:
            width_ns += int(rng.random() * 200_000)
        raw_ns = self.raw_ns(awake_ns)
        segment = self._segment(awake_ns)
        rate = 1 + segment.rate_ppb / PPB
        first, second, third = sorted((rng.random() - 0.5) * width_ns * rate for _ in range(3))
        mono_ns = _mono_ns(segment, raw_ns)
        boot_ns = mono_ns + self._slept_ns(awake_ns)
        wall_ns = boot_ns + segment.wall_minus_boot_ns
        return Reading(wall_ns + int(first), raw_ns, mono_ns + int(second), boot_ns + int(third), width_ns)

    def _segment(self, awake_ns: int) -> _Segment:
        return self._segments[bisect_right(self._steered_at, awake_ns) - 1]

    def _slept_ns(self, awake_ns: int) -> int:
        return sum(stop.length_ns for stop in self.stops if stop.traced and stop.at_ns <= awake_ns)


def _mono_ns(segment: _Segment, raw_ns: int) -> int:
    elapsed_ns = raw_ns - segment.raw_ns
    return segment.mono_ns + elapsed_ns + elapsed_ns * segment.rate_ppb // PPB


class SimulatedClocks:
    """The host's clocks as the agent reads them, at the awake instant that the engine sets."""

    def __init__(self, host: Host, rng: random.Random) -> None:
        self._host = host
        self._rng = rng
        self.awake_ns = 0

    def read(self) -> Reading:
        """All clocks."""
        return self._host.reading(self.awake_ns, self._rng)

    def raw_ns(self) -> int:
        """CLOCK_MONOTONIC_RAW alone."""
        return self._host.raw_ns(self.awake_ns)
