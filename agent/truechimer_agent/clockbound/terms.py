"""What can be promised of W to ClockBound's clients, from readings and the bound: pure arithmetic.

A client's interval is W ± (bound + drift · age). Its W is steered by somebody else between publications,
so the drift is that of W against UTC, not that of the oscillator: d(UTC − W)/dt lies between the
oscillator's bounds minus W's rate against RAW.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import BoundStatus
from truechimer_agent.bounds.intervals import PPB
from truechimer_agent.clockbound.layout import DRIFT_LIMIT_PPB, ErrorBound, Status

if TYPE_CHECKING:
    from truechimer.readings import Reading, SteadyClock
    from truechimer_agent.bounds.bound import Bound
    from truechimer_agent.bounds.intervals import Drift

VALID_NS = 5_000_000_000
"""How long after as_of a client trusts the status; void_after is then, too."""
WINDOW_NS = 8_000_000_000
LEAST_SPAN_NS = 150_000_000
MARGIN_PPB = 5_000
"""W's rate may change by so much more than it did in the window, before it is published anew."""
NOISY_PPB = 20_000
PATIENCE_NS = 2_000_000_000
LATE_TICKS = 10
"""CLOCK_MONOTONIC_COARSE lags by up to a tick, and by more where the tick itself comes late (a busy vCPU)."""
STEP_NS = 10_000
NO_BOUND_NS = 365 * 86_400 * 1_000_000_000
"""Published when there is none: whoever overlooks the status is not misled either."""
_FASTEST = 1.101
_STATUS = {
    BoundStatus.UNKNOWN: Status.UNKNOWN,
    BoundStatus.SYNCHRONIZED: Status.SYNCHRONIZED,
    BoundStatus.HOLDOVER: Status.FREE_RUNNING,
    BoundStatus.DISRUPTED: Status.DISRUPTED,
}


@dataclass(frozen=True, slots=True)
class Rates:
    """W's rate against RAW lay between these, in ppb."""

    lower_ppb: int
    upper_ppb: int


class WallRate:
    """W's rate against RAW over the last seconds, from readings in order; steps are no rate."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._known: deque[tuple[int, Rates]] = deque()

    def feed(self, reading: Reading) -> bool:
        """Take a reading; whether W was stepped, or the host slept, since the last one."""
        last = self._last
        if last is None or reading.raw_ns < last.raw_ns:
            self._last = reading
            return False
        # The other clocks were read within half a width of RAW, and run by at most a tenth faster.
        noise_ns = math.ceil((reading.width_ns + last.width_ns) * _FASTEST)
        stepped_ns = (reading.wall_ns - reading.boot_ns) - (last.wall_ns - last.boot_ns)
        slept_ns = reading.suspended_ns - last.suspended_ns
        if max(abs(stepped_ns), abs(slept_ns)) > STEP_NS + noise_ns:
            self._last = reading
            return True
        span_ns = reading.raw_ns - last.raw_ns
        is_noisy = noise_ns * PPB > NOISY_PPB * span_ns
        if span_ns < LEAST_SPAN_NS or (is_noisy and span_ns < PATIENCE_NS):
            return False
        moved_ns = (reading.wall_ns - reading.raw_ns) - (last.wall_ns - last.raw_ns)
        rates = Rates((moved_ns - noise_ns) * PPB // span_ns, -(-(moved_ns + noise_ns) * PPB // span_ns))
        self._known.append((reading.raw_ns, rates))
        while self._known[0][0] < reading.raw_ns - WINDOW_NS:
            self._known.popleft()
        self._last = reading
        return False

    def hull(self, raw_ns: int) -> Rates | None:
        """Between what it lay in the window before RAW = ``raw_ns``; None when nothing is known."""
        recent = [rates for at_ns, rates in self._known if at_ns >= raw_ns - WINDOW_NS]
        if not recent:
            return None
        return Rates(min(one.lower_ppb for one in recent), max(one.upper_ppb for one in recent))


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant: CLOCK_MONOTONIC_COARSE, read *before* the four clocks, so that no client finds it ahead."""

    coarse_ns: int
    reading: Reading
    tick_ns: int


def drift_ppb(rates: Rates, drift: Drift, slew_ppb: int = 0) -> int:
    """How fast |UTC − W| can grow, per second of MONOTONIC, when RAW errs within ``drift``.

    As fast as it does now, and what W's rate changed by lately. When ``slew_ppb`` is given: as fast as a W
    may that somebody slews by up to so much from any rate at which it keeps time, as long as it does.
    """
    now_ppb = max(abs(drift.upper_ppb - rates.lower_ppb), abs(drift.lower_ppb - rates.upper_ppb))
    slewed_ppb = slew_ppb + drift.upper_ppb - drift.lower_ppb + MARGIN_PPB
    if slew_ppb and now_ppb <= slewed_ppb:
        most_ppb = slewed_ppb
    else:
        most_ppb = now_ppb + rates.upper_ppb - rates.lower_ppb + MARGIN_PPB
    # Age is counted by MONOTONIC, which runs as W does: when that is slow, a second of it is longer.
    slowest_ppb = min(0, drift.lower_ppb - most_ppb)
    if slowest_ppb <= -PPB:
        return DRIFT_LIMIT_PPB
    return -(-most_ppb * PPB // (PPB + slowest_ppb))


def error_bound(
    bound: Bound,
    steady: SteadyClock,
    moment: Moment,
    rates: Rates | None,
    marker: int | None = None,
    slew_ppb: int = 0,
) -> ErrorBound:
    """What to publish at that moment."""
    reading = moment.reading
    as_of_ns, void_after_ns = moment.coarse_ns, moment.coarse_ns + VALID_NS
    interval = bound.after(steady.at(reading.raw_ns))
    growth_ppb = DRIFT_LIMIT_PPB if rates is None else drift_ppb(rates, bound.drift, slew_ppb)
    if interval is None or growth_ppb >= DRIFT_LIMIT_PPB:
        status = Status.DISRUPTED if bound.status is BoundStatus.DISRUPTED else Status.UNKNOWN
        return ErrorBound(as_of_ns, void_after_ns, NO_BOUND_NS, 0, status, marker)
    d_ns = steady.wall_minus_steady_ns(reading)
    half_ns = -(-reading.width_ns // 2)
    most_ns = max(abs(interval.lower_ns - d_ns - half_ns), abs(interval.upper_ns - d_ns + half_ns))
    late_ns = -(-growth_ppb * LATE_TICKS * moment.tick_ns // PPB)
    # One more: clients cut drift · age down to whole ns.
    bound_ns = most_ns + late_ns + 1
    return ErrorBound(as_of_ns, void_after_ns, bound_ns, growth_ppb, _STATUS[bound.status], marker)
