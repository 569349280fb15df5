"""Negative cycles: constraints that cannot all be true, as evidence. Short ones say most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.relaxation import relax

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Constraints, Indexes, Integers

MOST_TRIANGLES = 20_000_000
"""Looked at for one that is negative; beyond, a longer cycle is evidence enough."""
TRIANGLES_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Cycle:
    """Constraints from nodes[0] to nodes[1] … and back to nodes[0] that add up to −``excess_s`` < 0.

    So at least one of them is false. ``constraints`` are places in what ``Constraints.of`` was given:
    constraints[i] bounds y[nodes[i + 1]] − y[nodes[i]] from above. The excess is rounded down.
    """

    nodes: tuple[int, ...]
    constraints: tuple[int, ...]
    excess_s: float


class Inconsistent(Exception):  # noqa: N818 - it is what the constraints are, not a fault of the program
    """The constraints contradict each other: nothing can be proven from them. ``cycle`` shows where."""

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(f"the constraints round nodes {cycle.nodes} add up to -{cycle.excess_s} s")
        self.cycle = cycle


def negative_cycle(constraints: Constraints) -> Cycle | None:
    """A negative cycle, None when there is none; the same for the same constraints.

    Of one or two, else of three nodes where there is such a cycle, the one with the largest excess. Else the
    one met first, cut short as long as a constraint between two of its nodes can leave out others.
    """
    potential, found = relax(constraints)
    if found is None:
        return None
    short = _of_two(constraints)
    if short is None:
        short = _of_three(constraints, potential)
    return _described(constraints, _shortened(constraints, found) if short is None else short)


def _described(constraints: Constraints, positions: Indexes) -> Cycle:
    """The cycle of the constraints at these positions, beginning at its least node."""
    nodes = constraints.tail[positions].tolist()
    turn = nodes.index(min(nodes))
    index = constraints.index[positions].tolist()
    total = int(constraints.weight_q[positions].sum())
    return Cycle(
        nodes=tuple(nodes[turn:] + nodes[:turn]),
        constraints=tuple(index[turn:] + index[:turn]),
        excess_s=-total * constraints.quantum_s,
    )


def _of_two(constraints: Constraints) -> Indexes | None:
    """The worst cycle of two nodes, or of one that contradicts itself."""
    back = constraints.positions(constraints.head, constraints.tail)
    there = np.flatnonzero(back >= 0)
    total = constraints.weight_q[there] + constraints.weight_q[back[there]]
    if not len(total) or total.min() >= 0:
        return None
    worst = there[np.argmin(total)]
    if constraints.tail[worst] == constraints.head[worst]:
        return np.array([worst])
    return np.array([worst, back[worst]])


def _of_three(constraints: Constraints, potential: Integers) -> Indexes | None:
    """The worst cycle of three nodes.

    With any potentials a negative cycle has a constraint that they violate: only the triangles of those
    are looked at, from the end that has fewer neighbours.
    """
    tail, head, weight = constraints.tail, constraints.head, constraints.weight_q
    first = np.flatnonzero((potential[head] > potential[tail] + weight) & (tail != head))
    by_tail = np.lexsort((head, tail))
    into = np.searchsorted(head, np.arange(constraints.count + 1))
    outof = np.searchsorted(tail[by_tail], np.arange(constraints.count + 1))
    n_out, n_in = np.diff(outof)[head[first]], np.diff(into)[tail[first]]
    ahead, behind = first[n_out <= n_in], first[n_out > n_in]
    if int(np.minimum(n_out, n_in).sum()) > MOST_TRIANGLES:
        return None
    best: tuple[int, list[int]] | None = None
    for begin, size in _pieces(np.diff(outof)[head[ahead]]):
        one, place = _expanded(ahead[begin:size], outof, head)
        two = by_tail[place]
        best = _better(constraints, best, one, two, constraints.positions(head[two], tail[one]))
    for begin, size in _pieces(np.diff(into)[tail[behind]]):
        one, three = _expanded(behind[begin:size], into, tail)
        best = _better(constraints, best, one, constraints.positions(head[one], tail[three]), three)
    return None if best is None else np.array(best[1], dtype=np.intp)


def _pieces(sizes: Indexes) -> list[tuple[int, int]]:
    """Ranges of rows that expand to about TRIANGLES_AT_ONCE."""
    ends = np.cumsum(sizes)
    pieces, begin = [], 0
    while begin < len(sizes):
        done = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + TRIANGLES_AT_ONCE)))
        pieces.append((begin, end))
        begin = end
    return pieces


def _expanded(first: Indexes, start: Indexes, at: Indexes) -> tuple[Indexes, Indexes]:
    """Each of ``first`` with each place in the list of its node ``at`` (start[node] … start[node + 1])."""
    node = at[first]
    lengths = start[node + 1] - start[node]
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(first, lengths), np.repeat(start[node], lengths) + within


def _better(
    constraints: Constraints,
    best: tuple[int, list[int]] | None,
    one: Indexes,
    two: Indexes,
    three: Indexes,
) -> tuple[int, list[int]] | None:
    """The worst negative triangle of these and ``best``; -1: there is none."""
    closed = np.flatnonzero((two >= 0) & (three >= 0))
    if not len(closed):
        return best
    weight = constraints.weight_q
    total = weight[one[closed]] + weight[two[closed]] + weight[three[closed]]
    least = int(total.min())
    if least >= 0 or (best is not None and best[0] <= least):
        return best
    place = closed[np.argmin(total)]
    return least, [int(one[place]), int(two[place]), int(three[place])]


def _shortened(constraints: Constraints, positions: Indexes) -> Indexes:
    """A negative cycle of some of the nodes of this one, with no chord that makes a shorter negative one."""
    while len(positions) > 3:
        length = len(positions)
        nodes = constraints.tail[positions]
        at = np.concatenate(([0], np.cumsum(constraints.weight_q[positions])))
        start, end = (each.ravel() for each in np.indices((length, length)))
        hops = (end - start) % length
        # From nodes[start] along the cycle to nodes[end], and back by the chord.
        along = at[end] - at[start] + np.where(end < start, at[-1], 0)
        chord = constraints.positions(nodes[end], nodes[start])
        total = along + constraints.weight_q[chord]
        shorter = np.flatnonzero((chord >= 0) & (total < 0) & (hops > 0) & (hops < length - 1))
        if not len(shorter):
            break
        pick = shorter[np.lexsort((total[shorter], hops[shorter]))[0]]
        kept = positions[(start[pick] + np.arange(hops[pick])) % length]
        positions = np.append(kept, chord[pick])
    return positions
