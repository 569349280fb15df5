"""Difference constraints between nodes and UTC, and the whole numbers in which they are added up.

Adding floats rounds, and a rounded bound may be tighter than what is proven. So weights are first rounded
up to whole multiples of a quantum; sums of these are exact, in any order. A bound is then looser than the
exact one by less than 2 quanta + 2 ulp of the weight for every constraint on its path, and never tighter.
The quantum is 2^-36 s (15 ps) unless the weights along a path could add up to more than 2^21 s (24 days).
(Where bounds looser than a day are among them, ``paths.Reduced`` counts in a multiple of it.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Indexes = NDArray[np.intp]

UTC = 0
"""The virtual node."""
FINEST_BITS = 36
"""The quantum is at least 2^-36 s: far below a stamp's nanosecond, above what callers' floats lose."""
SPAN_BITS = 58
"""No simple path adds up to more than 2^58 quanta: 64-bit sums cannot overflow, also beyond one path."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """y[head] − y[tail] <= weight_s for nodes 0 … count − 1, of which 0 is UTC.

    y is S − UTC less any constant of the node's own (and y of UTC is 0): callers take off what S has of the
    epoch, so that weights are the hours or less by which clocks differ. At 1e9 s a float is right to 0.1 µs
    only, and the quantum grows with the largest weights.

    One constraint per (tail, head), the tightest, ascending by head and then tail; ``index`` is its place in
    what ``of`` was given. ``weight_q`` are the weights in quanta, rounded up.
    """

    count: int
    tail: Indexes
    head: Indexes
    weight_s: Floats
    index: Indexes
    weight_q: Integers
    quantum_s: float

    @classmethod
    def of(cls, count: int, tail: ArrayLike, head: ArrayLike, weight_s: ArrayLike) -> Constraints:
        """Of parallel constraints the tightest (the first of equals); infinite weights say nothing.

        A node that is constrained against itself only counts where that is false (weight < 0). Raises
        ValueError for nodes outside 0 … count − 1 and for weights that are NaN or −inf.
        """
        tails, heads = np.asarray(tail, dtype=np.intp), np.asarray(head, dtype=np.intp)
        weights = np.asarray(weight_s, dtype=np.float64)
        if not tails.shape == heads.shape == weights.shape or tails.ndim != 1:
            raise ValueError("tail, head and weight_s must be of one length")
        if len(tails) and (min(tails.min(), heads.min()) < 0 or max(tails.max(), heads.max()) >= count):
            raise ValueError(f"a constraint names a node outside 0 … {count - 1}")
        if np.isnan(weights).any() or (weights == -np.inf).any():
            raise ValueError("a constraint's weight is NaN or -inf")
        says = np.flatnonzero((weights < np.inf) & ((tails != heads) | (weights < 0)))
        order = says[np.lexsort((says, weights[says], tails[says], heads[says]))]
        key = heads[order] * count + tails[order]
        index = order[np.diff(key, prepend=-1) != 0]
        tails, heads, weights = tails[index], heads[index], weights[index]
        quantum_s = _quantum_s(count, tails, weights)
        # Two ulps: who gives u and −u as bounds of one difference must not contradict himself by rounding.
        weight_q = np.ceil((weights + 2 * np.spacing(np.abs(weights))) / quantum_s).astype(np.int64)
        return cls(count, tails, heads, weights, index, weight_q, quantum_s)

    def without(self, removed: Collection[int]) -> Constraints:
        """Those that are left when all that touch one of the nodes are taken away."""
        if not removed:
            return self
        gone = np.zeros(self.count, dtype=np.bool_)
        gone[list(removed)] = True
        return self.select(~(gone[self.tail] | gone[self.head]))

    def select(self, keep: NDArray[np.bool_]) -> Constraints:
        """Those at which ``keep`` is true."""
        return Constraints(
            self.count,
            self.tail[keep],
            self.head[keep],
            self.weight_s[keep],
            self.index[keep],
            self.weight_q[keep],
            self.quantum_s,
        )

    def positions(self, tail: Indexes, head: Indexes) -> Indexes:
        """Where the constraints from these tails to these heads stand; -1 where there is none."""
        if not len(self.head):
            return np.full(len(tail), -1, dtype=np.intp)
        keys, wanted = self.head * self.count + self.tail, head * self.count + tail
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[found] == wanted, found, -1)

    def seconds(self, quanta: Integers) -> Floats:
        """Quanta as seconds, rounded up."""
        floats = quanta.astype(np.float64)
        return (
            np.where(floats.astype(np.int64) < quanta, np.nextafter(floats, np.inf), floats) * self.quantum_s
        )


def _quantum_s(count: int, tail: Indexes, weight_s: Floats) -> float:
    """The quantum: a simple path leaves every node once, so that the largest weights out of each bound it."""
    largest = np.zeros(count)
    np.maximum.at(largest, tail, np.abs(weight_s))
    span_s = float(largest.sum())
    bits = math.frexp(span_s)[1] if span_s else 0
    # One bit for rounding the weights up.
    return math.ldexp(1.0, max(-FINEST_BITS, bits + 1 - SPAN_BITS))
