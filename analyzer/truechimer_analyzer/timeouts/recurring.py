"""When a timeout is exceeded: by hour of the day, in the worst stretch, and whether one bound fits all. Pure.

A bound over the whole record is one for a stream that lasts as long. Where slow replies keep to some hours, a
user of these hours meets more of them than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from truechimer_analyzer.timeouts.tail import CONFIDENCE, upper_exceedances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Operations

HOUR_S = 3600.0
DAY_S = 86_400.0
# Stretches that are looked at for a shift: the window, and as long again and again up to this share of all.
_LONGEST_SHARE = 0.5
# What was seen on so many days is seen again.
RECURS = 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """[since_s, until_s) in Unix seconds: of its operations ``seen`` took longer than the timeout.

    ``upper`` bounds the probability in this stretch, one-sided 95 %, for this stretch alone.
    """

    since_s: float
    until_s: float
    operations: int
    seen: int
    upper: float

    @property
    def estimate(self) -> float:
        """The share that took longer; 0 of no operations."""
        return self.seen / self.operations if self.operations else 0.0


@dataclass(frozen=True, slots=True)
class HourOfDay:
    """One hour of the day (UTC, 0 … 23) over all days: on ``days`` probed, on ``days_beyond`` exceeded.

    ``upper`` holds for all 24 at once (Bonferroni), so that the worst may be picked.
    """

    hour: int
    days: int
    days_beyond: int
    operations: int
    seen: int
    upper: float

    @property
    def estimate(self) -> float:
        """The share that took longer; 0 of no operations."""
        return self.seen / self.operations if self.operations else 0.0


def stretches(of: Operations, timeout_s: float, cluster_size: float) -> list[Stretch]:
    """Every window that has operations, in order; ``cluster_size`` is the tail's design effect."""
    windows, totals, beyond = _counts(of, timeout_s)
    effects = np.full(len(windows), cluster_size)
    uppers = upper_exceedances(beyond / effects, totals / effects)
    return [
        Stretch(float(window * HOUR_S), float((window + 1) * HOUR_S), int(total), int(seen), float(upper))
        for window, total, seen, upper in zip(windows, totals, beyond, uppers, strict=True)
    ]


def worst(among: Sequence[Stretch]) -> Stretch | None:
    """The stretch with the greatest share of exceedances; None where none has any."""
    found = max(among, key=lambda each: (each.estimate, each.seen), default=None)
    return found if found is not None and found.seen else None


def hours_of_day(of: Operations, timeout_s: float, cluster_size: float) -> list[HourOfDay]:
    """Each hour of the day that was probed."""
    windows, totals, beyond = _counts(of, timeout_s)
    hours = windows % 24
    found = []
    for hour in np.unique(hours):
        own = hours == hour
        operations, seen = int(totals[own].sum()), int(beyond[own].sum())
        (upper,) = upper_exceedances(
            np.array([seen / cluster_size]),
            np.array([operations / cluster_size]),
            1 - (1 - CONFIDENCE) / 24,
        )
        days = int(np.count_nonzero(own))
        days_beyond = int(np.count_nonzero(beyond[own]))
        found.append(HourOfDay(int(hour), days, days_beyond, operations, seen, float(upper)))
    return found


def worst_that_recurs(hours: Sequence[HourOfDay]) -> HourOfDay | None:
    """The hour of the day with the greatest share, among those that exceeded on ``RECURS`` days or more.

    An hour that was bad once may have been an incident; None where no hour was bad twice.
    """
    again = [each for each in hours if each.days_beyond >= RECURS]
    return max(again, key=lambda each: each.estimate, default=None)


def shift(of: Operations, timeout_s: float, upper: float, cluster_size: float) -> Stretch | None:
    """The stretch in which ``upper``, the bound over the whole record, does not hold; None where it may.

    Windows, and stretches of 2, 4, 8 … of them up to half the record: the one that exceeds most clearly, if
    its Clopper–Pearson lower bound at 5 % over all stretches at once lies above ``upper``.
    """
    windows, totals, beyond = _counts(of, timeout_s)
    if len(windows) < 2:
        return None
    whole = int(windows[-1] - windows[0]) + 1
    every, slow = np.zeros(whole + 1), np.zeros(whole + 1)
    every[windows - windows[0] + 1], slow[windows - windows[0] + 1] = totals, beyond
    every, slow = np.cumsum(every), np.cumsum(slow)
    lengths = [length for length in 2 ** np.arange(32) if length <= max(1, whole * _LONGEST_SHARE)]
    tried = sum(whole - length + 1 for length in lengths)
    found: tuple[float, Stretch] | None = None
    for length in lengths:
        operations, seen = every[length:] - every[:-length], slow[length:] - slow[:-length]
        some = seen > 0
        lower = np.zeros(len(seen))
        lower[some] = betaincinv(
            seen[some] / cluster_size,
            (operations[some] - seen[some]) / cluster_size + 1,
            (1 - CONFIDENCE) / tried,
        )
        at = int(np.argmax(lower))
        if lower[at] > upper and (found is None or lower[at] > found[0]):
            begin_s = float((windows[0] + at) * HOUR_S)
            stretch = (begin_s, begin_s + float(length) * HOUR_S, int(operations[at]), int(seen[at]))
            (bound,) = upper_exceedances(
                np.array([seen[at] / cluster_size]), np.array([operations[at] / cluster_size])
            )
            found = float(lower[at]), Stretch(*stretch, float(bound))
    return None if found is None else found[1]


def _counts(
    of: Operations, timeout_s: float
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    """Hours with operations (numbered from 1970), how many of these, how many beyond the timeout."""
    replies = np.floor(of.time_s / HOUR_S).astype(np.intp)
    lost = np.floor(of.lost_s / HOUR_S).astype(np.intp)
    quick = None if of.unlisted is None else of.unlisted.by_hour
    firsts = [int(each.min()) for each in (replies, lost) if len(each)]
    if quick is not None and of.unlisted is not None:
        firsts.append(of.unlisted.first_hour)
    if not firsts:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    first = min(firsts)
    totals = np.bincount(np.concatenate([replies, lost]) - first)
    if quick is not None and of.unlisted is not None:
        begin = of.unlisted.first_hour - first
        totals = np.append(totals, np.zeros(max(0, begin + len(quick) - len(totals)), dtype=np.int64))
        totals[begin : begin + len(quick)] += quick
    beyond = np.bincount(replies[of.rtt_s > timeout_s] - first, minlength=len(totals))
    windows = np.flatnonzero(totals)
    return windows + first, totals[windows], beyond[windows]
