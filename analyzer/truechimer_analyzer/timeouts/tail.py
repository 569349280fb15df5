"""The tail of measured delays, honestly: how often a timeout would be exceeded, at most.

Samples that belong together say less than their number: n_eff = n / (design effect) is what bounds are made
from. With clusters of 5, "none seen" in n samples only supports 3 · 5 / n. Nothing is claimed beyond the
longest delay seen.

The advised timeout is chosen from the data, and its bound holds all the same: which rank it has among the
slowest follows from the target and n_eff alone, so that it is an order statistic of a rank fixed in advance.
The chance that the share beyond the k-th slowest of n is above p is that of fewer than k successes of n at p
(Wilks, Annals of Mathematical Statistics 12, 1941), which is Clopper–Pearson's bound read backwards.

A lost operation is a true timeout and is counted apart: it is in no bound on timeouts up to the deadline that
probes wait for. Whether its reply would have come later nobody knows. So beyond the deadline, where replies
are not seen any more, all that were lost count as exceedances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from truechimer_analyzer.timeouts.clusters import count_clusters, design_effect, run_length_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.listing import Unlisted

# How clustered the tail is, is looked at at this many depths, from the five slowest to this share.
_DEPTHS = 12
_LEAST_DEPTH = 5
_DEEP = 100
_DEEPEST_SHARE = 1000
CONFIDENCE = 0.95
# −ln(0.05) = 2.996: none in n leaves up to 3/n at 95 % (the rule of three).
NONE_SEEN = 3.0
_EXACT_POINTS = 50
_SPREAD_POINTS = 60
_MOST_EXCEEDANCES = 20_000


def upper_exceedance(exceedances: float, n_eff: float) -> float:
    """One-sided 95 % upper bound of a probability of which ``exceedances`` of ``n_eff`` were seen.

    Clopper–Pearson (the beta quantile, also for n_eff that is no whole number); 3/n_eff when none was.
    """
    return float(upper_exceedances(np.array([exceedances], dtype=np.float64), np.array([n_eff]))[0])


def upper_exceedances(
    exceedances: NDArray[np.float64], n_eff: NDArray[np.float64], confidence: float = CONFIDENCE
) -> NDArray[np.float64]:
    """As :func:`upper_exceedance`, of arrays of equal shape; for none seen −ln(1 − confidence) ≥ 3."""
    none_seen = max(NONE_SEEN, -math.log1p(-confidence))
    usable = n_eff > np.maximum(exceedances, 0.0)
    total = np.where(usable, n_eff, 1.0)
    seen = np.where(usable & (exceedances > 0), exceedances, 0.0)
    exact = betaincinv(seen + 1, total - seen, confidence)
    return np.where(usable, np.where(seen > 0, exact, np.minimum(1.0, none_seen / total)), 1.0)


def round_up(value: float, digits: int = 3) -> float:
    """The next value of ``digits`` significant digits that is not below: a timeout fit to be written down."""
    if value <= 0 or not math.isfinite(value):
        return value
    places = digits - 1 - math.floor(math.log10(value))
    rounded = round(value, places)
    if rounded < value:
        rounded = round(rounded + 10.0**-places, places)
    return rounded


@dataclass(frozen=True, slots=True)
class Point:
    """A timeout and how often replies took longer: ``seen`` of them in ``clusters`` clusters.

    ``estimate`` and ``upper`` are probabilities per operation; ``worst_path`` is the greatest estimate
    of any single path.
    """

    timeout_s: float
    seen: int
    clusters: int
    estimate: float
    upper: float
    worst_path: float


@dataclass(frozen=True, slots=True)
class Tail:
    """The upper tail of one kind of operation, over all its paths.

    ``points`` ascend in timeout_s and never ascend in ``upper``; the last is the longest delay seen.
    ``cluster_size`` is the design effect. ``asked`` is the timeout that was asked about, however short or
    long.
    """

    points: tuple[Point, ...]
    operations: int
    cluster_size: float
    asked: Point | None = None

    @property
    def n_eff(self) -> float:
        """The number of independent operations that the evidence is worth."""
        return self.operations / self.cluster_size

    @property
    def supported_exceedance(self) -> float:
        """The least probability of a false timeout that the evidence can vouch for."""
        return upper_exceedance(0, self.n_eff)

    def strictest(self) -> Point:
        """The longest delay seen, with what can be said of exceeding it."""
        return self.points[-1]

    def smallest(self, target: float) -> Point | None:
        """The smallest timeout whose upper bound meets ``target``, with no path's estimate above it."""
        return next((p for p in self.points if p.upper <= target and p.worst_path <= target), None)

    def needed_operations(self, target: float) -> int:
        """How many more operations, none of them slower, would vouch for ``target``; 0 when it is."""
        return max(0, math.ceil(NONE_SEEN * self.cluster_size / target - self.operations))


@dataclass(frozen=True, slots=True)
class _Replies:
    """Replies in time order; ``by_path`` counts operations, the lost ones too."""

    rtt_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    path: NDArray[np.intp]
    by_path: NDArray[np.intp]
    lost: int
    deadline_s: float
    run_s: float
    span_s: float

    def beyond(self, timeout_s: float) -> _Replies:
        """Those that took longer."""
        slow = np.flatnonzero(self.rtt_s > timeout_s)
        return replace(self, rtt_s=self.rtt_s[slow], time_s=self.time_s[slow], path=self.path[slow])

    def design_effect(self) -> float:
        """What these exceedances tell of their clustering."""
        return design_effect(self.time_s, self.run_s, self.span_s)

    def worst_path(self) -> float:
        """The greatest share of any path's operations that these are."""
        counts = np.bincount(self.path, minlength=len(self.by_path))
        return float((counts / np.maximum(self.by_path, 1)).max())


def measure(
    rtt_s: NDArray[np.float64],
    time_s: NDArray[np.float64],
    path: NDArray[np.intp],
    operations_by_path: NDArray[np.intp],
    asked_s: float | None = None,
    deadline_s: float | None = None,
    unlisted: Unlisted | None = None,
) -> Tail:
    """The tail of replies (≥ 1) with their times and path numbers; operations include the lost ones.

    Paths are pooled, weighted by how often each was probed; a run of exceedances on several paths at
    once (a stopped host, a failing switch) is one cluster. ``asked_s`` is a timeout to look at besides,
    ``deadline_s`` how long probes waited for a reply (None: for ever, as far as is known), ``unlisted`` the
    replies that are only counted: then ``asked_s`` is no shorter than the longest of these.
    """
    if (np.diff(time_s) < 0).any():
        order = np.argsort(time_s, kind="stable")
        rtt_s, time_s, path = rtt_s[order], time_s[order], path[order]
    count, operations = len(rtt_s), int(operations_by_path.sum())
    first_s, last_s = float(time_s[0]), float(time_s[-1])
    gap_s = None
    if unlisted is not None:
        assert asked_s is None or asked_s >= unlisted.quick_s
        count += unlisted.count
        first_s, last_s = min(first_s, unlisted.first_s.min()), max(last_s, unlisted.last_s.max())
        gap_s = unlisted.gap_s
    every = _Replies(
        rtt_s,
        time_s,
        path,
        operations_by_path,
        operations - count,
        math.inf if deadline_s is None else max(deadline_s, float(rtt_s.max())),
        run_length_s(time_s, path, gap_s),
        last_s - first_s,
    )
    # Only the slowest are put in order: the rest of a long record is looked at twice.
    most = min(len(rtt_s) - 1, max(count // 2, 1), _MOST_EXCEEDANCES)
    least_s = float(np.partition(rtt_s, len(rtt_s) - 1 - most)[len(rtt_s) - 1 - most])
    slowest = every.beyond(least_s)
    falling = np.full(most + 1, least_s)
    falling[: len(slowest.rtt_s)] = np.sort(slowest.rtt_s)[::-1]

    # Bursts may fill the slowest of the tail only, or all but the very slowest: the worst depth counts.
    deepest = max(_DEEP, math.ceil(count / _DEEPEST_SHARE))
    depths = np.minimum(most, np.geomspace(_LEAST_DEPTH, deepest, _DEPTHS).round().astype(np.intp))
    size = max(slowest.beyond(float(falling[depth])).design_effect() for depth in np.unique(depths))

    wanted = np.arange(min(_EXACT_POINTS, most) + 1)
    if most > _EXACT_POINTS:
        wanted = np.append(wanted, np.geomspace(_EXACT_POINTS, most, _SPREAD_POINTS).astype(np.intp))
    timeouts = sorted({min(round_up(float(falling[k])), every.deadline_s) for k in wanted}, reverse=True)
    slow: list[_Replies] = []
    left = slowest
    for timeout_s in reversed(timeouts):
        left = left.beyond(timeout_s)
        slow.insert(0, left)
    points = _points(timeouts, slow, operations, size)
    asked = None
    if asked_s is not None:
        beyond = (slowest if asked_s >= least_s else every).beyond(asked_s)
        (alone,) = _points([asked_s], [beyond], operations, size)
        longer = [each.upper for each in points if each.timeout_s >= asked_s]
        asked = Point(
            asked_s, alone.seen, alone.clusters, alone.estimate, max([alone.upper, *longer]), alone.worst_path
        )
    return Tail(tuple(reversed(points)), operations, size, asked)


def _points(timeouts: list[float], slow: list[_Replies], operations: int, size: float) -> list[Point]:
    """What is seen beyond falling timeouts; bounds never fall with them."""
    seen = np.array([len(each.rtt_s) for each in slow], dtype=np.float64)
    unseen = np.array([each.lost for each in slow]) * (np.array(timeouts) > slow[0].deadline_s)
    effects = np.array([max(size, each.design_effect()) for each in slow])
    uppers = np.maximum.accumulate(upper_exceedances((seen + unseen) / effects, operations / effects))
    return [
        Point(
            timeout_s,
            len(each.rtt_s),
            count_clusters(each.time_s, each.run_s),
            len(each.rtt_s) / operations,
            upper,
            each.worst_path(),
        )
        for timeout_s, each, upper in zip(timeouts, slow, uppers.tolist(), strict=True)
    ]
