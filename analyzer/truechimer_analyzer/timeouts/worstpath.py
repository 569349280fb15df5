"""What may be promised to a stream that keeps to one path, whichever: the worst path's own evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from truechimer_analyzer.timeouts.clusters import run_length_s
from truechimer_analyzer.timeouts.tail import CONFIDENCE, NONE_SEEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Operations

# The slowest of the tail, which tell how slow replies of one path come together.
_LEAST_SLOWEST = 5
_SLOWEST_SHARE = 1000


def worst_path_upper(of: Operations, timeout_s: float, cluster_size: float = 1.0) -> float:
    """The probability that ``timeout_s`` is exceeded by an operation of the worst path, at most.

    One-sided 95 % over all paths at once: each path's Clopper–Pearson bound on its own clusters, of at least
    the mean size within a path among the slowest replies (``cluster_size`` for a single path), at a
    confidence of 1 − 0.05 / paths (Bonferroni). Of a path that was
    hardly probed nearly nothing can be promised.
    """
    operations = of.by_path
    probed = np.flatnonzero(operations)
    if not len(probed):
        return 1.0
    slow = of.rtt_s > timeout_s
    seen = np.bincount(of.path[slow], minlength=len(operations))[probed]
    run_s = run_length_s(of.time_s, of.path, None if of.unlisted is None else of.unlisted.gap_s)
    clusters = _clusters(of.time_s[slow], of.path[slow], len(operations), run_s)[probed]
    least = cluster_size
    if len(probed) > 1:
        rank = max(0, len(of.rtt_s) - 1 - max(_LEAST_SLOWEST, of.replies // _SLOWEST_SHARE))
        slowest = np.flatnonzero(of.rtt_s > np.partition(of.rtt_s, rank)[rank])
        runs = _clusters(of.time_s[slowest], of.path[slowest], len(operations), run_s)
        least = max(1.0, len(slowest) / max(1, int(runs.sum())))
    sizes = np.maximum(least, seen / np.maximum(clusters, 1))
    n_eff = operations[probed] / sizes
    # Ties of evidence are many among hundreds of paths: the thinnest of those with as many counts.
    counts, group = np.unique(seen / sizes, return_inverse=True)
    thinnest = np.full(len(counts), np.inf)
    np.minimum.at(thinnest, group, n_eff)
    miss = (1 - CONFIDENCE) / len(probed)
    with np.errstate(invalid="ignore"):
        exact = betaincinv(counts + 1, np.maximum(thinnest - counts, 0.0), 1 - miss)
    none_seen = (NONE_SEEN + math.log(len(probed))) / thinnest
    uppers = np.where(counts == 0, none_seen, np.where(thinnest > counts, exact, 1.0))
    return min(1.0, float(uppers.max()))


def _clusters(
    time_s: NDArray[np.float64], path: NDArray[np.intp], paths: int, run_s: float
) -> NDArray[np.intp]:
    """Runs of each path's times no more than ``run_s`` apart."""
    order = np.lexsort((time_s, path))
    time_s, path = time_s[order], path[order]
    begins = np.ones(len(path), dtype=np.bool_)
    begins[1:] = (np.diff(path) != 0) | (np.diff(time_s) > run_s)
    return np.bincount(path[begins], minlength=paths)
