"""Delays counted in logarithmic buckets: exact counts, quantiles within 1 %, merged by adding.

Bucket i holds (γ^(i−1), γ^i] seconds with γ = 1.01, as in DDSketch (Masson, Rim and Lee, VLDB 12, 2019). A
quantile is a bucket's upper edge: never below the value that it stands for, and at most 1 % above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

GAMMA = 1.01


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many delays fell into each bucket, and how many never ended.

    ``counts[j]`` belongs to bucket ``first + j``; the array neither begins nor ends with 0. ``zero`` counts
    delays of 0. ``censored`` pairs a deadline in seconds, ascending, with how many operations still
    waited when it passed: they took longer, if they ever ended. Where the deadline is not known it is 0.
    """

    first: int
    counts: NDArray[np.int64]
    zero: int = 0
    censored: tuple[tuple[float, int], ...] = ()

    @classmethod
    def of(cls, delays_s: NDArray[np.float64], lost: Mapping[float, int] | None = None) -> Histogram:
        """Count delays (≥ 0; inf is one that never ends) and the ``lost`` at each deadline in seconds.

        Raises ValueError for a delay that is negative or NaN, and for a count below 0.
        """
        (found,) = histograms(delays_s, np.zeros(len(delays_s), dtype=np.intp), 1)
        return found if not lost else found.merged(cls(0, _NONE, 0, _sorted(lost)))

    @property
    def lost(self) -> int:
        """How many operations had not ended at their deadlines."""
        return sum(count for _, count in self.censored)

    @property
    def total(self) -> int:
        """All operations, the lost ones too."""
        return int(self.counts.sum()) + self.zero + self.lost

    @property
    def edges_s(self) -> NDArray[np.float64]:
        """The upper edge of each of ``counts``' buckets."""
        return _edges_s(np.arange(self.first, self.first + len(self.counts)))

    @property
    def mean_s(self) -> float:
        """The mean of the delays that ended, at most 1 % above; NaN of none."""
        ended = self.total - self.lost
        return float((self.edges_s * self.counts).sum()) / ended if ended else math.nan

    def merged(self, other: Histogram) -> Histogram:
        """Both together."""
        censored = dict(self.censored)
        for deadline_s, count in other.censored:
            censored[deadline_s] = censored.get(deadline_s, 0) + count
        filled = [each for each in (self, other) if len(each.counts)]
        first, counts = 0, _NONE
        if filled:
            first = min(each.first for each in filled)
            last = max(each.first + len(each.counts) for each in filled)
            counts = np.zeros(last - first, dtype=np.int64)
            for each in filled:
                begin = each.first - first
                counts[begin : begin + len(each.counts)] += each.counts
        return Histogram(first, counts, self.zero + other.zero, _sorted(censored))

    def quantile_s(self, q: float) -> float:
        """The smallest delay that a share ``q`` of all operations kept within, as far as buckets tell.

        The lost ones never end: inf where the share reaches into them. NaN of nothing; ValueError unless
        0 < q ≤ 1.
        """
        if not 0 < q <= 1:
            raise ValueError(f"a quantile lies in (0, 1], not at {q}")
        if not self.total:
            return math.nan
        # What a float's last digit makes of a whole number is no further rank.
        rank = max(1, math.ceil(q * self.total * (1 - 1e-15)))
        if rank <= self.zero:
            return 0.0
        reached = self.zero + np.cumsum(self.counts)
        at = int(np.searchsorted(reached, rank))
        return float(self.edges_s[at]) if at < len(self.counts) else math.inf

    def beyond(self, timeout_s: float) -> tuple[int, int]:
        """How many operations took longer than ``timeout_s`` ≥ 0: at least, at most.

        The delays of one bucket may lie on either side; an operation lost at an earlier deadline may have
        ended before ``timeout_s`` or not.
        """
        edges_s = self.edges_s
        surely = int(np.searchsorted(edges_s / GAMMA, timeout_s * (1 + 1e-12)))
        possibly = int(np.searchsorted(edges_s, timeout_s, side="right"))
        waiting = sum(count for deadline_s, count in self.censored if deadline_s >= timeout_s)
        return int(self.counts[surely:].sum()) + waiting, int(self.counts[possibly:].sum()) + self.lost


def histograms(delays_s: NDArray[np.float64], group: NDArray[np.intp], groups: int) -> list[Histogram]:
    """One histogram a group (a pair, an hour of it, …); ``group`` is each delay's number below ``groups``.

    Raises ValueError for a delay that is negative or NaN. A delay of inf is censored at deadline 0: nothing
    says how long was waited.
    """
    if not (delays_s >= 0).all():
        raise ValueError("delays are 0 or more; a lost operation has a deadline instead")
    ends = np.isfinite(delays_s)
    positive = ends & (delays_s > 0)
    zeros = np.bincount(group[delays_s == 0], minlength=groups)
    endless = np.bincount(group[~ends], minlength=groups)
    buckets = _buckets(delays_s[positive])
    first, width = (int(buckets.min()), int(np.ptp(buckets)) + 1) if len(buckets) else (0, 1)
    keys, counts = _counted(group[positive] * width + (buckets - first), groups * width)
    begins = np.searchsorted(keys, np.arange(groups + 1) * width)
    found = []
    for index in range(groups):
        own = slice(begins[index], begins[index + 1])
        at = keys[own] - index * width
        dense = np.zeros(int(np.ptp(at)) + 1 if len(at) else 0, dtype=np.int64)
        if len(at):
            dense[at - at[0]] = counts[own]
        censored = ((0.0, int(endless[index])),) if endless[index] else ()
        found.append(Histogram(first + int(at[0]) if len(at) else 0, dense, int(zeros[index]), censored))
    return found


_ROOM = 100_000
_NONE = np.zeros(0, dtype=np.int64)


def _sorted(censored: Mapping[float, int]) -> tuple[tuple[float, int], ...]:
    if any(count < 0 or not deadline_s >= 0 for deadline_s, count in censored.items()):
        raise ValueError("deadlines and counts of lost operations are 0 or more")
    return tuple(sorted((float(deadline_s), count) for deadline_s, count in censored.items() if count))


def _edges_s(buckets: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.power(GAMMA, buckets.astype(np.float64))


def _counted(keys: NDArray[np.intp], room: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The keys that occur, ascending, and how often: without sorting them where there is ``room`` for all."""
    if room > max(_ROOM, 4 * len(keys)):
        return np.unique(keys, return_counts=True)
    counts = np.bincount(keys, minlength=1)
    found = np.flatnonzero(counts)
    return found, counts[found]


def _buckets(delays_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bucket of each positive delay, exact at the edges as :func:`_edges_s` has them."""
    if not len(delays_s):
        return np.zeros(0, dtype=np.intp)
    buckets = np.ceil(np.log(delays_s) / math.log(GAMMA)).astype(np.intp)
    first = int(buckets.min()) - 2
    edges_s = _edges_s(np.arange(first, int(buckets.max()) + 2))
    buckets += delays_s > edges_s[buckets - first]
    buckets -= delays_s <= edges_s[buckets - 1 - first]
    return buckets
