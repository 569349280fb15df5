"""Bellman–Ford in rounds over whole arrays: potentials that satisfy all constraints, or a negative cycle.

On a mesh, where a dozen rounds reach everybody, that is far quicker than going node by node. (Without a mesh,
along a chain, it takes as many rounds as the chain is long.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.skew.constraints import Constraints, Indexes, Integers

ROUNDS_BETWEEN_CHECKS = 8
"""Labels fall by at most 2^58 quanta in a round, and stand above −2^58 after a check: no overflow (2^63)."""


def relax(constraints: Constraints) -> tuple[Integers, Indexes | None]:
    """Potentials h, h[head] <= h[tail] + weight_q, and None; or the constraints round a negative cycle.

    The constraints are positions, in order. The potentials are the distances from a source that has
    a constraint of 0 to every node: at most 0.

    A node's parent is the constraint that lowered it last. While parents form a forest each label is at
    least the sum along a simple path; where they form a cycle its sum is negative (Cherkassky & Goldberg
    1999, "Negative-cycle detection algorithms"), and with a negative cycle there labels fall until they do.
    """
    potential = np.zeros(constraints.count, dtype=np.int64)
    if not len(constraints.head):
        return potential, None
    tail, head, weight = constraints.tail, constraints.head, constraints.weight_q
    first = np.flatnonzero(np.diff(head, prepend=-1))
    reached = head[first]
    lengths = np.diff(first, append=len(head))
    parent = np.full(constraints.count, -1, dtype=np.intp)
    rounds = 0
    while True:
        candidate = potential[tail] + weight
        best = np.minimum.reduceat(candidate, first)
        lower = best < potential[reached]
        if not lower.any():
            return potential, None
        lowering = np.flatnonzero((candidate == np.repeat(best, lengths)) & np.repeat(lower, lengths))
        # Written backwards, so that the first of several constraints stays.
        parent[head[lowering[::-1]]] = lowering[::-1]
        potential[reached] = np.minimum(best, potential[reached])
        rounds += 1
        if rounds % ROUNDS_BETWEEN_CHECKS == 0:
            cycle = _cycle_of_parents(constraints, parent)
            if cycle is not None:
                return potential, cycle


def consistent(constraints: Constraints) -> bool:
    """Whether all constraints can be true at once."""
    return relax(constraints)[1] is None


def _cycle_of_parents(constraints: Constraints, parent: NDArray[np.intp]) -> Indexes | None:
    """The positions of the constraints round a cycle of parents, in their direction."""
    nobody = constraints.count
    above = np.full(nobody + 1, nobody, dtype=np.intp)
    has = np.flatnonzero(parent >= 0)
    above[has] = constraints.tail[parent[has]]
    ancestor, steps = above, 1
    while steps <= nobody:
        ancestor = ancestor[ancestor]
        steps *= 2
    endless = ancestor[ancestor < nobody]
    if not len(endless):
        return None
    start = node = int(endless.min())
    backwards: list[int] = []
    while not backwards or node != start:
        backwards.append(int(parent[node]))
        node = int(constraints.tail[parent[node]])
    return np.array(backwards[::-1], dtype=np.intp)
