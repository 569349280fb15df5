"""The tail of measured delays, honestly: how often a timeout would be exceeded, at most.

Samples that belong together say less than their number. Exceedances within ``RUN_S`` of each other are
one cluster, and n_eff = n / (mean size of a cluster) is what bounds are made from: with clusters of 5,
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


def count_clusters(times_s: NDArray[np.float64]) -> int:
    """How many runs there are of times no more than ``RUN_S`` apart; any order."""
    if not len(times_s):
        return 0
    return 1 + int(np.count_nonzero(np.diff(np.sort(times_s)) > RUN_S))


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
    """

    points: tuple[Point, ...]
    operations: int
    cluster_size: float

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

    def at(self, timeout_s: float) -> Point | None:
        """The nearest point at or below ``timeout_s``: it says at least as many false timeouts."""
        below = [point for point in self.points if point.timeout_s <= timeout_s]
        return below[-1] if below else None


def measure(
    rtt_s: NDArray[np.float64],
    time_s: NDArray[np.float64],
    path: NDArray[np.intp],
    operations_by_path: NDArray[np.intp],
) -> Tail:
    """The tail of replies (≥ 1) with their times and path numbers; operations include the lost ones.

    Paths are pooled, weighted by how often each was probed; a run of exceedances on several paths at
    once (a stopped host, a failing switch) is one cluster.
    """
    order = np.argsort(-rtt_s, kind="stable")
    falling = rtt_s[order]
    ascending = falling[::-1]
    count, operations = len(falling), int(operations_by_path.sum())

    def seen_beyond(timeout_s: float) -> int:
        return count - int(np.searchsorted(ascending, timeout_s, side="right"))

    reference = order[: seen_beyond(float(falling[min(count - 1, max(5, math.ceil(count / 1000)))]))]
    size = len(reference) / count_clusters(time_s[reference]) if len(reference) else 1.0
    most = min(count - 1, max(count // 2, 1), _MOST_EXCEEDANCES)
    wanted = {*range(min(_EXACT_POINTS, most) + 1)}
    if most > _EXACT_POINTS:
        wanted |= {int(k) for k in np.geomspace(_EXACT_POINTS, most, _SPREAD_POINTS)}
    points: list[Point] = []
    worst = 0.0
    for timeout_s in sorted({round_up(float(falling[k])) for k in wanted}, reverse=True):
        beyond = order[: seen_beyond(timeout_s)]
        seen, clusters = len(beyond), count_clusters(time_s[beyond])
        size_here = max(size, seen / clusters) if clusters else size
        worst = max(worst, upper_exceedance(clusters, operations / size_here))
        shares = np.bincount(path[beyond], minlength=len(operations_by_path)) / np.maximum(
            operations_by_path, 1
        )
        points.append(Point(timeout_s, seen, clusters, seen / operations, worst, float(shares.max())))
    return Tail(tuple(reversed(points)), operations, size)
