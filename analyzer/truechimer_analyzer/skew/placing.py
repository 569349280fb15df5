"""Where in each node's S the instant lies: proven, whichever nodes are wrong.

A *world* is a set of up to k nodes that are held to be wrong. In the world of those who are, all that the
others say is true: so what is true lies within the hull of what all worlds say whose rest agrees.

That is done twice. First with constraints that hold wherever in whose S the instant lies (``whenever``):
they place each node to a second or so, and nothing is assumed for it but that evidence is not older than
``REACH_S``. Then with these places as doubt exchanges are aged to the instant, which places them far better.
A guess of a place (``instant``) therefore never makes a constraint false; a bad one makes it loose.

Where UTC is not within a world's reach nodes are held against one of themselves. Their exchanges are then
true of one instant, but where others go by UTC that is not theirs, and nothing is said of their wall clocks.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from truechimer_analyzer.skew.ageing import aged, whenever
from truechimer_analyzer.skew.constraints import UTC
from truechimer_analyzer.skew.cycles import Inconsistent
from truechimer_analyzer.skew.epsilon import measure
from truechimer_analyzer.skew.instant import LEAST_DOUBT_S, MOST_DOUBT_S, Places
from truechimer_analyzer.skew.paths import from_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from truechimer_analyzer.skew.ageing import Aged
    from truechimer_analyzer.skew.constraints import Constraints, Floats
    from truechimer_analyzer.skew.reading import Cluster

MOST_WORLDS = 250
"""More are not gone through one by one: nodes are then placed by UTC alone."""
_ROUNDS = 3
_MARGIN = 1.01
_MUCH_S = LEAST_DOUBT_S / 10
World = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Places that hold whichever k nodes are wrong, and the constraints that were made with them.

    ``placed``: whose place is known well enough to look its wall clock up. ``worlds``: those whose rest
    agrees; empty where none does, and then the constraints are those that show it; None where they were not
    gone through one by one.
    """

    places: Places
    placed: NDArray[np.bool_]
    found: Aged
    constraints: Constraints
    worlds: tuple[World, ...] | None

    @property
    def agree(self) -> bool:
        """Whether the rest agrees in any world."""
        return self.worlds != ()


@dataclass(frozen=True, slots=True)
class _Hull:
    """Bounds of S − (instant − offset) of every node over ``worlds`` (as Settled has them).

    NaN: in no world is the node right. Infinite: not bounded in one of them. ``adrift``: bounded in one of
    them at another instant than the one that UTC names.
    """

    lower_s: Floats
    upper_s: Floats
    adrift: NDArray[np.bool_]
    worlds: tuple[World, ...] | None


def anywhere(cluster: Cluster, guess: Places, near_s: float, k: int) -> Settled:
    """Places by what holds at any instant near UTC = ``near_s`` (Unix s)."""
    nodes = range(1, cluster.count)
    size = min(k, len(nodes))
    few = math.comb(len(nodes), size) <= MOST_WORLDS
    worlds = tuple(itertools.combinations(nodes, size)) if few else None
    found = whenever(cluster, guess, near_s)
    constraints = found.constraints(cluster.count)
    hull = _hull(constraints, guess, worlds, k)
    return Settled(*_placed(guess, hull), found, constraints, hull.worlds)


def settle(cluster: Cluster, rough: Settled, at_s: float, k: int) -> Settled:
    """Better places at the instant UTC = ``at_s``, from those that hold there; of a rough one that agrees."""
    places, placed, worlds = rough.places, rough.placed, rough.worlds
    for left in reversed(range(_ROUNDS)):
        found = aged(cluster, places, at_s)
        constraints = found.constraints(cluster.count)
        hull = _hull(constraints, places, worlds, k)
        worlds = hull.worlds
        better, placed = _placed(places, hull)
        if left == 0 or worlds == () or not (np.abs(better.doubt_s - places.doubt_s) > _MUCH_S).any():
            break
        places = better
    return Settled(places, placed & rough.placed, found, constraints, worlds)


def _placed(places: Places, hull: _Hull) -> tuple[Places, NDArray[np.bool_]]:
    """Each node where S − (t − offset) is proven to lie, and which ones that is known of well enough.

    Whoever is right in no world keeps his place: what he says counts nowhere. Who is not bounded has none.
    """
    bounded = np.isfinite(hull.lower_s) & np.isfinite(hull.upper_s)
    offset_s, doubt_s = places.offset_s.copy(), places.doubt_s.copy()
    offset_s[np.isinf(hull.lower_s) | np.isinf(hull.upper_s)] = np.nan
    offset_s[bounded] -= (hull.lower_s[bounded] + hull.upper_s[bounded]) / 2
    # A place that is known to nothing is still wanted at instants some seconds apart.
    half_s = (hull.upper_s[bounded] - hull.lower_s[bounded]) / 2
    doubt_s[bounded] = np.maximum(LEAST_DOUBT_S, half_s * _MARGIN)
    offset_s[UTC] = doubt_s[UTC] = 0.0
    placed = bounded & ~hull.adrift & (doubt_s <= MOST_DOUBT_S) & np.isfinite(offset_s)
    return Places(offset_s, doubt_s, places.root), placed


def _hull(constraints: Constraints, places: Places, worlds: tuple[World, ...] | None, k: int) -> _Hull:
    if worlds is None:
        return _against_utc(constraints, k)
    lower_s, upper_s = np.full((2, constraints.count), np.nan)
    adrift = np.zeros(constraints.count, dtype=np.bool_)
    agreeing: list[World] = []
    for removed in worlds:
        left = constraints.without(removed)
        try:
            parts = list(_of_parts(left, places))
        except Inconsistent:
            continue
        agreeing.append(removed)
        right = ~np.isin(np.arange(left.count), removed)
        for mine, least_s, most_s in parts:
            those = mine[right[mine]]
            adrift[those] |= len(mine) > 1 and UTC not in mine and bool((places.root[mine] == UTC).any())
            lower_s[those] = np.fmin(lower_s[those], least_s[those])
            upper_s[those] = np.fmax(upper_s[those], most_s[those])
    return _Hull(lower_s, upper_s, adrift, tuple(agreeing))


def _of_parts(left: Constraints, places: Places) -> Iterator[tuple[NDArray[np.intp], Floats, Floats]]:
    """Each connected part's nodes with their bounds, relative to UTC or else to one of them."""
    matrix = coo_array((np.ones(len(left.tail)), (left.tail, left.head)), shape=(left.count, left.count))
    _, part = connected_components(matrix, directed=False)
    for node in np.flatnonzero(np.bincount(part)[part] == 1):
        yield np.array([node]), np.zeros(left.count), np.zeros(left.count)
    for number in np.flatnonzero(np.bincount(part) > 1).tolist():
        mine = np.flatnonzero(part == number)
        root = int(places.root[mine[-1]])
        yield mine, *from_one(left, root if part[root] == number else int(mine[0]))


def _against_utc(constraints: Constraints, k: int) -> _Hull:
    nothing = np.zeros(constraints.count)
    skew = measure(constraints, nothing, nothing, k)
    return _Hull(
        skew.robust.utc_lower_s.copy(),
        skew.robust.utc_upper_s.copy(),
        np.zeros(constraints.count, dtype=np.bool_),
        () if skew.liars.more_than_k else None,
    )
