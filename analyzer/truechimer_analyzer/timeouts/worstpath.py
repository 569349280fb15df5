"""What may be promised to a stream that keeps to one path, whichever: the worst path's own evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from truechimer_analyzer.timeouts.tail import CONFIDENCE, NONE_SEEN, run_length_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Operations


def worst_path_upper(of: Operations, timeout_s: float, cluster_size: float = 1.0) -> float:
    """The probability that ``timeout_s`` is exceeded by an operation of the worst path, at most.

    One-sided 95 % over all paths at once: each path's Clopper–Pearson bound on its own clusters (of at
    least ``cluster_size`` operations where there is but one path), at a 1 − 0.05 / paths confidence
    (Bonferroni). A path that was hardly probed is a path of which nearly nothing can be promised.
    """
    operations = of.by_path
    probed = np.flatnonzero(operations)
    if not len(probed):
        return 1.0
    slow = of.rtt_s > timeout_s
    seen = np.bincount(of.path[slow], minlength=len(operations))[probed]
    clusters = _clusters(of.time_s[slow], of.path[slow], len(operations), run_length_s(of.time_s, of.path))
    clusters = clusters[probed]
    least = cluster_size if len(probed) == 1 else 1.0
    sizes = np.maximum(least, seen / np.maximum(clusters, 1))
    n_eff = operations[probed] / sizes
    # Ties of evidence are many among hundreds of paths: the thinnest of those with as many clusters counts.
    counts, group = np.unique(clusters, return_inverse=True)
    thinnest = np.full(len(counts), np.inf)
    np.minimum.at(thinnest, group, n_eff)
    miss = (1 - CONFIDENCE) / len(probed)
    with np.errstate(invalid="ignore"):
        exact = beta.ppf(1 - miss, counts + 1, thinnest - counts)
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
