"""A cluster at one instant: what is given of it, and what that leaves to be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.proven import Reason, Unproven

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_analyzer.skew.constraints import Constraints, Floats, Indexes

    Sets = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Constraints of y, bounds of W − S (of UTC: 0; unknown: infinite), and which nodes are members."""

    constraints: Constraints
    wall_lower_s: Floats
    wall_upper_s: Floats
    members: Indexes

    @classmethod
    def of(
        cls,
        constraints: Constraints,
        wall_lower_s: Floats,
        wall_upper_s: Floats,
        members: Sequence[int] | None,
    ) -> Cluster:
        """As for ``measure``."""
        lower_s = np.where(np.isnan(wall_lower_s), -np.inf, wall_lower_s)
        upper_s = np.where(np.isnan(wall_upper_s), np.inf, wall_upper_s)
        lower_s[UTC] = upper_s[UTC] = 0.0
        if (lower_s > upper_s).any():
            raise ValueError("a lower bound of W − S is above the upper one")
        which = range(1, constraints.count) if members is None else sorted(set(members) - {UTC})
        return cls(constraints, lower_s, upper_s, np.array(which, dtype=np.intp))

    def why_not(self, sets: Sets, k: int) -> Unproven | None:
        """What is known beforehand to leave no bound."""
        if not sets:
            return Unproven(Reason.MORE_THAN_K if k else Reason.INCONSISTENT)
        if self.contradicted(sets) == self.pairs:
            return Unproven(Reason.NO_PAIR)
        known = np.isfinite(self.wall_lower_s) & np.isfinite(self.wall_upper_s)
        certain = set.intersection(*map(set, sets))
        blind = [node for node in self.members[~known[self.members]].tolist() if node not in certain]
        return Unproven(Reason.NO_WALL, a=blind[0], b=blind[0]) if blind else None

    @property
    def pairs(self) -> int:
        """How many pairs of members there are."""
        return len(self.members) * (len(self.members) - 1) // 2

    def unsuspected(self, sets: Sets) -> Indexes:
        """The members that no removal set contains."""
        suspected = sorted({node for each in sets for node in each})
        return np.setdiff1d(self.members, np.array(suspected, dtype=np.intp))

    def contradicted(self, sets: Sets) -> int:
        """How many pairs of members cannot both be honest: each set contains one of them."""
        if not sets:
            return self.pairs
        members = set(self.members.tolist())
        found: set[frozenset[int]] = set()
        for a in members.intersection(sets[0]):
            others = members.intersection(*(each for each in sets if a not in each)) - {a}
            found |= {frozenset((a, b)) for b in others}
        return len(found)


def rounded_up(bound_s: Floats) -> Floats:
    """The sum of two floats, not less than the exact one."""
    return np.nextafter(bound_s, np.inf)
