"""The tightest bounds that constraints prove: shortest paths, by potentials and Dijkstra (Johnson 1977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from truechimer_analyzer.skew.cycles import Inconsistent, negative_cycle
from truechimer_analyzer.skew.relaxation import relax

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Constraints, Floats, Integers

EXACT_BITS = 53
"""Whole numbers up to 2^53 are exact in a float."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """Consistent constraints with weights >= 0: ``slack`` = weight + potential[tail] − potential[head].

    Slacks are floats with whole values, in units of 2^``shift`` quanta (0 unless they add up to 2^53 quanta
    along a path, rounded up then), so that sums along paths are exact.
    """

    constraints: Constraints
    potential: Integers
    slack: Floats
    shift: int

    def upper_s(self, distance: Floats, start: Integers, end: Integers) -> Floats:
        """Bounds of y[end] − y[start] from sums of slacks; ``start``, ``end`` are potentials there."""
        known = np.isfinite(distance)
        quanta = np.where(known, distance, 0.0).astype(np.int64) << self.shift
        return np.where(known, self.constraints.seconds(quanta + end - start), np.inf)


def reduced(constraints: Constraints) -> Reduced:
    """Raises Inconsistent when the constraints contradict each other."""
    potential, contradiction = relax(constraints)
    if contradiction is not None:
        cycle = negative_cycle(constraints)
        assert cycle is not None
        raise Inconsistent(cycle)
    slack = constraints.weight_q + potential[constraints.tail] - potential[constraints.head]
    largest = np.zeros(constraints.count)
    np.maximum.at(largest, constraints.tail, slack)
    shift = max(0, int(np.frexp(largest.sum())[1]) + 1 - EXACT_BITS)
    return Reduced(constraints, potential, (-(-slack >> shift)).astype(np.float64), shift)


def matrix(graph: Reduced, *, reverse: bool = False) -> csr_array[np.float64, tuple[int, int]]:
    """The slacks as SciPy's graph, turned round where ``reverse``."""
    given = graph.constraints
    ends = (given.head, given.tail) if reverse else (given.tail, given.head)
    return csr_array((graph.slack, ends), shape=(given.count, given.count))


def all_pairs(constraints: Constraints) -> Floats:
    """The matrix whose [a, b] is the tightest provable bound of y[b] − y[a] from above, in seconds.

    inf: unproven. The diagonal is 0. Raises Inconsistent.
    """
    graph = reduced(constraints)
    at = graph.potential
    return graph.upper_s(dijkstra(matrix(graph), directed=True), at[:, None], at[None, :])


def from_one(constraints: Constraints, root: int) -> tuple[Floats, Floats]:
    """The tightest provable bounds (lower, upper) of y[v] − y[root] for every v, in seconds.

    -inf and inf: unproven. Raises Inconsistent, for contradictions anywhere.
    """
    graph = reduced(constraints)
    at = graph.potential
    there = dijkstra(matrix(graph), directed=True, indices=np.asarray(root))
    back = dijkstra(matrix(graph, reverse=True), directed=True, indices=np.asarray(root))
    return -graph.upper_s(back, at, at[root]), graph.upper_s(there, at[root], at)
