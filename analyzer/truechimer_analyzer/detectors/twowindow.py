"""2W-FD: Chen's expected arrival by a short and by a long window, whichever is later.

Tomsic, Sens, Garcia, Arantes and Sopena, "2W-FD: A Failure Detector Algorithm with QoS", IPDPS 2015: the
short window (1) follows a burst of delay at once, the long one (1000) does not forget that there are any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.chen import WINDOW, expand, freshest
from truechimer_analyzer.detectors.windows import sliding_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats


@dataclass(frozen=True, slots=True)
class TwoWindow:
    """Suspects ``margin_s`` after the later of both expected arrivals."""

    margin_s: float
    short: int = 1
    long: int = WINDOW

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"2w-fd({self.margin_s:.6g}s)"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        newest, delay_s = freshest(heard)
        deadline_s = sliding_mean(delay_s, self.long)
        np.maximum(deadline_s, sliding_mean(delay_s, self.short), out=deadline_s)
        deadline_s += newest.sent_s
        deadline_s += heard.interval_s + self.margin_s
        return expand(heard, deadline_s)
