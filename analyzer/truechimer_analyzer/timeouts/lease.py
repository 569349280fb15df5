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
from scipy.special import gammaincinv

from truechimer_analyzer.timeouts.clusters import RUN_S
from truechimer_analyzer.timeouts.tail import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

YEAR_S = 365.25 * 86_400
OSCILLATOR = 500e-6
"""What an oscillator that nobody measured may be off, as a ratio."""
SLEWING = 83_333.333e-6
"""What steers a granter's clock may slew it by, as a ratio: chronyd's ``maxslewrate`` unless it is lowered.

ntpd and adjtime() stay below 500 ppm (RFC 5905 section 11.3).
"""
_SHORTER = (0.125, 0.25, 0.5, 1.0)
"""How stops come together is told by shorter ones too, by these shares of the guard."""
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
    """How often a year there is a stop longer than ``guard_s``: seen, and at most (one-sided 95 %).

    Stops no more than 10 s apart are one event, and an event holds as many as the one that the average stop
    is in, Σ size² / Σ size, by the worst of shorter guards as well: the bound is that of a Poisson count
    (Garwood 1936) of the events, times that. The bound of no longer guard is above that of a shorter one.
    ``observed_s`` is the time watched (> 0).
    """
    size, upper = 1.0, np.inf
    for share in _SHORTER:
        longer = lasted_s > share * guard_s
        sizes = _sizes(began_s[longer])
        if len(sizes):
            size = max(size, float((sizes * sizes).sum() / sizes.sum()))
        events = float(sizes.sum()) / size
        upper = min(upper, float(gammaincinv(events + 1, CONFIDENCE)) * size)
    return np.count_nonzero(lasted_s > guard_s) / observed_s * YEAR_S, upper / observed_s * YEAR_S


def _sizes(began_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many stops each event holds."""
    if not len(began_s):
        return np.zeros(0)
    begins = np.flatnonzero(np.diff(np.sort(began_s), prepend=-np.inf) > RUN_S)
    return np.diff(begins, append=len(began_s)).astype(np.float64)
