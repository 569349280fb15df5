"""Round trips per path: percentiles of the replies, and everything that was no reply counted apart.

A lost probe is censored at its deadline: it has no round trip, so it is in no percentile, and says so
in ``lost``. A percentile is given only where at least one reply lies beyond its own rank: p50 from
2 replies, p90 from 10, p99 from 100, p99.9 from 1000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer.samples import ProbeOutcome
from truechimer_analyzer.window import NS, groups, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

FIELDS = ("outcome", "rtt_seconds")
PATH_FIELDS = ("lost_forward", "lost_backward")
# (name, quantile, replies that it takes)
PERCENTILES = (("p50_s", 0.5, 2), ("p90_s", 0.9, 10), ("p99_s", 0.99, 100), ("p999_s", 0.999, 1000))
CURVE_POINTS = 60
_COUNTED = tuple(o for o in ProbeOutcome if o is not ProbeOutcome.REPLY)


def describe(
    probes: Columns, paths: Columns | None = None, *, histogram: bool = False
) -> list[dict[str, object]]:
    """One dict per (cluster, node, peer, via), as the contract's ``rtt`` has them.

    ``probes`` are rows of truechimer_rtt with ``FIELDS``; ``paths`` rows of truechimer_path with
    ``PATH_FIELDS``, for the losses of each direction (null where no row tells them). ``histogram`` adds
    ``curve``.
    """
    directions = _directions(paths)
    answer: list[dict[str, object]] = []
    tags = probes.tags
    outcome, rtt_s = probes.fields["outcome"], probes.fields["rtt_seconds"]
    for (cluster, node, peer, via), rows in groups(tags["cluster"], tags["node"], tags["peer"], tags["via"]):
        codes = outcome[rows]
        replies = rtt_s[rows][codes == ProbeOutcome.REPLY]
        replies = np.sort(replies[np.isfinite(replies)])
        times = probes.time_ns[rows]
        forward, backward = (
            directions.get((cluster, node, peer), (None, None)) if via == "stamp" else (None, None)
        )
        path: dict[str, object] = {
            "cluster": cluster,
            "node": node,
            "peer": peer,
            "via": via,
            "count": len(rows),
            "replies": len(replies),
            **{o.name.lower(): int(np.count_nonzero(codes == o)) for o in _COUNTED},
            "lost_forward": forward,
            "lost_backward": backward,
            "min_s": number(replies[0]) if len(replies) else None,
            **percentiles(replies),
            "max_s": number(replies[-1]) if len(replies) else None,
            "span_s": float(times.max() - times.min()) / NS,
        }
        if histogram:
            path["curve"] = curve(replies)
        answer.append(path)
    return answer


def percentiles(ordered: NDArray[np.float64]) -> dict[str, float | None]:
    """The ``PERCENTILES`` of ascending values: observed ones, rounded up; None where too few support them."""
    return {
        name: float(ordered[_rank(quantile, len(ordered))]) if len(ordered) >= least else None
        for name, quantile, least in PERCENTILES
    }


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


def _directions(paths: Columns | None) -> dict[tuple[str, ...], tuple[int | None, int | None]]:
    if paths is None:
        return {}
    forward, backward = (paths.fields[name] for name in PATH_FIELDS)
    return {
        key: (_told(forward[rows]), _told(backward[rows]))
        for key, rows in groups(paths.tags["cluster"], paths.tags["node"], paths.tags["peer"])
    }


def _told(losses: NDArray[np.float64]) -> int | None:
    """Their sum; None where no row tells: a direction that is unknown has not lost nothing."""
    known = losses[np.isfinite(losses)]
    return int(known.sum()) if len(known) else None
