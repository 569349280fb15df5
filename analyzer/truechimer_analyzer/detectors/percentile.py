"""A high percentile of the last replies times a factor, taken anew from time to time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Requests


@dataclass(frozen=True, slots=True)
class Percentile:
    """``factor`` times the ``quantile`` of the last ``window`` replies, taken after each ``every`` replies.

    The rule as people use it: of the replies only, so that it does not see losses, and with no regard to how
    few replies are beyond a percentile. Before the first ``every`` replies the timeout is ``first_s``.
    """

    factor: float
    quantile: float = 0.999
    window: int = 10_000
    every: int = 1000
    first_s: float = 1.0

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"p{self.quantile * 100:g}×{self.factor:.4g}"

    def timeouts_s(self, asked: Requests) -> NDArray[np.float64]:
        """The timeout in force when each request was sent (n,)."""
        replies_s = asked.replies_s
        fits = len(replies_s) // self.every
        settings_s = np.empty(fits + 1)
        settings_s[0] = self.first_s
        for fit in range(1, fits + 1):
            end = fit * self.every
            last_s = replies_s[max(0, end - self.window) : end]
            # The nearest rank: no value between two replies is claimed.
            rank = min(len(last_s) - 1, int(np.ceil(self.quantile * len(last_s))) - 1)
            settings_s[fit] = self.factor * np.partition(last_s, rank)[rank]
        return settings_s[asked.known // self.every]
