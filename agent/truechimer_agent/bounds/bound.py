"""What the estimator answers: the interval of UTC − S at one instant, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import BoundReason, BoundStatus, Leap, ServerVerdict

if TYPE_CHECKING:
    from truechimer_agent.bounds.intervals import Drift, Interval
    from truechimer_agent.bounds.verdicts import Judged


@dataclass(frozen=True, slots=True)
class Bound:
    """UTC − S lies in ``interval`` at S = ``steady_ns``; None when nothing can be vouched for.

    ``leap``: what may happen at the end of this UTC day, the last of a month.
    """

    steady_ns: int
    interval: Interval | None
    drift: Drift
    status: BoundStatus
    reason: BoundReason
    servers: tuple[Judged, ...]
    leap: Leap = Leap.NONE

    def after(self, steady_ns: int) -> Interval | None:
        """The interval aged to a later S."""
        if self.interval is None:
            return None
        return self.drift.age(self.interval, max(0, steady_ns - self.steady_ns))

    def count(self, verdict: ServerVerdict) -> int:
        """How many servers have that verdict."""
        return sum(judged.verdict is verdict for judged in self.servers)
