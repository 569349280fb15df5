"""What is proven of a cluster's wall clocks at one instant, or why nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Floats
    from truechimer_analyzer.skew.liars import Liars


class Method(StrEnum):
    """How a cluster's bound was found."""

    ALL_PAIRS = "all_pairs"
    AGAINST_UTC = "against_utc"
    """From every node's bound against UTC: an upper limit of what is proven of pairs."""


class Reason(StrEnum):
    """Why no bound is given."""

    INCONSISTENT = "inconsistent"
    """The constraints contradict each other."""
    MORE_THAN_K = "more_than_k"
    """So they do whichever k nodes are removed."""
    NO_PATH = "no_path"
    """No path of constraints leads from ``a`` to ``b`` without ``removed`` (0 is UTC)."""
    NO_WALL = "no_wall"
    """Nothing is known of W − S of node ``a`` (= ``b``)."""
    TOO_LARGE = "too_large"
    """Every two nodes would have to be removed from hundreds, or the nodes are a chain of thousands."""
    NO_PAIR = "no_pair"
    """There are no two members that can both be honest."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """Why there is no bound; of NO_PATH and NO_WALL the first example."""

    reason: Reason
    removed: tuple[int, ...] = ()
    a: int | None = None
    b: int | None = None


@dataclass(frozen=True, slots=True)
class Epsilon:
    """A bound of |W_b − W_a| over all pairs of members that can both be honest, if at most ``k`` others lie.

    ``epsilon_s`` None: ``unproven`` says why. Else ``worst_pair`` = (a, b) has W_b − W_a <= ``epsilon_s``
    as its bound. ``apart_s`` > 0: W_b − W_a of ``apart_pair``, two members in no removal set, is at least
    that; else 0 and None. ``contradicted``: how many pairs of members cannot both be honest; nothing is said
    of them.

    ``pairs_upper_s`` (only by ALL_PAIRS): [a, b] bounds W_b − W_a from above, −[b, a] from below; row and
    column 0 are UTC; inf: unproven; NaN: nothing is said, or no member. ``utc_lower_s`` and ``utc_upper_s``
    bound W − UTC of every node likewise.
    """

    k: int
    method: Method
    epsilon_s: float | None
    worst_pair: tuple[int, int] | None
    unproven: Unproven | None
    apart_s: float
    apart_pair: tuple[int, int] | None
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
