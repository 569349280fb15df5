"""Chen, Toueg and Aguilera's detectors: NFD-S for synchronised clocks, NFD-E for expected arrivals.

"On the Quality of Service of Failure Detectors", IEEE Transactions on Computers 51(5), May 2002, sections 3
(NFD-S: freshness points τ_i = σ_i + δ) and 6 (NFD-U and NFD-E: τ_{l+1} = EA_{l+1} + α, where EA is the mean
of A_i − σ_i of the n newest heartbeats, plus σ_{l+1}). Both go by sequence numbers: a heartbeat that was
overtaken changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.windows import sliding_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats

WINDOW = 1000


@dataclass(frozen=True, slots=True)
class NfdS:
    """Suspects when the heartbeat after the newest has not arrived ``delta_s`` after it was due to be sent.

    The peer's clock must be the monitor's.
    """

    delta_s: float

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"nfd-s(δ={self.delta_s:.6g}s)"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        newest, _ = freshest(heard)
        return expand(heard, newest.sent_s + (heard.interval_s + self.delta_s))


@dataclass(frozen=True, slots=True)
class NfdE:
    """Suspects ``alpha_s`` after the next heartbeat was to be expected by the last ``window`` ones."""

    alpha_s: float
    window: int = WINDOW

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"nfd-e(α={self.alpha_s:.6g}s)"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        newest, delay_s = freshest(heard)
        deadline_s = sliding_mean(delay_s, self.window)
        deadline_s += newest.sent_s
        deadline_s += heard.interval_s + self.alpha_s
        return expand(heard, deadline_s)


def freshest(heard: Heartbeats) -> tuple[Heartbeats, NDArray[np.float64]]:
    """The heartbeats newer than all before them, and A − σ of each: its delay, but for a constant."""
    if heard.fresh is not None:
        heard = type(heard)(
            heard.arrived_s[heard.fresh],
            heard.sequence[heard.fresh],
            heard.sent_s[heard.fresh],
            heard.interval_s,
            heard.until_s,
        )
    return heard, heard.arrived_s - heard.sent_s


def expand(heard: Heartbeats, deadline_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """One deadline for each arrival, from one for each fresh one."""
    if heard.fresh is None:
        return deadline_s
    expanded: NDArray[np.float64] = deadline_s[np.cumsum(heard.fresh) - 1]
    return expanded
