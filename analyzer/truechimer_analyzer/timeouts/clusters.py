"""How slow replies come together, and so how few independent ones they are worth.

Three measures. *Runs*: exceedances within ``run_s`` of each other are one cluster. The *design effect*: how
many times more the number of exceedances varies than that of independent ones would. The *extremal index* by
the intervals estimator, which needs no run length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN_S = 10.0
# Where probes are rare, a burst's probes are this many gaps apart at most.
RUN_GAPS = 3.0
# Gaps are looked at in so many replies of the middle: all of a long record tell no more.
_GAPS_FROM = 1_000_000
# Runs that this share of the time belongs to would merge by chance too often to tell bursts.
_CROWDED = 0.05
# Few runs tell their size badly: its upper bound counts, one-sided 95 %.
_ERRORS = 1.645
# Blocks that counts are compared in, in run lengths, and how many of them it takes.
_BLOCK_RUNS = (6.0, 36.0)
_LEAST_BLOCKS = 100.0
_FEW = 8
_TOGETHER = 0.25


def count_clusters(times_s: NDArray[np.float64], run_s: float = RUN_S) -> int:
    """How many runs there are of times no more than ``run_s`` apart; any order."""
    if not len(times_s):
        return 0
    # A stable sort of what is in order already is one pass.
    ascending = np.sort(times_s, kind="stable")
    return 1 + int(np.count_nonzero(ascending[1:] - ascending[:-1] > run_s))


def run_length_s(time_s: NDArray[np.float64], path: NDArray[np.intp], gap_s: float | None = None) -> float:
    """How near each other slow replies are one event: ``RUN_S``, or ``RUN_GAPS`` of a path's median gap.

    ``gap_s`` is that gap where not all replies are listed. Of a long record the middle is looked at, which
    takes ``time_s`` to ascend.
    """
    if gap_s is not None:
        return _run_s(gap_s)
    if len(time_s) > _GAPS_FROM:
        begin = (len(time_s) - _GAPS_FROM) // 2
        time_s, path = time_s[begin : begin + _GAPS_FROM], path[begin : begin + _GAPS_FROM]
    order = np.lexsort((time_s, path))
    gaps = np.diff(time_s[order])[np.diff(path[order]) == 0]
    return _run_s(float(np.median(gaps))) if len(gaps) else RUN_S


def _run_s(gap_s: float) -> float:
    # Of two digits: jitter is to decide nothing, and replies that are as many gaps apart are many.
    return max(RUN_S, RUN_GAPS * float(f"{gap_s:.2g}"))


def design_effect(times_s: NDArray[np.float64], run_s: float, span_s: float) -> float:
    """How many exceedances tell as much as one independent one: 1 when they come at random, ascending times.

    The greater of two. The size of the run that the average exceedance is in, Σ size² / Σ size, unless they
    are so many that runs merge by chance, or merge no oftener than that: the variance of a sum of clusters
    goes with the square of their sizes (Korn and Graubard, Survey Methodology 24, 1998, use it as here). In a
    record too short for chance to be told from bursts, a few exceedances have the runs that they show, and
    more of them where all are within a quarter of it. A few runs tell it too low: 1.645 standard errors of
    the ratio are added. And the Allan factor of their counts, half the mean square of the
    difference of neighbouring blocks by the mean count (Lowen and Teich, Fractal-Based Point Processes):
    it sees longer correlation, and never mistakes a rate that changes slowly, as through a day, for bursts.
    """
    if len(times_s) < 2:
        return 1.0
    found = 1.0
    sizes = _sizes(times_s, run_s)
    is_short = span_s * _CROWDED < run_s
    shown = is_short and (len(times_s) <= _FEW or times_s[-1] - times_s[0] <= _TOGETHER * span_s)
    room = len(sizes) * run_s <= _CROWDED * span_s
    if shown or (room and _are_bursts(len(times_s), len(sizes), run_s / span_s)):
        found = float((sizes * sizes).sum() / sizes.sum())
        errors = sizes * (sizes - found)
        found += _ERRORS * float(np.sqrt((errors * errors).sum()) / sizes.sum())
    for runs in _BLOCK_RUNS:
        block_s = runs * run_s
        if block_s * _LEAST_BLOCKS <= span_s:
            found = max(found, _allan_factor(times_s, block_s))
    return found


def _are_bursts(count: int, runs: int, run_share: float) -> bool:
    """Whether more of ``count`` exceedances join another's run than random ones do 19 times in 20."""
    expected = -count * math.expm1(-count * run_share)
    return count - runs > expected + 1.645 * math.sqrt(expected) + 0.5


def _sizes(ascending: NDArray[np.float64], apart: float) -> NDArray[np.float64]:
    """How many values are in each run of those no more than ``apart`` from the one before."""
    ends = np.flatnonzero(ascending[1:] - ascending[:-1] > apart) + 1
    bounds = np.concatenate([[0], ends, [len(ascending)]]).astype(np.float64)
    return bounds[1:] - bounds[:-1]


def _allan_factor(times_s: NDArray[np.float64], block_s: float) -> float:
    blocks = np.floor((times_s - times_s[0]) / block_s + 0.5)
    counts = _sizes(blocks, 0.0)
    ends = np.cumsum(counts).astype(np.intp) - 1
    neighbours = blocks[ends[1:]] - blocks[ends[:-1]] == 1
    apart = (counts * counts).sum() - (counts[1:] * counts[:-1])[neighbours].sum()
    return float(apart / len(times_s))


def extremal_index(positions: NDArray[np.intp]) -> float:
    """θ: the share of exceedances that begin a cluster, from where they stand in the sequence (ascending).

    The intervals estimator, Ferro and Segers, Journal of the Royal Statistical Society B 65, 2003, equations
    4 and 5: the times between exceedances are a mixture of 0 and an exponential. 1 from fewer than 2. A
    change of regime counts as a cluster here.
    """
    gaps = np.diff(positions).astype(np.float64)
    if not len(gaps):
        return 1.0
    if gaps.max() <= 2:
        theta = 2 * gaps.sum() ** 2 / (len(gaps) * (gaps * gaps).sum())
    else:
        theta = 2 * (gaps - 1).sum() ** 2 / (len(gaps) * ((gaps - 1) * (gaps - 2)).sum())
    return float(min(1.0, theta))
