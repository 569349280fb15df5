"""All pairs' bounds whoever is removed: the worst over every set of up to two nodes.

Floyd and Warshall's pivots may come in any order, so that what leaves node v out is what all others were
pivots of. Halving the nodes, one half's pivots serve all leaves of the other: n³ log n for all single nodes
instead of n⁴.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.csgraph import dijkstra

from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.paths import matrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from truechimer_analyzer.skew.constraints import Floats
    from truechimer_analyzer.skew.paths import Reduced


class Worst:
    """The worst of several matrices, each without some nodes, and the first pair of members that one cut off.

    ``upper`` is −inf where every matrix had one of the two nodes removed.
    """

    def __init__(self, count: int, members: Iterable[int]) -> None:
        self.upper: Floats = np.full((count, count), -np.inf)
        self.cut: tuple[tuple[int, ...], int, int] | None = None
        self._member = np.zeros(count, dtype=np.bool_)
        self._member[list(members)] = True

    def add(self, matrix: Floats, removed: tuple[int, ...]) -> None:
        """Takes in a matrix that is without ``removed``."""
        if self.cut is None and not np.isfinite(matrix).all():
            self._note(matrix, removed)
        if not removed:
            np.maximum(self.upper, matrix, out=self.upper)
            return
        gone = list(removed)
        rows, columns = self.upper[gone], self.upper[:, gone]
        np.maximum(self.upper, matrix, out=self.upper)
        self.upper[gone], self.upper[:, gone] = rows, columns

    def _note(self, matrix: Floats, removed: tuple[int, ...]) -> None:
        left = self._member.copy()
        left[list(removed)] = False
        pairs = np.argwhere(np.isinf(matrix) & left[:, None] & left[None, :])
        if len(pairs):
            self.cut = (tuple(sorted(removed)), int(pairs[0, 0]), int(pairs[0, 1]))


def worst_paths(graph: Reduced, removed: tuple[int, ...], r: int, worst: Worst) -> None:
    """Adds all pairs' shortest paths, as sums of slacks, for every removal of up to ``r`` <= 2 nodes more.

    ``graph`` is already without ``removed``. (A bound that lacks more nodes is never tighter: the smaller
    removals count only where there are not enough other nodes.)
    """
    given = graph.constraints
    nodes = [node for node in range(given.count) if node != UTC and node not in removed]
    worst.add(dijkstra(matrix(graph), directed=True), removed)
    if r == 0:
        return
    edges = np.full((given.count, given.count), np.inf)
    edges[given.tail, given.head] = graph.slack
    np.fill_diagonal(edges, 0.0)
    _pivot(edges, (UTC,))
    for node, left in _without_each(edges, nodes):
        worst.add(left, (*removed, node))
    if r == 1:
        return
    for place, first in enumerate(nodes[:-1]):
        # Nodes before ``first`` had their turn as the first of a pair.
        left = edges.copy()
        _pivot(left, nodes[:place])
        for second, pair_left in _without_each(left, nodes[place + 1 :]):
            worst.add(pair_left, (*removed, first, second))


def _without_each(matrix: Floats, pending: Sequence[int]) -> Iterator[tuple[int, Floats]]:
    """Each of ``pending`` with the matrix to which all the others were added as pivots."""
    if len(pending) < 2:
        yield from ((node, matrix) for node in pending)
        return
    middle = len(pending) // 2
    for leaves, pivots in ((pending[:middle], pending[middle:]), (pending[middle:], pending[:middle])):
        half = matrix.copy()
        _pivot(half, pivots)
        yield from _without_each(half, leaves)


def _pivot(matrix: Floats, pivots: Iterable[int]) -> None:
    """Lets paths lead through ``pivots``, in place."""
    through = np.empty_like(matrix)
    for pivot in pivots:
        np.add(matrix[:, pivot, None], matrix[None, pivot], out=through)
        np.minimum(matrix, through, out=matrix)
