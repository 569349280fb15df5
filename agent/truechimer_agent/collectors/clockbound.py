"""clockbound: the bound of UTC − W in ClockBound's shared memory, for its clients (docs/clockbound.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.readings import coarse_ns, coarse_tick_ns, monotonic_s
from truechimer_agent.clockbound.layout import V1, V2
from truechimer_agent.clockbound.place import Place
from truechimer_agent.clockbound.terms import Moment, WallRate, drift_ppb, error_bound
from truechimer_agent.collecting import CollectFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer.config.model import ClockBoundConfig
    from truechimer_agent.bounds.estimator import Estimator
    from truechimer_agent.bounds.intervals import Drift
    from truechimer_agent.clockbound.layout import ErrorBound
    from truechimer_agent.collecting import Observation
    from truechimer_agent.hostclock import HostClock

ROUNDS_PER_WRITE = 4
PPB_PER_PPM = 1000


class ClockBound:
    """Reads W's rate four times a second, publishes once, and at once when W was stepped or left its rate."""

    interval_s = 0.25

    def __init__(
        self,
        clock: HostClock,
        estimator: Estimator,
        config: ClockBoundConfig,
        coarse: Callable[[], int] = coarse_ns,
    ) -> None:
        self._clock = clock
        self._estimator = estimator
        self._coarse = coarse
        self._tick_ns = coarse_tick_ns()
        self._slew_ppb = round(config.max_slew_ppm * PPB_PER_PPM)
        self._rates = WallRate()
        self._drift: Drift | None = None
        self._said_ppb = 0
        self._failure: CollectFailure | None = None
        self._rounds = 0
        self._places = [Place(config.segment, V2)]
        if config.segment_v1 is not None:
            self._places.append(Place(config.segment_v1, V1))
        clock.on_step(self.publish)
        clock.on_epoch(self._begin_epoch)

    async def open(self) -> None:
        """Nothing to acquire: the paths are taken when it is known that nobody else writes them."""

    async def close(self) -> None:
        """Let go of the paths: what they say is void soon."""
        for place in self._places:
            place.close()

    async def collect(self) -> list[Observation]:
        """A reading of W's rate; every fourth round, or when it left what was published, publish."""
        reading = self._clock.clocks.read()
        was_stepped = self._rates.feed(reading)
        due = self._rounds % ROUNDS_PER_WRITE == 0
        self._rounds += 1
        if due or was_stepped or self._is_faster_than_said(reading.raw_ns):
            self.publish()
        if self._failure is not None:
            raise self._failure  # every round, so that it is told once and its end once
        return []

    def _begin_epoch(self) -> None:
        """RAW cannot be trusted across what happened, so nothing is known of W's rate against it."""
        self._rates = WallRate()
        self.publish()

    def _is_faster_than_said(self, raw_ns: int) -> bool:
        rates, drift = self._rates.hull(raw_ns), self._drift
        if rates is None or drift is None:
            return False
        return drift_ppb(rates, drift, self._slew_ppb) > self._said_ppb

    def publish(self) -> ErrorBound:
        """Write what holds now to every path that is ours; of the others the next round tells."""
        bound = self.present()
        self._said_ppb = bound.max_drift_ppb
        now_s = monotonic_s()
        failures = []
        for place in self._places:
            try:
                place.put(bound, now_s)
            except CollectFailure as failure:
                failures.append(failure)
        self._failure = (
            CollectFailure("; ".join(map(str, failures)), hint=failures[0].hint) if failures else None
        )
        return bound

    def present(self) -> ErrorBound:
        """What holds now; CLOCK_MONOTONIC_COARSE is read before W."""
        bound = self._estimator.at(self._clock.steady_now_ns())
        self._drift = bound.drift
        as_of_ns = self._coarse()
        reading = self._clock.clocks.read()
        return error_bound(
            bound,
            self._clock.steady(),
            Moment(as_of_ns, reading, self._tick_ns),
            self._rates.hull(reading.raw_ns),
            self._clock.disruption_marker,
            self._slew_ppb,
        )
