"""One cluster's skew, proven: from evidence to constraints to bounds, and who is left out, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew import instant
from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.epsilon import Skew, measure
from truechimer_analyzer.skew.liars import find_liars
from truechimer_analyzer.skew.placing import anywhere, settle
from truechimer_analyzer.skew.walls import Watch
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.skew.ageing import Aged
    from truechimer_analyzer.skew.constraints import Floats
    from truechimer_analyzer.skew.epsilon import Epsilon
    from truechimer_analyzer.skew.instant import Places
    from truechimer_analyzer.skew.liars import Liars
    from truechimer_analyzer.skew.placing import Settled
    from truechimer_analyzer.skew.reading import Cluster, Evidence

SILENT_S = 60.0
"""Who told nothing of its W for so long is left out: six summaries, or a batch that is half a minute late."""

_SPARE_S = 0.02
"""Places move a little with the instant."""


class Lack(StrEnum):
    """Why a node is left out: nothing is proven of its wall clock at the instant."""

    SILENT = "silent"
    """It told what its wall clock did, but not lately."""
    NO_WALL = "no_wall"
    """It never told what its wall clock does, in this epoch of its steady clock."""
    BEHIND = "behind"
    """What it tells arrives too late: the others are much further."""
    APART = "apart"
    """No exchange, nor any bound of UTC, connects it with those that say when the instant is."""
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

    Both bounds, that when all is true and that whichever k nodes are wrong, rest on places of their own.
    """
    watches = {node: Watch.of(evidence.clocks, cluster.clocks[node]) for node in range(1, cluster.count)}
    guess = instant.place(cluster, evidence)
    near_s = as_of_ns / NS
    roughly = {tolerated: anywhere(cluster, guess, near_s, tolerated) for tolerated in {0, k}}
    base = roughly[0] if roughly[0].agree else roughly[k]
    lacks = _lacks(cluster, base, watches, _silent(cluster, base.places, watches, as_of_ns, live=live))
    telling = {node: watches[node] for node, lack in lacks.items() if lack is None and base.placed[node]}
    at_s = instant.latest(base.places, telling)
    if math.isfinite(at_s):
        # Once places are known better, so is until when the wall clocks are told.
        closely = settle(cluster, base, at_s, 0 if base is roughly[0] else k)
        if closely.agree:
            telling = {node: watch for node, watch in telling.items() if closely.placed[node]}
            at_s = max(at_s, instant.latest(closely.places, telling) - _SPARE_S)
    about_s = at_s if math.isfinite(at_s) else near_s
    settled = {
        tolerated: settle(cluster, rough, about_s, tolerated) if rough.agree else rough
        for tolerated, rough in roughly.items()
    }
    plain, robust = settled[0], settled[k]
    # What contradicts itself wherever anybody is, is no matter of places.
    accusing = roughly[k]
    liars = find_liars(accusing.constraints, k)
    if liars.consistent:
        accusing = robust
        liars = find_liars(accusing.constraints, k)
    if not plain.agree and liars.consistent:
        plain = robust
    base = plain if plain.agree else robust
    walls = {id(each): _walls(cluster, each, watches, at_s) for each in (plain, robust)}
    accused = {*liars.certain, *liars.one_of} if liars.sets else {*range(1, cluster.count)}
    told = np.isfinite(walls[id(base)][0])
    for node, lack in lacks.items():
        if lack is None and not told[node]:
            placed = base.placed[node]
            missing = Lack.NOT_WATCHED if placed else Lack.NO_PLACE
            lacks[node] = Lack.CONTRADICTED if not liars.consistent and node in accused else missing
    members = tuple(node for node, lack in lacks.items() if lack is None)
    return Proof(
        cluster,
        at_s,
        base.places,
        base.found,
        *walls[id(base)],
        {node: lack for node, lack in lacks.items() if lack is not None},
        members,
        _measured(plain, robust, walls, liars, k, members) if members else None,
        liars,
        accusing.found,
        guess if accusing is roughly[k] else robust.places,
    )


def _measured(
    plain: Settled,
    robust: Settled,
    walls: Mapping[int, tuple[Floats, Floats]],
    liars: Liars,
    k: int,
    members: Sequence[int],
) -> Skew:
    """Each bound with the constraints and the wall clocks of its own places."""
    of_all = measure(plain.constraints, *walls[id(plain)], 0, members).all_true
    if k == 0:
        return Skew(of_all, of_all, liars)
    return Skew(of_all, measure(robust.constraints, *walls[id(robust)], k, members).robust, liars)


def _walls(
    cluster: Cluster, settled: Settled, watches: Mapping[int, Watch], at_s: float
) -> tuple[Floats, Floats]:
    """Bounds of W − S − offset of every node at the instant; NaN: not placed, or not watched."""
    lower_s, upper_s = np.full((2, cluster.count), np.nan)
    for node in np.flatnonzero(settled.placed)[1:].tolist() if math.isfinite(at_s) else ():
        did = watches[node].during(*settled.places.span_s(node, at_s))
        if did is not None:
            lower_s[node], upper_s[node] = np.asarray(did) - settled.places.offset_s[node]
    return lower_s, upper_s


def _silent(
    cluster: Cluster, places: Places, watches: Mapping[int, Watch], as_of_ns: int, *, live: bool
) -> NDArray[np.bool_]:
    heard_ns = np.where(cluster.told_ns > 0, cluster.told_ns, cluster.heard_ns)
    if live:
        return as_of_ns - heard_ns > round(SILENT_S * NS)
    told_s = np.full(cluster.count, np.nan)
    for node, watch in watches.items():
        told_s[node] = watch.until_s + places.offset_s[node] if len(watch.end_s) else heard_ns[node] / NS
    silent: NDArray[np.bool_] = as_of_ns / NS - told_s > SILENT_S
    return silent


def _lacks(
    cluster: Cluster, settled: Settled, watches: Mapping[int, Watch], silent: NDArray[np.bool_]
) -> dict[int, Lack | None]:
    placed = settled.placed
    lacks: dict[int, Lack | None] = {}
    for node in range(1, cluster.count):
        lacks[node] = None
        if silent[node]:
            lacks[node] = Lack.SILENT
        elif not len(watches[node].end_s):
            lacks[node] = Lack.NO_WALL
    roots = settled.places.root[[node for node, lack in lacks.items() if lack is None and placed[node]]]
    if len(roots):
        main = UTC if UTC in roots else int(np.bincount(roots).argmax())
        for node in np.flatnonzero(settled.places.root != main).tolist():
            if node and lacks[node] is None and placed[node]:
                lacks[node] = Lack.APART
    telling = {node: watches[node] for node, lack in lacks.items() if lack is None and placed[node]}
    lacks |= dict.fromkeys(instant.behind(settled.places, telling), Lack.BEHIND)
    return lacks
