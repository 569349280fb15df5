"""Which servers agree with which: the camps of a node that has no majority."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.clocks.judgement import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.clocks.past import Heard

LATE_S = 64.0
"""Replies of the last polls together say more of a server than its last one."""
UNSEEN_PPM = 20.0
"""How fast UTC − W moves at most on an ordinary host between those replies: nobody bounds it meanwhile."""
NS = 1_000_000_000


def evidence(servers: Mapping[str, Heard], as_of_ns: int, since_ns: int) -> dict[str, object]:
    """Every largest set of servers whose intervals share a point, the largest first, with what they share.

    Replies stamped before ``since_ns``, when W was stepped, say nothing. A server may stand in several
    camps when its interval is wide. ``split`` is their sizes: "2–2".
    """
    intervals = {
        name: interval
        for name, server in servers.items()
        if (interval := _interval(server, as_of_ns, since_ns)) is not None
    }
    found = camps(intervals)
    return {
        "camps": [
            {
                "servers": list(names),
                "lower_s": max(intervals[name].lower for name in names),
                "upper_s": min(intervals[name].upper for name in names),
            }
            for names in found
        ],
        "split": "–".join(str(len(names)) for names in found),
    }


def camps(intervals: Mapping[str, Interval]) -> list[tuple[str, ...]]:
    """The maximal sets of intervals with a common point: by size, then by place."""
    found: list[tuple[float, tuple[str, ...]]] = []
    # Intervals that share a point share the greatest of their lower ends.
    for point in sorted({interval.lower for interval in intervals.values()}):
        names = tuple(name for name, each in sorted(intervals.items()) if each.lower <= point <= each.upper)
        found = [(at, other) for at, other in found if not set(other) <= set(names)]
        if not any(set(names) <= set(other) for _, other in found):
            found.append((point, names))
    return [names for _, names in sorted(found, key=lambda each: (-len(each[1]), each[0]))]


def _interval(server: Heard, as_of_ns: int, since_ns: int) -> Interval | None:
    """What the server's late replies prove together, or its last one where they contradict each other."""
    known = server.replied & np.isfinite(server.lower_s) & np.isfinite(server.upper_s)
    rows = np.flatnonzero(known & (server.stamp_ns >= since_ns))
    if not len(rows):
        return None
    rows = rows[server.at_ns[rows] >= server.at_ns[rows[-1]] - round(LATE_S * NS)]
    moved_s = (as_of_ns - server.at_ns[rows]) / NS * UNSEEN_PPM * 1e-6
    lower_s, upper_s = server.lower_s[rows] - moved_s, server.upper_s[rows] + moved_s
    together = Interval(float(lower_s.max()), float(upper_s.min()))
    return together if together.lower <= together.upper else Interval(float(lower_s[-1]), float(upper_s[-1]))
