"""Every node's bound against UTC, whoever is removed: for clusters too large for all pairs.

Removing a node lengthens only the shortest paths that lead through it, so those of its descendants in the
tree of shortest paths. What is worked out anew is a row per (removed node, descendant): as many rows as there
are nodes, times how deep the tree is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.csgraph import dijkstra

from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.paths import matrix

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.skew.paths import Reduced

MOST_ROWS = 5_000_000
ROWS_AT_ONCE = 100_000


_NONE = (np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp))


class TooLarge(Exception):  # noqa: N818 - a limit, not a fault
    """The tree of shortest paths is too deep: a chain of thousands of nodes."""


@dataclass(frozen=True, slots=True)
class Away:
    """Distances of all nodes from UTC (or to UTC), and without one node each: sums of slacks, exact.

    ``distance`` with all nodes there; row i: without ``removed``[i], ``node``[i] is ``other``[i] away;
    ascending by ``removed`` and ``node``. What has no row is as far away as ever.
    """

    distance: Floats
    removed: Indexes
    node: Indexes
    other: Floats


def away(graph: Reduced, *, reverse: bool, removals: bool) -> Away:
    """Distances from UTC, or to it where ``reverse``; without ``removals`` there are no rows."""
    edges = matrix(graph, reverse=reverse)
    distance, before = dijkstra(edges, directed=True, indices=np.asarray(UTC), return_predecessors=True)
    removed, node = _descendants(before.astype(np.intp)) if removals else _NONE
    other = np.full(len(removed), np.inf)
    bounds = np.searchsorted(removed, np.arange(len(distance) + 1))
    begin = 0
    while begin < len(removed):
        # Whole removals at a time.
        end = int(bounds[np.searchsorted(bounds, min(len(removed), begin + ROWS_AT_ONCE))])
        other[begin:end] = _without(graph, distance, removed[begin:end], node[begin:end], reverse=reverse)
        begin = end
    return Away(distance, removed, node, other)


def _descendants(before: Indexes) -> tuple[Indexes, Indexes]:
    """Every node but UTC with each of its descendants in the tree of predecessors."""
    removed, nodes = [], []
    node = np.flatnonzero(before >= 0)
    ancestor = before[node]
    rows = 0
    while True:
        further = ancestor != UTC
        node, ancestor = node[further], ancestor[further]
        if not len(node):
            break
        rows += len(node)
        if rows > MOST_ROWS:
            raise TooLarge
        removed.append(ancestor)
        nodes.append(node)
        ancestor = before[ancestor]
    if not rows:
        return _NONE
    all_removed, all_nodes = np.concatenate(removed), np.concatenate(nodes)
    order = np.lexsort((all_nodes, all_removed))
    return all_removed[order], all_nodes[order]


def _without(graph: Reduced, distance: Floats, removed: Indexes, node: Indexes, *, reverse: bool) -> Floats:
    """How far away each ``node`` is without ``removed``: by way of the rest, then by other descendants."""
    given = graph.constraints
    source, target = (given.head, given.tail) if reverse else (given.tail, given.head)
    order = np.argsort(target, kind="stable")
    start = np.searchsorted(target[order], np.arange(given.count + 1))
    lengths = start[node + 1] - start[node]
    row = np.repeat(np.arange(len(node)), lengths)
    within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    edge = order[np.repeat(start[node], lengths) + within]
    origin = source[edge]
    allowed = origin != removed[row]
    row, edge, origin = row[allowed], edge[allowed], origin[allowed]
    keys, wanted = removed * given.count + node, removed[row] * given.count + origin
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    inner = keys[place] == wanted
    found = np.full(len(node), np.inf)
    _lower(found, row[~inner], distance[origin[~inner]] + graph.slack[edge[~inner]])
    row, place, slack = row[inner], place[inner], graph.slack[edge[inner]]
    while _lower(found, row, found[place] + slack):
        pass
    return found


def _lower(found: Floats, row: Indexes, candidate: Floats) -> bool:
    """Takes the least candidate of each row (ascending) where it is less than found; whether any was."""
    if not len(row):
        return False
    first = np.flatnonzero(np.diff(row, prepend=-1))
    best = np.minimum.reduceat(candidate, first)
    rows = row[first]
    lower = best < found[rows]
    found[rows[lower]] = best[lower]
    return bool(lower.any())
