"""The one instant that a cluster's answer is about, and where in each node's S it lies.

S of two nodes have nothing to do with each other: they may be hours apart. What orders them is the evidence
itself. **The instant is defined by UTC**: it is when UTC was ``at_s``. A node's S then was
``at_s`` − (UTC − S), and UTC − S is bounded by the node's own servers or, through exchanges, by those of its
peers. Where no node of a connected part has a bound of UTC, the instant is defined by S of one of them, its
*root*, and ``at_s`` is only what that node's stamps make of it.

No arrival time and no stamp is trusted to place anything. ``place`` guesses, so that the sums that follow are
of small numbers; ``placing`` proves where each node's S was, however good the guess.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.skew.reading import Cluster, Evidence
    from truechimer_analyzer.skew.walls import Watch

LEAST_DOUBT_S = 0.25
MOST_DOUBT_S = 15.0
"""A node of which it is not known to this when the instant was is left out: it would delay all others."""
BEHIND_S = 120.0
"""A node whose W is told so much less far than that of half the others is left out likewise."""


@dataclass(frozen=True, slots=True)
class Places:
    """S of every node at an instant UTC = t lies within ``doubt_s`` of t − ``offset_s``.

    NaN: no place. ``root``: the node that defines the instant for this one; 0: UTC does.
    """

    offset_s: Floats
    doubt_s: Floats
    root: Indexes

    def span_s(self, node: int, at_s: float) -> tuple[float, float]:
        """Of S of a node."""
        middle_s = at_s - self.offset_s[node]
        return float(middle_s - self.doubt_s[node]), float(middle_s + self.doubt_s[node])


def place(cluster: Cluster, evidence: Evidence) -> Places:
    """Where every node's S stands, as well as can be guessed: the median of what is known of each.

    What is known: its own bound of UTC, and those of the peers that it exchanged packets with.
    """
    own_s = _own_s(cluster)
    near = _neighbours(cluster)
    placed_s = dict(own_s)
    root = np.zeros(cluster.count, dtype=np.intp)
    _spread(placed_s, near, root)
    for node in _roots(cluster, near):
        if node not in placed_s:
            offset_s = _stamped(cluster, evidence, node)
            if math.isfinite(offset_s):
                root[node] = node
                placed_s[node] = offset_s
                _spread(placed_s, near, root)
    about_s, doubt_s = np.full((2, cluster.count), np.nan)
    for node, found_s in placed_s.items():
        # Once all have a place, nobody's own word outweighs that of his peers.
        about_s[node] = (
            statistics.median([own_s[node], *_views_s(node, placed_s, near)]) if node in own_s else found_s
        )
        doubt_s[node] = LEAST_DOUBT_S
    about_s[UTC] = doubt_s[UTC] = 0.0
    return Places(about_s, doubt_s, root)


def behind(places: Places, watches: Mapping[int, Watch]) -> list[int]:
    """The nodes whose W is told much less far than that of the others."""
    until_s = {node: watch.until_s + places.offset_s[node] for node, watch in watches.items()}
    known = sorted(each for each in until_s.values() if math.isfinite(each))
    if not known:
        return []
    usual_s = known[(len(known) - 1) // 2]
    return [node for node, each in until_s.items() if each < usual_s - BEHIND_S]


def latest(places: Places, watches: Mapping[int, Watch]) -> float:
    """The latest instant (UTC, Unix s, a whole microsecond) at which it is told what every W was.

    NaN without nodes.
    """
    ends = [watch.until_s - places.doubt_s[node] + places.offset_s[node] for node, watch in watches.items()]
    known = [end_s for end_s in ends if math.isfinite(end_s)]
    return math.floor(min(known) * 1e6) / 1e6 if known else math.nan


def _own_s(cluster: Cluster) -> dict[int, float]:
    """UTC − S of nodes with bounds of their own; by S the last."""
    bounds = cluster.bounds
    last = np.flatnonzero(np.diff(bounds.node, append=-1))
    middle_s = (bounds.lower_s[last] + bounds.upper_s[last]) / 2
    return dict(zip(bounds.node[last].tolist(), middle_s.tolist(), strict=True))


def _neighbours(cluster: Cluster) -> dict[int, list[tuple[int, float]]]:
    """Per node: (peer, S_peer − S_node) by the last exchange of each probing the other."""
    exchanges = cluster.exchanges
    order = np.lexsort((exchanges.steady_s, exchanges.head, exchanges.tail))
    key = exchanges.tail[order] * cluster.count + exchanges.head[order]
    last = order[np.diff(key, append=-1) != 0]
    middle_s = (exchanges.lower_s[last] + exchanges.upper_s[last]) / 2
    near: dict[int, list[tuple[int, float]]] = {}
    ends = (exchanges.tail[last].tolist(), exchanges.head[last].tolist(), middle_s.tolist())
    for tail, head, apart_s in zip(*ends, strict=True):
        near.setdefault(tail, []).append((head, apart_s))
        near.setdefault(head, []).append((tail, -apart_s))
    return near


def _views_s(
    node: int, placed_s: Mapping[int, float], near: Mapping[int, Sequence[tuple[int, float]]]
) -> list[float]:
    """UTC − S of a node as each of its placed peers would have it: theirs, plus S_peer − S_node."""
    return [placed_s[peer] + apart_s for peer, apart_s in near.get(node, ()) if peer in placed_s]


def _spread(
    placed_s: dict[int, float], near: Mapping[int, Sequence[tuple[int, float]]], root: Indexes
) -> None:
    """From those that have a place to their peers, and on, ring by ring."""
    ring = set(placed_s)
    while ring:
        reached = {peer for node in ring for peer, _ in near.get(node, ())} - placed_s.keys()
        found_s = {node: statistics.median(_views_s(node, placed_s, near)) for node in reached}
        for node in reached:
            root[node] = next(root[peer] for peer, _ in near[node] if peer in placed_s)
        placed_s.update(found_s)
        ring = reached


def _roots(cluster: Cluster, near: Mapping[int, Sequence[tuple[int, float]]]) -> list[int]:
    """Nodes in the order in which they are taken to define an instant: those that tell of W come first."""
    return sorted(
        range(1, cluster.count), key=lambda node: (not len(cluster.clocks[node]), -len(near.get(node, ())))
    )


def _stamped(cluster: Cluster, evidence: Evidence, node: int) -> float:
    """UTC − S of a node as its own stamps have it; NaN when it sent nothing of its present epoch."""
    mine = cluster.exchanges.tail == node
    for columns, rows in (
        (evidence.clocks, cluster.clocks[node]),
        (evidence.exchanges, cluster.exchanges.row[mine]),
    ):
        if len(rows):
            return float(np.median(columns.time_ns[rows] / NS - columns.fields["steady_seconds"][rows]))
    return math.nan
