"""The timeout that most programs have: the same always."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats, Requests


@dataclass(frozen=True, slots=True)
class Fixed:
    """Suspects ``timeout_s`` after the last heartbeat, whichever it was; gives a request ``timeout_s``."""

    timeout_s: float

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"fixed({self.timeout_s:.6g}s)"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        return heard.arrived_s + self.timeout_s

    def timeouts_s(self, asked: Requests) -> NDArray[np.float64]:
        """The timeout in force when each request was sent (n,)."""
        return np.full(len(asked.sent_s), self.timeout_s)
