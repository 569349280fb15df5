"""Each path's figures: percentiles of its replies, and everything that was no reply counted apart.

A lost probe is censored at its deadline: it has no round trip, so it is in no percentile, and says so
in ``lost``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import ProbeOutcome, Via
from truechimer_analyzer.rtt import losses
from truechimer_analyzer.rtt.evidence import by_class, by_path
from truechimer_analyzer.rtt.percentiles import curve, percentiles
from truechimer_analyzer.window import NS, groups, iso, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.rtt.evidence import Evidence
    from truechimer_analyzer.rtt.settling import Settled
    from truechimer_analyzer.stores import Columns

HOUR_NS = 3600 * NS
_COUNTED = tuple(o for o in ProbeOutcome if o is not ProbeOutcome.REPLY)


def describe(
    evidence: Evidence, *, histogram: bool = False, by_hour: bool = False
) -> list[dict[str, object]]:
    """One dict per (cluster, node, peer, via, dscp), as the contract's ``rtt`` has them.

    ``histogram`` adds ``curve``, ``by_hour`` adds ``hours``. Losses by direction are null where no row of
    truechimer_path tells them.
    """
    probes, paths = evidence.probes, evidence.paths
    counters = dict(by_path(paths))
    answer: list[dict[str, object]] = []
    tags = probes.tags
    for (cluster, node, peer, via), every in groups(tags["cluster"], tags["node"], tags["peer"], tags["via"]):
        for dscp, rows in by_class(probes.fields["dscp"], every):
            key = (cluster, node, peer, dscp)
            mine = counters.get(key) if via == Via.STAMP else None
            path: dict[str, object] = {
                "cluster": cluster,
                "node": node,
                "peer": peer,
                "via": via,
                "dscp": dscp,
                **_figures(probes, rows, histogram=histogram),
                **_directions(paths, mine, evidence.settled.get(key)).document(),
            }
            if by_hour:
                path["hours"] = _hours(probes, rows, paths, mine)
            answer.append(path)
    return answer


def _figures(probes: Columns, rows: NDArray[np.intp], *, histogram: bool) -> dict[str, object]:
    codes, rtt_s = probes.fields["outcome"][rows], probes.fields["rtt_seconds"][rows]
    times = probes.time_ns[rows]
    replies = _replies(codes, rtt_s)
    known = codes[(codes >= 0) & (codes <= max(ProbeOutcome))].astype(np.int8)
    found = np.bincount(known, minlength=max(ProbeOutcome) + 1)
    outcomes = {o.name.lower(): int(found[o]) for o in _COUNTED}
    operations = len(replies) + outcomes["lost"]
    residence = probes.fields["reflector_seconds"][rows]
    inside = residence[np.isfinite(residence)]
    within = percentiles(inside, ordered=False)
    figures: dict[str, object] = {
        "count": len(rows),
        "replies": len(replies),
        **outcomes,
        "loss_ratio": losses.ratio(outcomes["lost"], operations),
        "loss_upper": losses.upper(outcomes["lost"], operations),
        "loss_exposure": operations,
        "min_s": number(replies[0]) if len(replies) else None,
        **percentiles(replies),
        "max_s": number(replies[-1]) if len(replies) else None,
        "reflector_p50_s": within["p50_s"],
        "reflector_p99_s": within["p99_s"],
        "reflector_max_s": number(inside.max()) if len(inside) else None,
        "span_s": float(times.max() - times.min()) / NS,
    }
    if histogram:
        figures["curve"] = curve(replies)
    return figures


def _replies(codes: NDArray[np.float64], rtt_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round trips, ascending."""
    return np.sort(rtt_s[(codes == ProbeOutcome.REPLY) & np.isfinite(rtt_s)])


def _directions(paths: Columns, rows: NDArray[np.intp] | None, settled: Settled | None) -> losses.Counted:
    if rows is None:
        return losses.UNTOLD
    found = losses.counted(paths.fields, rows)
    if settled is None:
        return found
    return replace(
        found,
        lost_forward=(found.lost_forward or 0) + settled.forward,
        lost_backward=(found.lost_backward or 0) + settled.backward,
        lost_undetermined=settled.undetermined,
    )


def _hours(
    probes: Columns, rows: NDArray[np.intp], paths: Columns, counters: NDArray[np.intp] | None
) -> list[dict[str, object]]:
    """The figures of each hour of UTC in which anything was probed; rows are in time order."""
    directions = {} if counters is None else dict(_by_hour(paths.time_ns, counters))
    answer: list[dict[str, object]] = []
    for hour, some in _by_hour(probes.time_ns, rows):
        codes = probes.fields["outcome"][some]
        replies = _replies(codes, probes.fields["rtt_seconds"][some])
        lost = int(np.count_nonzero(codes == ProbeOutcome.LOST))
        found = percentiles(replies)
        told = directions.get(hour)
        answer.append(
            {
                "from": iso(hour * HOUR_NS),
                "count": len(some),
                "replies": len(replies),
                "lost": lost,
                "lost_forward": None if told is None else losses.told(paths.fields["lost_forward"][told]),
                "lost_backward": None if told is None else losses.told(paths.fields["lost_backward"][told]),
                "loss_upper": losses.upper(lost, lost + len(replies)),
                "p50_s": found["p50_s"],
                "p99_s": found["p99_s"],
                "max_s": number(replies[-1]) if len(replies) else None,
            }
        )
    return answer


def _by_hour(time_ns: NDArray[np.int64], rows: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp]]]:
    hours = time_ns[rows] // HOUR_NS
    starts = np.flatnonzero(np.diff(hours)) + 1
    parts = np.split(rows, starts)
    return [(int(time_ns[part[0]]) // HOUR_NS, part) for part in parts if len(part)]
