"""How many mistakes a span to come may have, at most, by those that a timeout would have made in the past.

A bound of a probability is not yet one of what is seen next: a short span has luck of its own, and a network
that has good and bad hours has them again. So counts, not rates, are foreseen, and the past is looked at in
spans. Nothing is foreseen of what has not shown itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc

from truechimer_analyzer.timeouts.tail import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NORMAL_95 = 1.645
# The past in so many parts tells how unevenly mistakes come.
PARTS = 16


def foreseen(late: NDArray[np.intp], past: int, independent: float, ahead: int) -> float:
    """So many mistakes, at 95 %, the next ``ahead`` operations do not exceed; at most ``ahead``.

    ``late`` (k,), ascending, are the numbers of the past's operations (0 … ``past`` − 1) that would have been
    mistakes; ``independent`` is what ``past`` is worth where slow ones come together (``Tail.n_eff``). The
    greater of two:

    - the predictive bound of a Poisson count whose rate k and ``past`` tell (a negative binomial; Gelman et
      al., Bayesian Data Analysis, 3rd ed., 2.6, with a flat prior), in units of so many mistakes as come at
      once: the mean cluster, or the variance of the past's parts over their mean if that is more;
    - what the worst stretch of the past as long as ``ahead`` had, as if it came again, and its own luck:
      1.645 standard deviations of the difference of two such counts, in the same units.
    """
    if not past or not ahead:
        return 0.0
    together = max(1.0, past / independent, _dispersion(late, past))
    bound = _next(len(late) / together, ahead / past) * together
    if ahead < past:
        worst = _worst(late, ahead)
        bound = max(bound, worst + _NORMAL_95 * math.sqrt(2 * worst * together))
    return min(float(ahead), bound)


def _next(seen: float, exposure: float) -> float:
    """The 95 % quantile of what comes in ``exposure`` times the time in which ``seen`` came."""
    # A negative binomial's distribution is an incomplete beta function (NIST DLMF 8.17.24).
    chance = 1 / (1 + exposure)
    least, most = -1, 1
    while betainc(seen + 1, most + 1, chance) < CONFIDENCE:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        if betainc(seen + 1, middle + 1, chance) < CONFIDENCE:
            least = middle
        else:
            most = middle
    return float(most)


def _dispersion(late: NDArray[np.intp], past: int) -> float:
    """Variance over mean of the counts of ``PARTS`` equal parts: 1 where mistakes come singly, by chance."""
    if not len(late) or past < PARTS:
        return 1.0
    counts = np.bincount(late * PARTS // past, minlength=PARTS)
    return float(counts.var(ddof=1) / counts.mean())


def _worst(late: NDArray[np.intp], ahead: int) -> int:
    """The most mistakes of any ``ahead`` operations in a row."""
    if not len(late):
        return 0
    # A worst stretch ends with a mistake.
    return int((np.arange(1, len(late) + 1) - np.searchsorted(late, late - ahead, side="right")).max())
