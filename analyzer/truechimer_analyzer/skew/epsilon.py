"""How far the wall clocks of a cluster can be apart: ε when all is true, ε_k when up to k nodes lie.

A pair's bound may rest on a node that lies without being found out. So for ε_k each pair gets the worst of
its bounds over all removals of up to k other nodes that leave the rest consistent: if a and b are honest and
at most k nodes lie, removing the liars is one of these, and then only true constraints are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.skew.againstutc import over_ends
from truechimer_analyzer.skew.allpairs import over_pairs
from truechimer_analyzer.skew.cluster import Cluster
from truechimer_analyzer.skew.liars import find_liars
from truechimer_analyzer.skew.proven import Epsilon, Method, Reason, Skew, Unproven

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_analyzer.skew.cluster import Sets
    from truechimer_analyzer.skew.constraints import Constraints, Floats

__all__ = ["Epsilon", "Method", "Reason", "Skew", "Unproven", "measure"]

MOST_NODES = (1000, 300, 100)
"""Up to so many all pairs are looked at while 0, 1 or 2 nodes are removed: about a second each."""


def measure(
    constraints: Constraints,
    wall_lower_s: Floats,
    wall_upper_s: Floats,
    k: int = 1,
    members: Sequence[int] | None = None,
) -> Skew:
    """ε, ε_k and the liars from constraints of y and bounds of W − S (in the same y: W = UTC + y + (W − S)).

    ``wall_lower_s`` and ``wall_upper_s`` have an entry per node, that of UTC (0) being ignored; NaN: unknown.
    ``members``: the nodes that count, all but UTC when None. Raises ValueError for a k other than 0, 1, 2
    and where a lower bound of W − S is above the upper one.

    All pairs are looked at where MOST_NODES allows it, beyond that bounds against UTC.
    """
    liars = find_liars(constraints, k)
    cluster = Cluster.of(constraints, wall_lower_s, wall_upper_s, members)
    all_true = _epsilon(cluster, ((),) if liars.consistent else (), 0)
    return Skew(all_true, _epsilon(cluster, liars.sets, k) if k else all_true, liars)


def _epsilon(cluster: Cluster, sets: Sets, k: int) -> Epsilon:
    """The bound over removals of up to k nodes, each of them containing one of ``sets``."""
    most = max((k - len(each) for each in sets), default=0)
    small = cluster.constraints.count - 1 <= MOST_NODES[most]
    return over_pairs(cluster, sets, k) if small else over_ends(cluster, sets, k)
