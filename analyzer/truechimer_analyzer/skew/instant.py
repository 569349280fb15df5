"""The one instant that a cluster's answer is about, and where in each node's S it lies.

S of two nodes have nothing to do with each other: they may be hours apart. What orders them is the evidence
itself. **The instant is defined by UTC**: it is when UTC was ``at_s``. A node's S then was
``at_s`` − (UTC − S), and UTC − S is bounded by the node's own servers or, through exchanges, by those of its
peers. Where no node of a connected part has a bound of UTC, the instant is defined by S of one of them, its
*root*, and ``at_s`` is only what that node's stamps make of it.

So no arrival time and no stamp is trusted to place anything. The places are estimates to begin with, with a
doubt of at least a quarter of a second; they are assumed when exchanges are aged to the instant, and for
where to look W − S up. Then what the constraints prove is held against them (``proving``): a clock that is
proven to lie where it was assumed to lie does lie there. (Were it not so by x, each constraint on the
path that proves it would be false by less than a thousandth of the largest x, which cannot add up to it.)
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
STRAINED = 3
"""Each of up to two liars may have moved a place by the strain that his lie shows, and one may be its own."""
MOST_DOUBT_S = 15.0
"""A node of which it is not known to this when the instant was is left out: it would delay all others."""
BEHIND_S = 120.0
"""A node whose W is told so much less far than that of half the others is left out likewise."""


@dataclass(frozen=True, slots=True)
class Places:
    """S of every node at an instant UTC = t lies within ``doubt_s`` of t − ``offset_s``, it is assumed.

    NaN: no place. ``root``: the node that defines the instant for this one; 0: UTC does.
    """

    offset_s: Floats
    doubt_s: Floats
    root: Indexes

    def span_s(self, node: int, at_s: float) -> tuple[float, float]:
        """Of S of a node."""
        middle_s = at_s - self.offset_s[node]
        return float(middle_s - self.doubt_s[node]), float(middle_s + self.doubt_s[node])

    def moved(self, node: Indexes, lower_s: Floats, upper_s: Floats) -> Places:
        """Put nodes where S − (t − offset) is proven to lie."""
        offset_s, doubt_s = self.offset_s.copy(), self.doubt_s.copy()
        offset_s[node] -= (lower_s + upper_s) / 2
        doubt_s[node] = np.maximum(LEAST_DOUBT_S, upper_s - lower_s)
        return Places(offset_s, doubt_s, self.root)


def place(cluster: Cluster, evidence: Evidence) -> Places:
    """Where every node's S stands, as well as can be guessed: the median of what is known of each.

    What is known: its own bound of UTC, and those of the peers that it exchanged packets with.
    """
    own = _own(cluster)
    near = _neighbours(cluster)
    placed = dict(own)
    root = np.zeros(cluster.count, dtype=np.intp)
    _spread(placed, near, root)
    for node in _roots(cluster, near):
        if node not in placed:
            offset_s = _stamped(cluster, evidence, node)
            if math.isfinite(offset_s):
                root[node] = node
                placed[node] = (offset_s, 0.0)
                _spread(placed, near, root)
    # Once all have a place, nobody's own word outweighs that of his peers.
    settled = {
        node: _median([own[node], *_views(node, placed, near)]) if node in own else found
        for node, found in placed.items()
    }
    about_s, doubt_s = np.full((2, cluster.count), np.nan)
    strain_s = _strain_s(settled, own, near)
    for node, (middle_s, half_s) in settled.items():
        about_s[node] = middle_s
        # A root's S defines the instant: it is where it is.
        doubt_s[node] = LEAST_DOUBT_S / 1000 if root[node] == node else max(LEAST_DOUBT_S, 4 * half_s)
        doubt_s[node] += 0.0 if root[node] == node else STRAINED * strain_s
    about_s[UTC] = doubt_s[UTC] = 0.0
    return Places(about_s, doubt_s, root)


def behind(places: Places, watches: Mapping[int, Watch]) -> list[int]:
    """The nodes whose W is told much less far than that of the others."""
    until_s = {node: watch.until_s + places.offset_s[node] for node, watch in watches.items()}
    known = sorted(each for each in until_s.values() if math.isfinite(each))
    if not known:
        return []
    usual_s = known[len(known) // 2]
    return [node for node, each in until_s.items() if each < usual_s - BEHIND_S]


def latest(places: Places, watches: Mapping[int, Watch]) -> float:
    """The latest instant (UTC, Unix s, a whole microsecond) at which it is told what every W was.

    NaN without nodes.
    """
    ends = [watch.until_s - places.doubt_s[node] + places.offset_s[node] for node, watch in watches.items()]
    known = [end_s for end_s in ends if math.isfinite(end_s)]
    return math.floor(min(known) * 1e6) / 1e6 if known else math.nan


def _own(cluster: Cluster) -> dict[int, tuple[float, float]]:
    """(UTC − S, half its width) of nodes with bounds of their own; by S the last."""
    bounds = cluster.bounds
    last = np.flatnonzero(np.diff(bounds.node, append=-1))
    middle_s = (bounds.lower_s[last] + bounds.upper_s[last]) / 2
    half_s = np.abs(bounds.upper_s[last] - bounds.lower_s[last]) / 2
    return dict(
        zip(bounds.node[last].tolist(), zip(middle_s.tolist(), half_s.tolist(), strict=True), strict=True)
    )


def _neighbours(cluster: Cluster) -> dict[int, list[tuple[int, float, float]]]:
    """Per node: (peer, S_peer − S_node, half its width) by the last exchange of each probing the other."""
    exchanges = cluster.exchanges
    order = np.lexsort((exchanges.steady_s, exchanges.head, exchanges.tail))
    key = exchanges.tail[order] * cluster.count + exchanges.head[order]
    last = order[np.diff(key, append=-1) != 0]
    middle_s = (exchanges.lower_s[last] + exchanges.upper_s[last]) / 2
    half_s = np.abs(exchanges.upper_s[last] - exchanges.lower_s[last]) / 2
    near: dict[int, list[tuple[int, float, float]]] = {}
    for tail, head, apart_s, width_s in zip(
        exchanges.tail[last].tolist(),
        exchanges.head[last].tolist(),
        middle_s.tolist(),
        half_s.tolist(),
        strict=True,
    ):
        near.setdefault(tail, []).append((head, apart_s, width_s))
        near.setdefault(head, []).append((tail, -apart_s, width_s))
    return near


def _views(
    node: int,
    placed: Mapping[int, tuple[float, float]],
    near: Mapping[int, Sequence[tuple[int, float, float]]],
) -> list[tuple[float, float]]:
    """UTC − S of a node as each of its placed peers would have it: theirs, plus S_peer − S_node."""
    return [
        (placed[peer][0] + apart_s, placed[peer][1] + half_s)
        for peer, apart_s, half_s in near.get(node, ())
        if peer in placed
    ]


def _strain_s(
    settled: Mapping[int, tuple[float, float]],
    own: Mapping[int, tuple[float, float]],
    near: Mapping[int, Sequence[tuple[int, float, float]]],
) -> float:
    """By how much the places contradict what anybody says of them, at worst.

    Somebody is wrong then; and whoever it is, the places that the honest have must fit together.
    """
    strains_s = [abs(settled[node][0] - middle_s) - half_s for node, (middle_s, half_s) in own.items()]
    strains_s += [
        abs(settled[peer][0] + apart_s - settled[node][0]) - half_s
        for node in settled
        for peer, apart_s, half_s in near.get(node, ())
        if peer in settled
    ]
    return max([0.0, *strains_s])


def _median(views: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return (
        statistics.median(middle_s for middle_s, _ in views),
        statistics.median(half_s for _, half_s in views),
    )


def _spread(
    placed: dict[int, tuple[float, float]],
    near: Mapping[int, Sequence[tuple[int, float, float]]],
    root: Indexes,
) -> None:
    """From those that have a place to their peers, and on, ring by ring."""
    ring = set(placed)
    while ring:
        reached = {peer for node in ring for peer, _, _ in near.get(node, ())} - placed.keys()
        found = {node: _median(_views(node, placed, near)) for node in reached}
        for node in reached:
            root[node] = next(root[peer] for peer, _, _ in near[node] if peer in placed)
        placed.update(found)
        ring = reached


def _roots(cluster: Cluster, near: Mapping[int, Sequence[tuple[int, float, float]]]) -> list[int]:
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
