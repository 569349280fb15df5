"""How far the wall clocks of a cluster can be apart: ε when all is true, ε_k when up to k nodes lie."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.liars import find_liars
from truechimer_analyzer.skew.paths import all_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_analyzer.skew.constraints import Constraints, Floats, Indexes
    from truechimer_analyzer.skew.liars import Liars


class Method(StrEnum):
    """How a cluster's bound was found."""

    ALL_PAIRS = "all_pairs"
    AGAINST_UTC = "against_utc"
    """max upper − min lower of all nodes' bounds against UTC: an upper limit of what pairs prove."""


class Reason(StrEnum):
    """Why no bound is given."""

    INCONSISTENT = "inconsistent"
    """The constraints contradict each other."""
    MORE_THAN_K = "more_than_k"
    """So they do without any k nodes."""
    NO_PATH = "no_path"
    """No path of constraints leads from ``a`` to ``b`` (against UTC: 0) without ``removed``."""
    NO_WALL = "no_wall"
    """Nothing is known of W − S of node ``a`` (= ``b``)."""
    TOO_LARGE = "too_large"
    """The removal of any two nodes is not looked up in a cluster of this size."""
    NO_PAIR = "no_pair"
    """No pair can be honest, or there is none."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """Why there is no bound; of NO_PATH an example."""

    reason: Reason
    removed: tuple[int, ...] = ()
    a: int | None = None
    b: int | None = None


@dataclass(frozen=True, slots=True)
class Epsilon:
    """A bound of |W_b − W_a| over all pairs of members that can both be honest, if at most ``k`` others lie.

    ``epsilon_s`` None: ``unproven`` says why. ``contradicted``: how many pairs of members cannot both be
    honest; nothing is said of them. ``pairs_upper_s`` (only by ALL_PAIRS): [a, b] bounds W_b − W_a from
    above, −[b, a] from below; row and column 0 are UTC; inf: unproven; NaN: nothing is said.
    ``utc_lower_s`` and ``utc_upper_s`` bound W − UTC of every node likewise.
    """

    k: int
    method: Method
    epsilon_s: float | None
    worst_pair: tuple[int, int] | None
    unproven: Unproven | None
    contradicted: int
    utc_lower_s: Floats
    utc_upper_s: Floats
    pairs_upper_s: Floats | None


@dataclass(frozen=True, slots=True)
class Skew:
    """Of one cluster at one instant: ``all_true`` is ε (k = 0), ``robust`` is ε_k."""

    all_true: Epsilon
    robust: Epsilon
    liars: Liars


def measure(
    constraints: Constraints,
    wall_lower_s: Floats,
    wall_upper_s: Floats,
    k: int = 1,
    members: Sequence[int] | None = None,
) -> Skew:
    """ε, ε_k and the liars from constraints of y and bounds of W − S (in the same y: W = UTC + y + (W − S)).

    ``wall_lower_s`` and ``wall_upper_s`` have an entry per node, that of UTC (0) being ignored; NaN: unknown.
    ``members``: the nodes that count, all but UTC when None. k = 0, 1 or 2, else ValueError.
    """
    liars = find_liars(constraints, k)
    which = np.arange(1, constraints.count) if members is None else np.unique(np.asarray(members, np.intp))
    wall_s = (np.append(0.0, wall_lower_s[1:]), np.append(0.0, wall_upper_s[1:]))
    plain = ((),) if liars.consistent else ()
    return Skew(
        _measure(constraints, wall_s, plain, 0, which),
        _measure(constraints, wall_s, liars.sets, k, which),
        liars,
    )


def _measure(
    constraints: Constraints,
    wall_s: tuple[Floats, Floats],
    sets: tuple[tuple[int, ...], ...],
    k: int,
    members: Indexes,
) -> Epsilon:
    count = constraints.count
    upper_s = np.full((count, count), np.nan)
    lost: Unproven | None = None
    honest = [UTC, *members.tolist()]
    for removed in sorted(
        {
            tuple(sorted({*each, *more}))
            for each in sets
            for size in range(k - len(each) + 1)
            for more in itertools.combinations(range(1, count), size)
        }
    ):
        left = all_pairs(constraints.without(removed))
        left += wall_s[1][None, :] - wall_s[0][:, None]
        kept = np.setdiff1d(honest, removed)
        block = np.ix_(kept, kept)
        upper_s[block] = np.fmax(upper_s[block], np.where(np.isnan(left), np.inf, left)[block])
        for a, b in np.argwhere(~(left < np.inf)).tolist():
            if lost is None and a in kept[1:] and b in kept[1:]:
                lost = Unproven(Reason.NO_PATH, removed, a, b)
    inner = upper_s[np.ix_(members, members)].copy()
    np.fill_diagonal(inner, np.nan)
    epsilon_s, worst = None, None
    if lost is None and not np.isnan(inner).all():
        place = np.unravel_index(np.nanargmax(inner), inner.shape)
        worst = (int(members[place[0]]), int(members[place[1]]))
        epsilon_s = float(upper_s[worst])
    elif lost is None:
        lost = (
            Unproven(Reason.MORE_THAN_K if k else Reason.INCONSISTENT)
            if not sets
            else Unproven(Reason.NO_PAIR)
        )
    contradicted = int(np.isnan(np.triu(inner, 1)).sum())
    return Epsilon(
        k, Method.ALL_PAIRS, epsilon_s, worst, lost, contradicted, -upper_s[:, 0], upper_s[0], upper_s
    )
