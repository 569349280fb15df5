"""Since when: the flags of a node taken back to where each began, and its bounds over time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.samples import BoundStatus, Flag, ServerVerdict
from truechimer_analyzer.nodeclock import NodeClock, Raised, named, per_node, status_flag
from truechimer_analyzer.window import groups, iso, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.stores import Columns


BOUND_FIELDS = ("lower_seconds", "upper_seconds", "status", "reason")
SERVER_FIELDS = ("verdict",)


def dated(
    nodes: list[NodeClock], bounds: Columns, servers: Columns, limits: LimitsConfig, *, points: int = 0
) -> list[NodeClock]:
    """The nodes with ``since`` of their lasting flags taken back to where each began.

    ``bounds`` (``BOUND_FIELDS``) and ``servers`` (``SERVER_FIELDS``) are the window's rows of the flagged
    nodes. ``points`` > 0 adds each node's ``history`` of bounds, thinned to that many.
    """
    told, voted = per_node(bounds), per_node(servers)
    nothing = np.zeros(0, dtype=np.intp)
    answer = []
    for node in nodes:
        mine, theirs = _ascending(bounds, told.get(node.key, nothing)), voted.get(node.key, nothing)
        flags = tuple(_dated(raised, bounds, mine, servers, theirs, limits) for raised in node.flags)
        answer.append(replace(node, flags=flags, history=_history(bounds, mine, points)))
    return answer


LASTING = frozenset(
    {
        Flag.DISRUPTED,
        Flag.NO_MAJORITY,
        Flag.SOURCES_BLOCKED,
        Flag.UNSYNCHRONISED,
        Flag.OFFSET,
        Flag.FALSETICKER_IN_USE,
    }
)


def _dated(
    raised: Raised,
    bounds: Columns,
    mine: NDArray[np.intp],
    servers: Columns,
    theirs: NDArray[np.intp],
    limits: LimitsConfig,
) -> Raised:
    if raised.flag not in LASTING:
        return raised
    since: int | None = None
    if raised.flag is Flag.FALSETICKER_IN_USE:
        for _, rows in groups(servers.tags["server"][theirs]):
            one = _ascending(servers, theirs[rows])
            began = _run_start(
                servers.time_ns[one], servers.fields["verdict"][one] == ServerVerdict.FALSETICKER
            )
            since = began if since is None or (began is not None and began < since) else since
    elif raised.flag is Flag.OFFSET:
        lower, upper = bounds.fields["lower_seconds"][mine], bounds.fields["upper_seconds"][mine]
        beyond = (lower > limits.max_offset_s) | (upper < -limits.max_offset_s)
        since = _run_start(bounds.time_ns[mine], beyond)
    else:
        status, reason = bounds.fields["status"][mine], bounds.fields["reason"][mine]
        same = [status_flag(s, r) is raised.flag for s, r in zip(status, reason, strict=True)]
        since = _run_start(bounds.time_ns[mine], np.array(same, dtype=np.bool_))
    earlier = since is not None and (raised.since_ns is None or since < raised.since_ns)
    return replace(raised, since_ns=since) if earlier else raised


def _run_start(time_ns: NDArray[np.int64], holds: NDArray[np.bool_]) -> int | None:
    """When the run of true values that reaches the end began; None when the last is false."""
    if not len(holds) or not holds[-1]:
        return None
    broken = np.flatnonzero(~holds)
    return int(time_ns[broken[-1] + 1 if len(broken) else 0])


def _history(bounds: Columns, rows: NDArray[np.intp], points: int) -> tuple[dict[str, object], ...]:
    if points <= 0 or not len(rows):
        return ()
    # The widest of each stretch stands for it, so that thinning never makes a clock look better.
    width = bounds.fields["upper_seconds"][rows] - bounds.fields["lower_seconds"][rows]
    width = np.where(np.isnan(width), np.inf, width)
    shown = [
        int(part[np.argmax(width[part])])
        for part in np.array_split(np.arange(len(rows)), points)
        if len(part)
    ]
    return tuple(
        {
            "at": iso(int(bounds.time_ns[row])),
            "lower_s": number(bounds.fields["lower_seconds"][row]),
            "upper_s": number(bounds.fields["upper_seconds"][row]),
            "status": named(BoundStatus, bounds.fields["status"][row], BoundStatus.UNKNOWN).name.lower(),
        }
        for row in rows[shown]
    )


def _ascending(columns: Columns, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[np.argsort(columns.time_ns[rows], kind="stable")]
