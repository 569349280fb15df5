"""One cluster's skew, proven: from evidence to constraints to bounds, and who is left out, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew import instant
from truechimer_analyzer.skew.ageing import aged
from truechimer_analyzer.skew.epsilon import measure
from truechimer_analyzer.skew.liars import find_liars
from truechimer_analyzer.skew.paths import from_one
from truechimer_analyzer.skew.walls import Watch
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.skew.ageing import Aged
    from truechimer_analyzer.skew.constraints import Constraints, Floats
    from truechimer_analyzer.skew.epsilon import Skew
    from truechimer_analyzer.skew.instant import Places
    from truechimer_analyzer.skew.reading import Cluster, Evidence

SILENT_S = 60.0
"""Who told nothing of its W for so long is left out: six summaries, or a batch that is half a minute late."""
_ROUNDS = 4


class Lack(StrEnum):
    """Why a node is left out: nothing is proven of its wall clock at the instant."""

    SILENT = "silent"
    """It told what its wall clock did, but not lately."""
    NO_WALL = "no_wall"
    """It never told what its wall clock does, in this epoch of its steady clock."""
    BEHIND = "behind"
    """What it tells arrives too late: the others are much further."""
    NO_PLACE = "no_place"
    """When the instant was by its steady clock is not known well enough."""
    NOT_WATCHED = "not_watched"
    """Nobody watched its wall clock at the instant: agent or epoch began later, or a summary is lost."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proven of a cluster at UTC = ``at_s`` (Unix s; NaN when no node told enough).

    ``wall_lower_s`` and ``wall_upper_s`` bound W − S − offset of every node (NaN: left out); ``skew`` is None
    without members. ``constraints``' ``index`` counts in ``aged``.
    """

    cluster: Cluster
    at_s: float
    places: Places
    aged: Aged
    constraints: Constraints
    wall_lower_s: Floats
    wall_upper_s: Floats
    lacks: Mapping[int, Lack]
    members: tuple[int, ...]
    skew: Skew | None


def prove(cluster: Cluster, evidence: Evidence, as_of_ns: int, k: int, *, live: bool) -> Proof:
    """``live``: the answer is about now, so that silence is measured by arrival; else by the places."""
    watches = {
        node: Watch.of(evidence.clocks, cluster.clocks[node], evidence.events, cluster.starts[node])
        for node in range(1, cluster.count)
    }
    places = instant.place(cluster, evidence)
    silent = _silent(cluster, places, watches, as_of_ns, live=live)
    for _ in range(_ROUNDS):
        lacks = {node: _lack(node, watches, silent, places) for node in watches}
        telling = {node: watch for node, watch in watches.items() if lacks[node] is None}
        lacks |= dict.fromkeys(instant.behind(places, telling), Lack.BEHIND)
        at_s = instant.latest(places, {node: watches[node] for node, lack in lacks.items() if lack is None})
        found = aged(cluster, places, at_s if math.isfinite(at_s) else as_of_ns / NS)
        constraints = found.constraints(cluster.count)
        sets = find_liars(constraints, k).sets
        lower_s, upper_s = _proven_places(constraints, places, sets)
        astray = (lower_s < -places.doubt_s) | (upper_s > places.doubt_s)
        if not astray.any():
            break
        nodes = np.flatnonzero(astray)
        places = places.moved(nodes, lower_s[nodes], upper_s[nodes])
    # Of those that must have lied, and where too many did, nothing is claimed anyway.
    accused = {node for removed in sets for node in removed} if sets else set(range(cluster.count))
    lost = astray | (np.isnan(lower_s) & ~np.isin(np.arange(cluster.count), list(accused)))
    walls = np.full((2, cluster.count), np.nan)
    for node, lack in lacks.items():
        if lack is None and lost[node]:
            lacks[node] = Lack.NO_PLACE
        elif lack is None:
            did = watches[node].during(*places.span_s(node, at_s))
            if did is None:
                lacks[node] = Lack.NOT_WATCHED
            else:
                walls[:, node] = did - places.offset_s[node]
    members = tuple(node for node, lack in lacks.items() if lack is None)
    return Proof(
        cluster,
        at_s,
        places,
        found,
        constraints,
        walls[0],
        walls[1],
        {node: lack for node, lack in lacks.items() if lack is not None},
        members,
        measure(constraints, walls[0], walls[1], k, members) if members else None,
    )


def _silent(
    cluster: Cluster, places: Places, watches: Mapping[int, Watch], as_of_ns: int, *, live: bool
) -> NDArray[np.bool_]:
    if live:
        return as_of_ns - cluster.told_ns > round(SILENT_S * NS)
    told_s = np.full(cluster.count, np.nan)
    for node, watch in watches.items():
        told_s[node] = watch.until_s + places.offset_s[node]
    silent: NDArray[np.bool_] = as_of_ns / NS - told_s > SILENT_S
    return silent


def _lack(node: int, watches: Mapping[int, Watch], silent: NDArray[np.bool_], places: Places) -> Lack | None:
    if not len(watches[node].end_s):
        return Lack.NO_WALL
    if silent[node]:
        return Lack.SILENT
    return None if places.doubt_s[node] <= instant.MOST_DOUBT_S else Lack.NO_PLACE


def _proven_places(
    constraints: Constraints, places: Places, sets: Sequence[Sequence[int]]
) -> tuple[Floats, Floats]:
    """Bounds of S − (instant − offset) of every node, whoever of the possible liars it was; NaN: none.

    Without a consistent removal set nothing is proven, so nothing needs a place.
    """
    lower_s, upper_s = np.full((2, constraints.count), np.nan)
    for removed in sets:
        left = constraints.without(removed)
        honest = ~np.isin(np.arange(constraints.count), removed)
        for root in np.unique(places.root).tolist():
            mine = (places.root == root) & honest
            if mine[root] and np.count_nonzero(mine) == 1:
                lower_s[root] = upper_s[root] = 0.0
                continue
            least_s, most_s = from_one(left, root)
            mine &= np.isfinite(least_s) & np.isfinite(most_s)
            lower_s[mine] = np.fmin(lower_s[mine], least_s[mine])
            upper_s[mine] = np.fmax(upper_s[mine], most_s[mine])
    return lower_s, upper_s
