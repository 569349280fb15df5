"""Chen's configurator: from a wished quality of service to a detector's interval and margin, or to "no".

Chen, Toueg and Aguilera, IEEE TC 51(5) 2002: the same three steps for delays that are known (section 4),
for their mean and variance only (section 5) and, without synchronised clocks, for their variance (section 6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_STEPS = 4000
_MOST_FACTORS = 10_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a detector: detection at most, mistakes this far apart at least and this long at most.

    T_D is from the crash; for NFD-E, which cannot know delays without common clocks, from the crash plus the
    mean delay.
    """

    detection_s: float
    recurrence_s: float
    mistake_s: float


@dataclass(frozen=True, slots=True)
class Setting:
    """A heartbeat each ``interval_s`` (η), and ``margin_s``: δ of NFD-S or α of NFD-E."""

    interval_s: float
    margin_s: float


def nfd_s(wish: Wish, delay_s: NDArray[np.float64]) -> Setting | None:
    """NFD-S for measured delays (n,), NaN where a heartbeat was lost (section 4); None if it cannot be met.

    ``Pr(D > x)`` is of all that were sent, so that a lost one is never early. What is beyond the evidence is
    taken for impossible here: for few delays use ``nfd_e``, whose bound holds for any distribution.
    """
    received = np.sort(delay_s[np.isfinite(delay_s)])
    if not len(received):
        return None

    def missing(within_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 - np.searchsorted(received, within_s, side="left") / len(delay_s)

    in_time = float(1.0 - missing(np.array([wish.detection_s]))[0])
    if in_time == 0:
        return None

    def recurrence_s(interval_s: float) -> float:
        every = missing(wish.detection_s - interval_s * _numbers(wish.detection_s, interval_s))
        return _product(interval_s / in_time, every)

    # An interval as long as T_D leaves no margin at all.
    return _largest(min(in_time * wish.mistake_s, wish.detection_s), wish, recurrence_s)


def nfd_s_moments(wish: Wish, loss: float, mean_s: float, variance_s2: float) -> Setting | None:
    """NFD-S for any distribution with that loss, mean and variance (section 5); None if it cannot be met."""
    return _moments(wish, wish.detection_s - mean_s, loss, variance_s2)


def nfd_e(wish: Wish, loss: float, variance_s2: float) -> Setting | None:
    """NFD-U, and with a long window NFD-E, for any delays of that loss and variance (section 6)."""
    return _moments(wish, wish.detection_s, loss, variance_s2)


def _moments(wish: Wish, ahead_s: float, loss: float, variance_s2: float) -> Setting | None:
    if ahead_s <= 0:
        return None
    gamma = (1 - loss) * ahead_s**2 / (variance_s2 + ahead_s**2)

    def recurrence_s(interval_s: float) -> float:
        left2 = (ahead_s - interval_s * _numbers(ahead_s, interval_s)) ** 2
        # The one-sided inequality: of each heartbeat that could have helped, the chance that it did not.
        return _product(interval_s, (variance_s2 + loss * left2) / (variance_s2 + left2))

    return _largest(min(gamma * wish.mistake_s, ahead_s), wish, recurrence_s)


def _numbers(ahead_s: float, interval_s: float) -> NDArray[np.float64]:
    """The j = 1 … ⌈ahead/η⌉ − 1; of very many only the first, which make the product no greater: safe."""
    count = max(0, math.ceil(ahead_s / interval_s) - 1)
    return np.arange(1.0, min(count, _MOST_FACTORS) + 1)


def _product(interval_s: float, chances: NDArray[np.float64]) -> float:
    """η divided by all chances."""
    if not chances.all():
        return math.inf
    return interval_s * math.exp(min(700.0, -float(np.log(chances).sum())))


def _largest(most_s: float, wish: Wish, recurrence_s: Callable[[float], float]) -> Setting | None:
    """The longest interval up to ``most_s`` that keeps mistakes far enough apart, to 0.2 % of it."""
    if most_s <= 0:
        return None
    for interval_s in np.geomspace(most_s, most_s / 1000, _STEPS).tolist():
        if recurrence_s(interval_s) >= wish.recurrence_s:
            return Setting(interval_s, wish.detection_s - interval_s)
    return None
