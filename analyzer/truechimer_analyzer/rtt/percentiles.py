"""Percentiles and the exceedance curve of observed values.

A percentile is given only where at least one value lies beyond its own rank: p50 from 2 values, p90 from
10, p99 from 100, p99.9 from 1000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# (name, quantile, values that it takes)
PERCENTILES = (("p50_s", 0.5, 2), ("p90_s", 0.9, 10), ("p99_s", 0.99, 100), ("p999_s", 0.999, 1000))
CURVE_POINTS = 60


def percentiles(values: NDArray[np.float64], *, ordered: bool = True) -> dict[str, float | None]:
    """The ``PERCENTILES``: observed values, rounded up; None where too few support them.

    ``ordered`` says that the values ascend; without it they are put in order only as far as is needed.
    """
    count = len(values)
    ranks = {name: _rank(quantile, count) for name, quantile, least in PERCENTILES if count >= least}
    if not ordered and ranks:
        values = np.partition(values, sorted(set(ranks.values())))
    return {name: float(values[ranks[name]]) if name in ranks else None for name, _, _ in PERCENTILES}


def curve(ordered: NDArray[np.float64]) -> list[dict[str, float]]:
    """At most ``CURVE_POINTS`` of the empirical exceedance, evenly spread over its logarithm.

    ``exceedance`` is the share of replies that took longer than ``rtt_s``; the last point is the
    longest reply, drawn at half a reply because the logarithm has no zero.
    """
    count = len(ordered)
    if not count:
        return []
    beyond = np.unique(np.round(np.geomspace(1, count, CURVE_POINTS - 1)).astype(np.intp))[::-1]
    points = [
        {"exceedance": float(k) / count, "rtt_s": float(ordered[max(count - 1 - k, 0)])} for k in beyond
    ]
    return [*points, {"exceedance": 0.5 / count, "rtt_s": float(ordered[-1])}]


def _rank(quantile: float, count: int) -> int:
    return min(count - 1, int(np.ceil(quantile * count)) - 1)
