"""bound: the interval of true time, published every second and shipped every 10 s."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from truechimer.codes import BoundStatus, ServerVerdict
from truechimer.segment import Published
from truechimer_agent.collecting import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer.segment import SegmentWriter
    from truechimer_agent.bounds.bound import Bound
    from truechimer_agent.bounds.estimator import Estimator
    from truechimer_agent.hostclock import HostClock

NS = 1e9
PPB_PER_PPM = 1000
PPB = 1_000_000_000
LEAST_RATE_NS = 500_000_000
ROUNDS_PER_SAMPLE = 10
DEPARTURE_NS = 5_000
DEPARTURE_PPB = 8_000
"""W may depart from its last rate by so much, and so much a second, before a bound is shipped at once."""


class Bounds:
    """Asks the estimator once a second.

    Ships at once when W stepped or left its rate, a new epoch began or the status changed: between two
    bounds those who judge from afar go by the rate that W had.
    """

    interval_s = 1.0

    def __init__(
        self,
        clock: HostClock,
        emit: Callable[[Observation], None],
        estimator: Estimator,
        segment: SegmentWriter | None,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._estimator = estimator
        self._segment = segment
        self._rounds = 0
        self._said: tuple[BoundStatus, int] | None = None
        self._shipped: tuple[int, int] | None = None
        self._rate_ppb = 0

    async def open(self) -> None:
        """Publish anew whenever the clock is disturbed."""
        self._clock.on_step(self._disturbed)
        self._clock.on_epoch(self._disturbed)

    async def close(self) -> None:
        """Nothing to let go of: the segment stays, and ages."""

    async def collect(self) -> list[Observation]:
        """Publish; every tenth round, or when something changed, a sample too."""
        bound = self.publish()
        said = (bound.status, bound.reason)
        self._rounds += 1
        if said == self._said and self._rounds % ROUNDS_PER_SAMPLE and not self._departed():
            return []
        self._said = said
        return [self.observe(bound)]

    def _departed(self) -> bool:
        """Whether W − S is not where the last shipped bound and W's rate then would have it."""
        if self._shipped is None:
            return False
        reading = self._clock.clocks.read()
        at_ns, d_ns = self._shipped
        elapsed_ns = self._clock.steady().at(reading.raw_ns) - at_ns
        expected_ns = d_ns + self._rate_ppb * elapsed_ns // PPB
        departure_ns = abs(self._clock.wall_minus_steady_ns(reading) - expected_ns)
        return departure_ns > DEPARTURE_NS + reading.width_ns + DEPARTURE_PPB * elapsed_ns // PPB

    def _note(self, at_ns: int, d_ns: int) -> None:
        """Remember what is shipped, and W's rate since the last time."""
        if self._shipped is not None and at_ns - self._shipped[0] >= LEAST_RATE_NS:
            self._rate_ppb = (d_ns - self._shipped[1]) * PPB // (at_ns - self._shipped[0])
        self._shipped = (at_ns, d_ns)

    def _disturbed(self) -> None:
        """A step or a new epoch: what W did across it is no rate."""
        self._shipped = None
        self.say()

    def say(self) -> None:
        """Publish and ship at once."""
        self._emit(self.observe(self.publish()))

    def publish(self) -> Bound:
        """Write the present bound to the segment."""
        bound = self._estimator.at(self._clock.steady_now_ns())
        if self._segment is not None:
            self._segment.write(published(self._clock, bound))
        return bound

    def observe(self, bound: Bound) -> Observation:
        """The bound as an observation, of UTC − W at this instant."""
        reading = self._clock.clocks.read()
        steady = self._clock.steady()
        now_ns = steady.at(reading.raw_ns)
        self._note(now_ns, steady.wall_minus_steady_ns(reading))
        used = bound.count(ServerVerdict.SELECTED)
        in_use = sum(not source.is_dead for source in self._estimator.sources.values())
        fields: dict[str, float | int] = {
            "frequency_lower_ppm": bound.drift.lower_ppb / PPB_PER_PPM,
            "frequency_upper_ppm": bound.drift.upper_ppb / PPB_PER_PPM,
            "status": int(bound.status),
            "reason": int(bound.reason),
            "servers_used": used,
            "servers_rejected": max(0, in_use - used),
            "steady_seconds": now_ns / NS,
            "epoch": steady.epoch,
        }
        interval = bound.after(now_ns)
        if interval is not None:
            d_ns = steady.wall_minus_steady_ns(reading)
            half_ns = (reading.width_ns + 1) // 2
            lower = math.nextafter((interval.lower_ns - d_ns - half_ns) / NS, -math.inf)
            upper = math.nextafter((interval.upper_ns - d_ns + half_ns) / NS, math.inf)
            fields |= {
                "lower_seconds": lower,
                "upper_seconds": upper,
                "half_width_seconds": (upper - lower) / 2,
                "wall_minus_steady_seconds": d_ns / NS,
            }
        return Observation("truechimer_bound", now_ns, fields)


def published(clock: HostClock, bound: Bound) -> Published:
    """A bound as programs read it from the segment."""
    steady = clock.steady()
    return Published(
        as_of_steady_ns=bound.steady_ns,
        anchor_ns=steady.anchor_ns,
        epoch=steady.epoch,
        lower_ns=bound.interval.lower_ns if bound.interval else 0,
        upper_ns=bound.interval.upper_ns if bound.interval else 0,
        frequency_lower_ppb=bound.drift.lower_ppb,
        frequency_upper_ppb=bound.drift.upper_ppb,
        suspended_ns=clock.suspended_ns,
        status=bound.status,
        reason=bound.reason,
        leap=bound.leap,
    )
