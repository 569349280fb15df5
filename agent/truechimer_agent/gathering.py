"""From observations to batches: what collectors hand over is stamped and encoded once a second."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer.lineprotocol import encode
from truechimer_agent.stamping import Stamper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer.samples import Sample
    from truechimer_agent.bounds.estimator import Estimator
    from truechimer_agent.collecting import Observation
    from truechimer_agent.hostclock import HostClock

PATIENCE_NS = 2_000_000_000
"""How long the first samples wait for true time before they are filed under W."""

log = logging.getLogger("truechimer.gathering")


@dataclass(frozen=True, slots=True)
class Gathered:
    """A batch: samples and their lines, one newline-terminated line each."""

    samples: list[Sample]
    lines: bytes


class Gathering:
    """Holds observations until the next beat; files them under S + the middle of UTC − S, else under W.

    The first few seconds' observations wait for the first bound, so that a host whose wall clock is hours
    off does not begin with samples in the wrong place.
    """

    def __init__(self, clock: HostClock, common_tags: Mapping[str, str]) -> None:
        self._clock = clock
        self._stamper = Stamper(common_tags)
        self._pending: list[Observation] = []
        self._began_ns = clock.steady_now_ns()
        self._patient = True
        self.samples_total = 0
        self.refused_total = 0

    def add(self, observation: Observation) -> None:
        """Take an observation."""
        self._pending.append(observation)

    def take(self, estimator: Estimator, *, last: bool = False) -> Gathered:
        """What has come since the last beat, stamped and encoded; empty while the first bound is awaited."""
        reading = self._clock.clocks.read()
        now_ns = self._clock.steady().at(reading.raw_ns)
        interval = estimator.at(now_ns).interval
        if interval is None and self._patient and not last and now_ns - self._began_ns < PATIENCE_NS:
            return Gathered([], b"")
        self._patient = False
        if interval is not None:
            unix_minus_steady_ns = interval.middle_ns
        else:
            unix_minus_steady_ns = self._clock.wall_minus_steady_ns(reading)
        pending, self._pending = self._pending, []
        samples: list[Sample] = []
        lines: list[str] = []
        for observation in pending:
            sample = self._stamper.stamp(observation, unix_minus_steady_ns)
            try:
                lines.append(encode(sample) + "\n")
            except DecodeError as error:
                self.refused_total += 1
                log.error("sample breaks its declaration, left out: why=%s", error)  # noqa: TRY400 - the line says all
            else:
                samples.append(sample)
        self.samples_total += len(samples)
        return Gathered(samples, "".join(lines).encode())
