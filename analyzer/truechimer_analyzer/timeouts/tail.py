"""The tail of measured delays, honestly: how often a timeout would be exceeded, at most.

Samples that belong together say less than their number. Exceedances within ``run_length_s`` of each other
are one cluster, and n_eff = n / (mean size of a cluster) is what bounds are made from: with clusters of 5,
"none seen" in n samples only supports 3 · 5 / n. Nothing is claimed beyond the longest delay seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN_S = 10.0
# Where probes are rare, a burst's probes are this many gaps apart at most.
RUN_GAPS = 3.0
# How clustered the tail is, is looked at at this many depths, from the five slowest to this share.
_DEPTHS = 12
_LEAST_DEPTH = 5
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
    if n_eff <= exceedances or n_eff <= 0:
        return 1.0
    if exceedances <= 0:
        return min(1.0, NONE_SEEN / n_eff)
    return float(beta.ppf(CONFIDENCE, exceedances + 1, n_eff - exceedances))


def count_clusters(times_s: NDArray[np.float64], run_s: float = RUN_S) -> int:
    """How many runs there are of times no more than ``run_s`` apart; any order."""
    if not len(times_s):
        return 0
    return 1 + int(np.count_nonzero(np.diff(np.sort(times_s)) > run_s))


def run_length_s(time_s: NDArray[np.float64], path: NDArray[np.intp], gap_s: float | None = None) -> float:
    """How near each other slow replies are one event: ``RUN_S``, or ``RUN_GAPS`` of a path's median gap.

    ``gap_s`` is that gap where not all replies are listed.
    """
    if gap_s is not None:
        return max(RUN_S, RUN_GAPS * gap_s)
    order = np.lexsort((time_s, path))
    gaps = np.diff(time_s[order])[np.diff(path[order]) == 0]
    return max(RUN_S, RUN_GAPS * float(np.median(gaps))) if len(gaps) else RUN_S


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
    ``asked`` is the timeout that was asked about, however short or long.
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


def measure(
    rtt_s: NDArray[np.float64],
    time_s: NDArray[np.float64],
    path: NDArray[np.intp],
    operations_by_path: NDArray[np.intp],
    asked_s: float | None = None,
    gap_s: float | None = None,
) -> Tail:
    """The tail of replies (≥ 1) with their times and path numbers; operations include the lost ones.

    Paths are pooled, weighted by how often each was probed; a run of exceedances on several paths at
    once (a stopped host, a failing switch) is one cluster. ``asked_s`` is a timeout to look at besides,
    ``gap_s`` how far apart a path's operations are where the quickest of them are not listed.
    """
    order = np.argsort(-rtt_s, kind="stable")
    falling = rtt_s[order]
    ascending = falling[::-1]
    count, operations = len(falling), int(operations_by_path.sum())
    run_s = run_length_s(time_s, path, gap_s)

    def beyond(timeout_s: float) -> NDArray[np.intp]:
        return order[: count - int(np.searchsorted(ascending, timeout_s, side="right"))]

    # Bursts may fill the slowest of the tail only, or all but the very slowest: the worst depth counts.
    depths = np.geomspace(_LEAST_DEPTH, max(_LEAST_DEPTH, math.ceil(count / _DEEPEST_SHARE)), _DEPTHS)
    size = 1.0
    for depth in {min(count - 1, round(depth)) for depth in depths.tolist()}:
        slow = beyond(float(falling[depth]))
        if len(slow):
            size = max(size, len(slow) / count_clusters(time_s[slow], run_s))

    def point(timeout_s: float, least_upper: float) -> Point:
        slow = beyond(timeout_s)
        seen, clusters = len(slow), count_clusters(time_s[slow], run_s)
        size_here = max(size, seen / clusters) if clusters else size
        upper = max(least_upper, upper_exceedance(clusters, operations / size_here))
        shares = np.bincount(path[slow], minlength=len(operations_by_path)) / np.maximum(
            operations_by_path, 1
        )
        return Point(timeout_s, seen, clusters, seen / operations, upper, float(shares.max()))

    most = min(count - 1, max(count // 2, 1), _MOST_EXCEEDANCES)
    wanted = {*range(min(_EXACT_POINTS, most) + 1)}
    if most > _EXACT_POINTS:
        wanted |= {int(k) for k in np.geomspace(_EXACT_POINTS, most, _SPREAD_POINTS)}
    points: list[Point] = []
    for timeout_s in sorted({round_up(float(falling[k])) for k in wanted}, reverse=True):
        points.append(point(timeout_s, points[-1].upper if points else 0.0))
    asked = None
    if asked_s is not None:
        asked = point(asked_s, max((each.upper for each in points if each.timeout_s >= asked_s), default=0.0))
    return Tail(tuple(reversed(points)), operations, size, asked)
