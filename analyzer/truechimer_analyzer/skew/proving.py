"""One cluster's skew, proven: from evidence to constraints to bounds, and who is left out, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from truechimer_analyzer.skew import instant
from truechimer_analyzer.skew.ageing import aged, whenever
from truechimer_analyzer.skew.epsilon import measure
from truechimer_analyzer.skew.liars import find_liars
from truechimer_analyzer.skew.paths import from_one
from truechimer_analyzer.skew.walls import Watch
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.skew.ageing import Aged
    from truechimer_analyzer.skew.constraints import Constraints, Floats
    from truechimer_analyzer.skew.epsilon import Epsilon, Skew
    from truechimer_analyzer.skew.instant import Places
    from truechimer_analyzer.skew.liars import Liars
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
    CONTRADICTED = "contradicted"
    """It is wrong by far, or may be: it contradicts others."""
    NOT_WATCHED = "not_watched"
    """Nobody watched its wall clock at the instant: agent or epoch began later, or a summary is lost."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proven of a cluster at UTC = ``at_s`` (Unix s; NaN when no node told enough).

    ``wall_lower_s`` and ``wall_upper_s`` bound W − S − offset of every node (NaN: left out); ``skew`` is None
    without members. ``liars``: who is wrong or may be, if anybody; the constraints of their cycle are places
    in ``accused_by``, made with ``places_then``.
    """

    cluster: Cluster
    at_s: float
    places: Places
    aged: Aged
    wall_lower_s: Floats
    wall_upper_s: Floats
    lacks: Mapping[int, Lack]
    members: tuple[int, ...]
    skew: Skew | None
    liars: Liars | None
    accused_by: Aged
    places_then: Places

    @property
    def all_true(self) -> Epsilon | None:
        """The bound when all evidence is true: None where it cannot be, or nobody told anything."""
        return self.skew.all_true if self.skew and self.liars and self.liars.consistent else None

    @property
    def robust(self) -> Epsilon | None:
        """The bound whichever nodes are wrong."""
        return self.skew.robust if self.skew else None


def prove(cluster: Cluster, evidence: Evidence, as_of_ns: int, k: int, *, live: bool) -> Proof:
    """``live``: the answer is about now, so that silence is measured by arrival; else by the places.

    Places of honest nodes must fit together, or else exchanges of honest nodes seem to contradict each other.
    So whatever contradicts itself wherever anybody is (``whenever``) is settled first: nothing is claimed of
    those who may be wrong by so much, and nothing rests on them. What remains cannot move places far.
    """
    of_all = instant.place(cluster, evidence)
    grossly = whenever(cluster, of_all, as_of_ns / NS)
    gross = find_liars(grossly.constraints(cluster.count), k)
    suspect = {node for removed in gross.sets for node in removed} if gross.sets else range(1, cluster.count)
    proof = _proof(cluster.without(suspect), evidence, as_of_ns, k, suspect, live=live)
    if gross.consistent:
        return proof
    return replace(proof, liars=gross, accused_by=grossly, places_then=of_all)


def _proof(
    cluster: Cluster, evidence: Evidence, as_of_ns: int, k: int, suspect: Collection[int], *, live: bool
) -> Proof:
    watches = {
        node: Watch.of(evidence.clocks, cluster.clocks[node], evidence.events, cluster.starts[node])
        for node in range(1, cluster.count)
    }
    places = instant.place(cluster, evidence)
    silent = _silent(cluster, places, watches, as_of_ns, live=live)
    for left in reversed(range(_ROUNDS)):
        lacks = {node: _lack(node, watches, silent, places) for node in watches}
        lacks |= {node: Lack.CONTRADICTED for node in suspect if lacks.get(node, Lack.NO_WALL) is None}
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
        if not left:
            # What they exchanged was aged to who knows when.
            return _proof(cluster.without(nodes.tolist()), evidence, as_of_ns, k, suspect, live=live)
        places = places.moved(nodes, lower_s[nodes], upper_s[nodes])
    walls = np.full((2, cluster.count), np.nan)
    for node, lack in lacks.items():
        if lack is None:
            did = watches[node].during(*places.span_s(node, at_s))
            if did is None:
                lacks[node] = Lack.NOT_WATCHED
            else:
                walls[:, node] = did - places.offset_s[node]
    members = tuple(node for node, lack in lacks.items() if lack is None)
    skew = measure(constraints, walls[0], walls[1], k, members) if members else None
    return Proof(
        cluster,
        at_s,
        places,
        found,
        walls[0],
        walls[1],
        {node: lack for node, lack in lacks.items() if lack is not None},
        members,
        skew,
        skew.liars if skew else None,
        found,
        places,
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

    Where UTC is not within reach (any more) nodes are held against one of themselves: their pairs are then
    bounded at one instant, if not at the one that UTC names. Without a consistent removal set nothing is
    proven, so nothing needs a place.
    """
    lower_s, upper_s = np.full((2, constraints.count), np.nan)
    accused = {node for removed in sets for node in removed}
    for removed in sets:
        left = constraints.without(removed)
        matrix = coo_array((np.ones(len(left.tail)), (left.tail, left.head)), shape=(left.count, left.count))
        _, part = connected_components(matrix, directed=False)
        honest = ~np.isin(np.arange(left.count), removed)
        sizes = np.bincount(part)
        alone = honest & (sizes[part] == 1)
        lower_s[alone], upper_s[alone] = np.fmin(lower_s[alone], 0.0), np.fmax(upper_s[alone], 0.0)
        for number in np.flatnonzero(sizes > 1).tolist():
            mine = np.flatnonzero(part == number)
            root = int(places.root[mine[-1]])
            if part[root] != number:
                root = next((node for node in mine.tolist() if node not in accused), int(mine[0]))
            least_s, most_s = from_one(left, root)
            lower_s[mine] = np.fmin(lower_s[mine], least_s[mine])
            upper_s[mine] = np.fmax(upper_s[mine], most_s[mine])
    return lower_s, upper_s
