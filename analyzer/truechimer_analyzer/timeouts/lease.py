"""Leases: how long one must be, how long its holder may act on it, and how often that is not enough. Pure.

A lease is safety, not liveness. Both clocks err: the holder's by ``rho_holder``, the granter's by
``rho_granter`` (its oscillator's and whatever steers it). The holder counts from the earliest request that
the acknowledgement could answer, and stops acting ``guard_s`` before the end, because between its check and
the effect it may stop, and what it sent is on the way. Any finite guard can be outlived by an arbitrary
pause: only fencing tokens remove that. Gray and Cheriton, "Leases", SOSP 1989, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from truechimer_analyzer.timeouts.clusters import RUN_S, count_clusters
from truechimer_analyzer.timeouts.tail import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

YEAR_S = 365.25 * 86_400
OSCILLATOR = 500e-6
"""What an oscillator that nobody measured may be off, as a ratio."""
SLEWING = 500e-6
"""What Linux's adjtime and NTP slew a clock by at most, as a ratio (RFC 5905 section 11.3)."""
GRANTER = OSCILLATOR + SLEWING


def usable_s(
    lease_s: float, guard_s: float, rho_holder: float = OSCILLATOR, rho_granter: float = GRANTER
) -> float:
    """How long the holder may act, by its own RAW since the request: L·(1 − ρ_h)/(1 + ρ_g) − g, or 0."""
    return max(0.0, lease_s * (1 - rho_holder) / (1 + rho_granter) - guard_s)


def least_lease_s(
    renewal_s: float,
    guard_s: float,
    rho_holder: float = OSCILLATOR,
    rho_granter: float = GRANTER,
) -> float:
    """The shortest lease that is still usable for ``renewal_s``: the inverse of ``usable_s``."""
    return (renewal_s + guard_s) * (1 + rho_granter) / (1 - rho_holder)


def violations(
    began_s: NDArray[np.float64], lasted_s: NDArray[np.float64], observed_s: float, guard_s: float
) -> tuple[float, float]:
    """How often a year a node stops for longer than ``guard_s``: seen, and at most (one-sided 95 %).

    The upper figure is the exact bound of a Poisson count (Garwood 1936), of pauses no more than 10 s apart
    as one event, times how many such an event holds on average. ``observed_s`` is the time watched, over all
    nodes (> 0).
    """
    longer = lasted_s > guard_s
    seen = int(np.count_nonzero(longer))
    clusters = count_clusters(began_s[longer], RUN_S)
    size = seen / clusters if clusters else 1.0
    most = float(chi2.ppf(CONFIDENCE, 2 * (clusters + 1))) / 2 * size
    return seen / observed_s * YEAR_S, most / observed_s * YEAR_S
