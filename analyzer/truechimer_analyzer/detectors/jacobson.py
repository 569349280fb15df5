"""Jacobson's and Karels' retransmission timeout, as RFC 6298 has it (section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.windows import exponential_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Requests

_ALPHA = 1 / 8
_BETA = 1 / 4


@dataclass(frozen=True, slots=True)
class Jacobson:
    """RTO = SRTT + max(G, K·RTTVAR), from 1 s before the first reply (RFC 6298, 2.1–2.3).

    ``granularity_s`` is G. ``least_s`` is the floor that TCP has (1 s in RFC 6298, 2.4; 200 ms in Linux); by
    default there is none. There is no back-off (5.5): these requests are not sent again. Karn's rule is met,
    since each reply belongs to one request.
    """

    k: float = 4.0
    granularity_s: float = 0.001
    least_s: float = 0.0
    first_s: float = 1.0

    @property
    def name(self) -> str:
        """The detector and its setting."""
        least = f", at least {self.least_s:g}s" if self.least_s else ""
        return f"jacobson(K={self.k:.4g}{least})"

    def timeouts_s(self, asked: Requests) -> NDArray[np.float64]:
        """The timeout in force when each request was sent (n,)."""
        rtt_s = asked.replies_s
        after_s = np.empty(len(rtt_s) + 1)
        after_s[0] = self.first_s
        if len(rtt_s):
            srtt_s, rttvar_s = asked.once("jacobson", lambda: _smoothed(rtt_s))
            np.add(srtt_s, np.maximum(self.k * rttvar_s, self.granularity_s), out=after_s[1:])
        if self.least_s:
            np.maximum(after_s, self.least_s, out=after_s)
        return after_s[asked.known]


def _smoothed(rtt_s: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SRTT and RTTVAR after each reply (≥ 1)."""
    first = float(rtt_s[0])
    srtt_s = exponential_mean(rtt_s[1:], _ALPHA, first)
    # RTTVAR goes first in the RFC: its deviation is from SRTT as it was before this reply.
    deviation_s = rtt_s[1:].copy()
    deviation_s[:1] -= first
    deviation_s[1:] -= srtt_s[:-1]
    np.abs(deviation_s, out=deviation_s)
    rttvar_s = exponential_mean(deviation_s, _BETA, first / 2)
    return np.concatenate([[first], srtt_s]), np.concatenate([[first / 2], rttvar_s])
