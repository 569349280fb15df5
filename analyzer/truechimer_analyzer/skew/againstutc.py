"""ε and ε_k of a large cluster, from every node's bound against UTC: max upper − min lower of two nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.cluster import rounded_up
from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.detours import TooLarge, away
from truechimer_analyzer.skew.paths import reduced
from truechimer_analyzer.skew.proven import Epsilon, Method, Reason, Unproven

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.skew.cluster import Cluster, Sets
    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.skew.paths import Reduced


def over_ends(cluster: Cluster, sets: Sets, k: int) -> Epsilon:
    """The worst pair of ends over the removals of up to k nodes that contain one of ``sets``."""
    count = cluster.constraints.count
    lower_s, upper_s = np.full(count, np.nan), np.full(count, np.nan)
    unproven = cluster.why_not(sets, k)
    epsilon_s, worst_pair = -np.inf, None
    try:
        for removed in sets:
            graph = reduced(cluster.constraints.without(removed))
            above = _side(graph, cluster.wall_upper_s, k - len(removed), reverse=False)
            below = _side(graph, -cluster.wall_lower_s, k - len(removed), reverse=True)
            left = np.isin(np.arange(count), removed, invert=True)
            upper_s = np.fmax(upper_s, np.where(left, above.worst(), np.nan))
            lower_s = np.fmin(lower_s, np.where(left, -below.worst(), np.nan))
            left &= np.isin(np.arange(count), cluster.members)
            unproven = unproven or above.cut(left, removed) or below.cut(left, removed)
            if not unproven:
                bound_s, pair = _furthest(above.largest(left), below.largest(left))
                if bound_s > epsilon_s:
                    epsilon_s, worst_pair = bound_s, pair
    except TooLarge:
        lower_s, upper_s = np.full(count, np.nan), np.full(count, np.nan)
        unproven = unproven or Unproven(Reason.TOO_LARGE)
    apart_s, apart_pair = _apart(lower_s, upper_s, cluster.unsuspected(sets))
    return Epsilon(
        k=k,
        method=Method.AGAINST_UTC,
        epsilon_s=None if unproven else epsilon_s,
        worst_pair=None if unproven else worst_pair,
        unproven=unproven,
        apart_s=apart_s,
        apart_pair=apart_pair,
        contradicted=cluster.contradicted(sets),
        utc_lower_s=lower_s,
        utc_upper_s=upper_s,
        pairs_upper_s=None,
    )


def _apart(lower_s: Floats, upper_s: Floats, nodes: Indexes) -> tuple[float, tuple[int, int] | None]:
    """How far two of the nodes are apart at least, and which."""
    if not len(nodes) or np.isnan(lower_s[nodes]).any():
        return 0.0, None
    a, b = int(nodes[np.argmin(upper_s[nodes])]), int(nodes[np.argmax(lower_s[nodes])])
    apart_s = -float(rounded_up(upper_s[a] - lower_s[b]))
    return (apart_s, (a, b)) if apart_s > 0 else (0.0, None)


@dataclass(frozen=True, slots=True)
class _Side:
    """Upper bounds of W − UTC (or of UTC − W where ``reverse``): of all nodes, and without one node each.

    Row i: without ``removed``[i] the bound of ``node``[i] is ``other_s``[i], not less than with it.
    """

    plain_s: Floats
    removed: Indexes
    node: Indexes
    other_s: Floats
    reverse: bool

    def worst(self) -> Floats:
        """Each node's worst bound."""
        found = self.plain_s.copy()
        np.maximum.at(found, self.node, self.other_s)
        return found

    def cut(self, left: NDArray[np.bool_], removed: tuple[int, ...]) -> Unproven | None:
        """The first of the nodes that has no bound."""
        nodes = np.flatnonzero(left & np.isinf(self.plain_s))
        if len(nodes):
            return self._no_path(removed, int(nodes[0]))
        rows = np.flatnonzero(left[self.node] & np.isinf(self.other_s))
        if len(rows):
            return self._no_path((*removed, int(self.removed[rows[0]])), int(self.node[rows[0]]))
        return None

    def _no_path(self, removed: tuple[int, ...], node: int) -> Unproven:
        a, b = (node, UTC) if self.reverse else (UTC, node)
        return Unproven(Reason.NO_PATH, tuple(sorted(removed)), a, b)

    def largest(self, left: NDArray[np.bool_]) -> _Ends:
        """Of the nodes that are left."""
        rows = left[self.node]
        return _largest(
            np.where(left, self.plain_s, -np.inf), self.removed[rows], self.node[rows], self.other_s[rows]
        )


def _side(graph: Reduced, wall_s: Floats, r: int, *, reverse: bool) -> _Side:
    if r > 1:
        raise TooLarge
    found = away(graph, reverse=reverse, removals=r == 1)
    at = graph.potential
    start, end = (at, at[UTC]) if reverse else (at[UTC], at)
    other = (at[found.node], at[UTC]) if reverse else (at[UTC], at[found.node])
    return _Side(
        rounded_up(graph.upper_s(found.distance, start, end) + wall_s),
        found.removed,
        found.node,
        rounded_up(graph.upper_s(found.other, *other) + wall_s[found.node]),
        reverse,
    )


@dataclass(frozen=True, slots=True)
class _Ends:
    """The two largest ends of each removal's nodes and whose they are; row v: without v, last: with all."""

    value: Floats
    node: Indexes


def _largest(plain: Floats, removed: Indexes, node: Indexes, other: Floats) -> _Ends:
    """From each node's ``plain`` (−inf: does not count) and, without one node each, ``other``, never less."""
    count = len(plain)
    top = np.argsort(-plain, kind="stable")[:3]
    values = np.full((count + 1, 5), -np.inf)
    nodes = np.full((count + 1, 5), -1, dtype=np.intp)
    values[:, : len(top)], nodes[:, : len(top)] = plain[top], top
    values[nodes == np.arange(count + 1)[:, None]] = -np.inf
    order = np.lexsort((node, -other, removed))
    begin = np.searchsorted(removed[order], np.arange(count))
    ends = np.searchsorted(removed[order], np.arange(count), side="right")
    for nth in (0, 1):
        has = np.flatnonzero(begin + nth < ends)
        row = order[begin[has] + nth]
        values[has, 3 + nth], nodes[has, 3 + nth] = other[row], node[row]
    rows = np.arange(count + 1)
    first = np.argmax(values, axis=1)
    best, whose = values[rows, first], nodes[rows, first]
    values[nodes == whose[:, None]] = -np.inf
    second = np.argmax(values, axis=1)
    return _Ends(np.stack((best, values[rows, second]), 1), np.stack((whose, nodes[rows, second]), 1))


def _furthest(above: _Ends, below: _Ends) -> tuple[float, tuple[int, int]]:
    """The largest sum of ends of two nodes over all removals, and whose they are: W_b − W_a <= that."""
    same = above.node[:, 0] == below.node[:, 0]
    best: tuple[float, tuple[int, int]] = (-np.inf, (-1, -1))
    for up, down, rows in ((0, 0, ~same), (0, 1, same), (1, 0, same)):
        total = above.value[:, up] + below.value[:, down]
        # -inf: there is no second node.
        total = np.where(rows & np.isfinite(total), rounded_up(total), -np.inf)
        row = int(np.argmax(total))
        if total[row] > best[0]:
            best = (float(total[row]), (int(below.node[row, down]), int(above.node[row, up])))
    return best
