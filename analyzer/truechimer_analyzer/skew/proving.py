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
    """It contradicts others, and is or may be the one that is wrong."""
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


@dataclass(frozen=True, slots=True)
class _View:
    """What holds although a number of nodes are wrong, and what their wall clocks did by its places."""

    settled: Settled
    wall_lower_s: Floats
    wall_upper_s: Floats


def prove(cluster: Cluster, evidence: Evidence, as_of_ns: int, k: int, *, live: bool) -> Proof:
    """``live``: the answer is about now, so that silence is measured by arrival; else by the places.

    Both bounds, that when all is true and that whichever k nodes are wrong, rest on places of their own.
    """
    watches = {node: Watch.of(evidence.clocks, cluster.clocks[node]) for node in range(1, cluster.count)}
    guess = instant.place(cluster, evidence)
    roughly = {tolerated: anywhere(cluster, guess, as_of_ns / NS, tolerated) for tolerated in {0, k}}
    tolerated = 0 if roughly[0].agree else k
    silent = _silent(cluster, roughly[tolerated].places, watches, as_of_ns, live=live)
    lacks = _lacks(cluster, roughly[tolerated], watches, silent)
    telling = {node: watches[node] for node, lack in lacks.items() if lack is None}
    at_s = _instant_s(cluster, roughly[tolerated], telling, tolerated)
    views = {
        tolerated: _viewed(cluster, rough, watches, at_s, as_of_ns / NS, tolerated)
        for tolerated, rough in roughly.items()
    }
    plain, robust = views[0], views[k]
    # What contradicts itself wherever the instant lies is no matter of places.
    accusing = roughly[k]
    liars = find_liars(accusing.constraints, k)
    if liars.consistent:
        accusing = robust.settled
        liars = find_liars(accusing.constraints, k)
    if not plain.settled.agree and liars.consistent:
        plain = robust
    base = plain if plain.settled.agree else robust
    lacks |= _untold(base, liars, [node for node, lack in lacks.items() if lack is None])
    members = tuple(node for node, lack in lacks.items() if lack is None)
    return Proof(
        cluster,
        at_s,
        base.settled.places,
        base.settled.found,
        base.wall_lower_s,
        base.wall_upper_s,
        {node: lack for node, lack in lacks.items() if lack is not None},
        members,
        _measured(plain, robust, liars, k, members) if members else None,
        liars,
        accusing.found,
        guess if accusing is roughly[k] else accusing.places,
    )


def _instant_s(cluster: Cluster, rough: Settled, telling: Mapping[int, Watch], tolerated: int) -> float:
    """The instant that the answer is about (UTC, Unix s): once places are known better, somewhat later."""
    telling = {node: watch for node, watch in telling.items() if rough.placed[node]}
    at_s = instant.latest(rough.places, telling)
    if not math.isfinite(at_s):
        return at_s
    closely = settle(cluster, rough, at_s, tolerated)
    if not closely.agree:
        return at_s
    telling = {node: watch for node, watch in telling.items() if closely.placed[node]}
    return max(at_s, instant.latest(closely.places, telling) - _SPARE_S)


def _viewed(
    cluster: Cluster,
    rough: Settled,
    watches: Mapping[int, Watch],
    at_s: float,
    as_of_s: float,
    tolerated: int,
) -> _View:
    """Bounds of W − S − offset of every node at the instant; NaN: not placed, or not watched."""
    about_s = at_s if math.isfinite(at_s) else as_of_s
    settled = settle(cluster, rough, about_s, tolerated) if rough.agree else rough
    lower_s, upper_s = np.full((2, cluster.count), np.nan)
    for node in np.flatnonzero(settled.placed).tolist() if math.isfinite(at_s) else ():
        did = watches[node].during(*settled.places.span_s(node, at_s)) if node != UTC else None
        if did is not None:
            lower_s[node], upper_s[node] = np.asarray(did) - settled.places.offset_s[node]
    return _View(settled, lower_s, upper_s)


def _untold(view: _View, liars: Liars, nodes: Sequence[int]) -> dict[int, Lack]:
    """Why the view says nothing of some nodes' wall clocks."""
    accused = {*liars.certain, *liars.one_of} if liars.sets else set(nodes)
    lacks: dict[int, Lack] = {}
    for node in nodes:
        if not math.isfinite(view.wall_lower_s[node]):
            lacks[node] = Lack.NOT_WATCHED if view.settled.placed[node] else Lack.NO_PLACE
            if not liars.consistent and node in accused:
                lacks[node] = Lack.CONTRADICTED
    return lacks


def _measured(plain: _View, robust: _View, liars: Liars, k: int, members: Sequence[int]) -> Skew:
    """Each bound by the constraints and the wall clocks of its own places."""
    of_all, of_most = (
        measure(view.settled.constraints, view.wall_lower_s, view.wall_upper_s, tolerated, members)
        for view, tolerated in ((plain, 0), (robust, k))
    )
    return Skew(of_all.all_true, of_most.robust, liars)


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
