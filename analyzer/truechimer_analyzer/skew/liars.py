"""Who can have lied: nodes without which the rest agrees.

A constraint is true when both its nodes tell the truth; a node that lies (by its stamps, its oscillator's
bound, its epoch or its bound of UTC) can only make constraints of its own false. So when at most k nodes lie,
the set of those who do is a *consistent removal set*: without them, all constraints agree.

**No honest node is ever certain.** Let L be the liars, at most k. What is left without L is true, therefore
consistent, so that L (or a part of it) is among the sets looked at; whoever is in all of them is in L.

With more than k liars that fails: two who each lie only to one honest node are both consistent with each
other, and that node is then in every set of size 1. "certain" means certain if at most k nodes lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.cycles import negative_cycle
from truechimer_analyzer.skew.relaxation import consistent

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Constraints
    from truechimer_analyzer.skew.cycles import Cycle

MOST_LIARS = 2
"""Finding a smallest removal set is NP-hard in general; up to two nodes it is looked up."""
MOST_CYCLES = 50
"""Enough to rank suspects by."""


@dataclass(frozen=True, slots=True)
class Liars:
    """Who can have lied, if at most ``k`` nodes did.

    ``sets``: the removal sets of at most k nodes that leave the rest consistent and of which every node is
    needed; ((),) when the constraints are consistent as they are, () when more than k nodes must lie.
    ``certain`` are in every set, ``one_of`` in some of them but not in all. ``suspects``: only when there is
    no set; nodes by how much speaks against them, the worst first (``ranked``). ``cycle`` is the evidence.
    """

    k: int
    sets: tuple[tuple[int, ...], ...]
    certain: tuple[int, ...]
    one_of: tuple[int, ...]
    suspects: tuple[int, ...]
    cycle: Cycle | None

    @property
    def consistent(self) -> bool:
        """Whether all constraints can be true."""
        return self.cycle is None

    @property
    def more_than_k(self) -> bool:
        """Whether more than k nodes must have lied."""
        return not self.sets


def find_liars(constraints: Constraints, k: int = 1) -> Liars:
    """Exact for k = 0, 1, 2; ValueError otherwise. UTC is never removed."""
    if not 0 <= k <= MOST_LIARS:
        raise ValueError(f"k must be 0 to {MOST_LIARS}, not {k}")
    cycle = negative_cycle(constraints)
    removals = {frozenset[int]()} if cycle is None else _removals(constraints, k, cycle)
    found = sorted(removals, key=lambda each: (len(each), sorted(each)))
    sets = [each for place, each in enumerate(found) if not any(other < each for other in found[:place])]
    certain = frozenset.intersection(*sets) if sets else frozenset()
    union = frozenset().union(*sets)
    return Liars(
        k=k,
        sets=tuple(tuple(sorted(each)) for each in sets),
        certain=tuple(sorted(certain)),
        one_of=tuple(sorted(union - certain)),
        suspects=() if sets else ranked(constraints),
        cycle=cycle,
    )


def _removals(constraints: Constraints, k: int, cycle: Cycle) -> set[frozenset[int]]:
    """Every minimal removal set, and maybe others: each has a node of ``cycle``, and of what is left."""
    found: set[frozenset[int]] = set()
    for node in sorted(set(cycle.nodes) - {UTC}) if k else ():
        left = constraints.without((node,))
        if consistent(left):
            found.add(frozenset({node}))
        elif k > 1:
            further = negative_cycle(left)
            assert further is not None
            found |= {each | {node} for each in _removals(left, k - 1, further)}
    return found


def ranked(constraints: Constraints) -> tuple[int, ...]:
    """Nodes by the number of negative cycles they are in, of up to MOST_CYCLES that share no constraint.

    A guess, not a proof: whoever lies to many is in many of them, those he lied to in few. Equal ones by the
    sum of their cycles' excess.
    """
    cycles: list[Cycle] = []
    while len(cycles) < MOST_CYCLES and (cycle := negative_cycle(constraints)) is not None:
        cycles.append(cycle)
        constraints = constraints.select(~np.isin(constraints.index, cycle.constraints))
    against = {
        node: (
            sum(node in each.nodes for each in cycles),
            sum(each.excess_s for each in cycles if node in each.nodes),
        )
        for node in {node for each in cycles for node in each.nodes} - {UTC}
    }
    return tuple(sorted(against, key=lambda node: (*(-each for each in against[node]), node)))
