"""Negative cycles: constraints that cannot all be true, as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_analyzer.skew.relaxation import relax

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Constraints, Indexes


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
    """A negative cycle, None when there is none."""
    _, found = relax(constraints)
    return None if found is None else described(constraints, found)


def described(constraints: Constraints, positions: Indexes) -> Cycle:
    """The cycle of the constraints at these positions, beginning at its least node."""
    nodes = constraints.tail[positions].tolist()
    turn = nodes.index(min(nodes))
    total = int(constraints.weight_q[positions].sum())
    index = constraints.index[positions].tolist()
    return Cycle(
        nodes=tuple(nodes[turn:] + nodes[:turn]),
        constraints=tuple(index[turn:] + index[:turn]),
        excess_s=-total * constraints.quantum_s,
    )
