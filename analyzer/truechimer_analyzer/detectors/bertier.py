"""Bertier, Marin and Sens: Chen's expected arrival with Jacobson's margin.

"Implementation and performance evaluation of an adaptable failure detector", DSN 2002: with error_k = A_k −
EA_k − delay_k, delay += γ·error, var += γ·(|error| − var), the margin is α = β·delay + φ·var.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.chen import WINDOW, expand, freshest
from truechimer_analyzer.detectors.windows import exponential_mean, sliding_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats


@dataclass(frozen=True, slots=True)
class Bertier:
    """Suspects at EA + β·delay + φ·var; before the second heartbeat the margin is 0."""

    phi: float = 4.0
    beta: float = 1.0
    gamma: float = 0.1
    window: int = WINDOW

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"bertier(γ={self.gamma:g}, β={self.beta:g}, φ={self.phi:.4g})"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        newest, delay_s = freshest(heard)
        expected_s, usual_s, error_s = heard.once(
            ("bertier", self.gamma, self.window), lambda: self._estimates(delay_s)
        )
        deadline_s = expected_s.copy()
        deadline_s[1:] += self.phi * error_s + self.beta * usual_s
        deadline_s += newest.sent_s
        deadline_s += heard.interval_s
        return expand(heard, deadline_s)

    def _estimates(
        self, delay_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        expected_s = sliding_mean(delay_s, self.window)
        # A_k − EA_k, EA by the heartbeats before: both are sent + …, so that the times of sending cancel.
        late_s = delay_s[1:] - expected_s[:-1]
        usual_s = exponential_mean(late_s, self.gamma, 0.0)
        late_s[1:] -= usual_s[:-1]
        return expected_s, usual_s, exponential_mean(np.abs(late_s, out=late_s), self.gamma, 0.0)
