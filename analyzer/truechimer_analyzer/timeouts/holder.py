"""How often and how long those who hold leases stop, by what was recorded of hosts and processes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.pauses import plausible
from truechimer_analyzer.timeouts import lease
from truechimer_analyzer.timeouts.binding import DISK, lengths_s
from truechimer_analyzer.window import NS, groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns, Series

WINDOW_FIELDS = ("observed_seconds",)
SOURCE = ("cluster", "node", "source", "runtime")
PAUSE_FIELDS = ("duration_seconds", "pauses")
# A row of so many pauses or more counts as that many.
_MOST_OF_A_ROW = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """One node's stops, those of all its sources that overlap as one; ``first_s``: when it was first watched.

    ``watched_s``: how long, of the source that was watched least among those that showed stops.
    """

    cluster: str
    node: str
    began_s: NDArray[np.float64]
    lasted_s: NDArray[np.float64]
    watched_s: float
    first_s: float


@dataclass(frozen=True, slots=True)
class Kind:
    """The stops of one kind of source (``host``, or a process's name and runtime) on all nodes together."""

    began_s: NDArray[np.float64]
    lasted_s: NDArray[np.float64]
    watched_s: float


@dataclass(frozen=True, slots=True)
class Holder:
    """``nodes`` and ``kinds`` that were watched; ``longest_s`` the longest stop recorded of any, or None."""

    nodes: tuple[Node, ...]
    kinds: tuple[Kind, ...]
    longest_s: float | None

    @property
    def observed_s(self) -> float:
        """Node-seconds watched, by each node's own measure."""
        return sum(node.watched_s for node in self.nodes)

    def violations(self, guard_s: float) -> dict[str, float] | None:
        """How often a year a node stops for longer than ``guard_s``; None: nobody looked.

        The sum over kinds of sources, each by the time that it was watched: a holder is stopped by its host
        and by itself. A kind that was hardly watched makes the upper figure great.
        """
        if not self.kinds:
            return None
        found = [
            lease.violations(kind.began_s, kind.lasted_s, kind.watched_s, guard_s) for kind in self.kinds
        ]
        return {"estimate": sum(each for each, _ in found), "upper": sum(upper for _, upper in found)}


def holder_of(pauses: Columns, windows: Iterable[Series]) -> Holder:
    """From rows of truechimer_pause, and truechimer_pause_window by ``SOURCE``.

    Disks stop nobody but who waits for them.
    """
    least_s = lengths_s(pauses)
    kept = np.flatnonzero(np.isfinite(least_s) & (least_s > 0))
    stops: dict[tuple[str, ...], NDArray[np.intp]] = {
        key: kept[rows] for key, rows in groups(*(pauses.tags[tag][kept] for tag in SOURCE))
    }
    counts = np.clip(np.nan_to_num(plausible.counts(pauses.fields["pauses"]), nan=1.0), 1, _MOST_OF_A_ROW)
    nodes: dict[tuple[str, str], list[tuple[float, float, NDArray[np.intp]]]] = {}
    kinds: dict[tuple[str, str], list[tuple[float, NDArray[np.intp]]]] = {}
    nothing = np.zeros(0, dtype=np.intp)
    for window in windows:
        cluster, node, source, runtime = window.key
        seconds = plausible.seconds(window.fields["observed_seconds"])
        times_s, watched_s = window.time_ns / NS, float(np.nansum(seconds))
        # A source of several programs adds their time up: no more than passed was watched of the node.
        watched_s = min(watched_s, float(np.ptp(times_s)) + float(np.nanmax(seconds, initial=0.0)))
        if runtime == DISK or not watched_s > 0:
            continue
        own = stops.get(window.key, nothing)
        nodes.setdefault((cluster, node), []).append((watched_s, float(times_s.min()), own))
        kinds.setdefault((source, runtime), []).append((watched_s, own))
    return Holder(
        tuple(_node(key, parts, pauses, least_s) for key, parts in nodes.items()),
        tuple(_kind(parts, pauses, least_s, counts) for parts in kinds.values()),
        (float(least_s[kept].max()) if len(kept) else 0.0) if kinds or len(kept) else None,
    )


def _node(
    key: tuple[str, str],
    parts: list[tuple[float, float, NDArray[np.intp]]],
    pauses: Columns,
    least_s: NDArray[np.float64],
) -> Node:
    rows = np.concatenate([own for _, _, own in parts])
    shown = [watched_s for watched_s, _, own in parts if len(own)]
    watched_s = min(shown) if shown else max(watched_s for watched_s, _, _ in parts)
    began_s, lasted_s = merged(pauses.time_ns[rows] / NS, least_s[rows])
    return Node(*key, began_s, lasted_s, watched_s, min(first_s for _, first_s, _ in parts))


def _kind(
    parts: list[tuple[float, NDArray[np.intp]]],
    pauses: Columns,
    least_s: NDArray[np.float64],
    counts: NDArray[np.float64],
) -> Kind:
    rows = np.concatenate([own for _, own in parts])
    times = counts[rows].astype(np.intp)
    return Kind(
        np.repeat(pauses.time_ns[rows] / NS, times),
        np.repeat(least_s[rows], times),
        sum(watched_s for watched_s, _ in parts),
    )


def merged(
    began_s: NDArray[np.float64], lasted_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stops that overlap, as one: the same stop seen of the host and of its processes is one stop."""
    order = np.argsort(began_s, kind="stable")
    began_s, lasted_s = began_s[order], lasted_s[order]
    if not len(order):
        return began_s, lasted_s
    until_s = np.maximum.accumulate(began_s + lasted_s)
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = began_s[1:] > until_s[:-1]
    closes = np.append(opens[1:], True)
    return began_s[opens], until_s[closes] - began_s[opens]
