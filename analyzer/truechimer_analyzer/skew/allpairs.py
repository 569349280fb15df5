"""ε and ε_k over all pairs of a cluster of up to some hundred nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.cluster import rounded_up
from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.paths import reduced
from truechimer_analyzer.skew.proven import Epsilon, Method, Reason, Unproven
from truechimer_analyzer.skew.removals import Worst, worst_paths

if TYPE_CHECKING:
    from truechimer_analyzer.skew.cluster import Cluster, Sets
    from truechimer_analyzer.skew.constraints import Floats, Indexes


def over_pairs(cluster: Cluster, sets: Sets, k: int) -> Epsilon:
    """Each pair's worst bound over the removals of up to k nodes that contain one of ``sets``."""
    count, members = cluster.constraints.count, cluster.members
    pairs_s = np.full((count, count), np.nan)
    cut: tuple[tuple[int, ...], int, int] | None = None
    for removed in sets:
        graph = reduced(cluster.constraints.without(removed))
        worst = Worst(count, members)
        worst_paths(graph, removed, k - len(removed), worst)
        upper_s = graph.upper_s(worst.upper, graph.potential[:, None], graph.potential[None, :])
        pairs_s = np.fmax(pairs_s, np.where(worst.upper > -np.inf, upper_s, np.nan))
        cut = cut or worst.cut
    pairs_s = rounded_up(rounded_up(pairs_s + cluster.wall_upper_s[None, :]) - cluster.wall_lower_s[:, None])
    np.fill_diagonal(pairs_s, np.where(np.isnan(pairs_s.diagonal()), np.nan, 0.0))
    utc_lower_s, utc_upper_s = -pairs_s[:, UTC], pairs_s[UTC].copy()
    outside = np.setdiff1d(np.arange(1, count), members)
    pairs_s[outside], pairs_s[:, outside] = np.nan, np.nan
    unproven = cluster.why_not(sets, k) or (Unproven(Reason.NO_PATH, *cut) if cut else None)
    worst_pair = None if unproven else _place(pairs_s, members, largest=True)
    nearest = _place(pairs_s, cluster.unsuspected(sets), largest=False)
    apart_s = max(0.0, -float(pairs_s[nearest])) if nearest else 0.0
    return Epsilon(
        k=k,
        method=Method.ALL_PAIRS,
        epsilon_s=float(pairs_s[worst_pair]) if worst_pair else None,
        worst_pair=worst_pair,
        unproven=unproven,
        apart_s=apart_s,
        apart_pair=nearest[::-1] if nearest and apart_s > 0 else None,
        contradicted=cluster.contradicted(sets),
        utc_lower_s=utc_lower_s,
        utc_upper_s=utc_upper_s,
        pairs_upper_s=pairs_s,
    )


def _place(pairs_s: Floats, nodes: Indexes, *, largest: bool) -> tuple[int, int] | None:
    """Which pair of the nodes has the largest (or least) entry; None where all are NaN."""
    between = pairs_s[np.ix_(nodes, nodes)]
    np.fill_diagonal(between, np.nan)
    if np.isnan(between).all():
        return None
    flat = np.nanargmax(between) if largest else np.nanargmin(between)
    row, column = divmod(int(flat), len(nodes))
    return int(nodes[row]), int(nodes[column])
