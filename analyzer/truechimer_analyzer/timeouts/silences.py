"""How long a live peer is not heard of: what heartbeats would have met, replayed from probes and pauses.

A probe that was answered stands for a heartbeat that arrived; one that was lost for one that did not. Of the
probes every k-th is taken, in all k phases, so that heartbeats rarer than the probes are replayed as they
would have been. Heartbeats more frequent than the probes are judged as if they came no oftener than these:
what happened between two probes was not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.binding import lengths_s
from truechimer_analyzer.timeouts.operations import Operations, Path
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder

# After so many intervals without a probe nobody looked: that is no silence of the peer.
UNWATCHED_INTERVALS = 3.0
# Probes are jittered: every 10th of probes every 0.1 s stands for one every second.
_SLACK = 0.01
_LOST_LENGTH = np.inf
ANYBODY, PAUSES = "*", "pauses"
"""The peer and the kind of a path of which only one end's pauses are known."""


@dataclass(frozen=True, slots=True)
class Silences:
    """Silences as operations: ``rtt_s`` is how long each lasted, ``time_s`` when it began.

    ``interval_s`` is the interval between heartbeats that was replayed, the median over paths; ``asked_s``
    what was asked for. Nothing is lost: a loss is a longer silence.
    """

    each: Operations
    interval_s: float
    asked_s: float


def silences(every: Operations, pauses: Columns, heartbeat_s: float) -> Silences | None:
    """The silences of every path at a heartbeat every ``heartbeat_s``; None where no path shows two arrivals.

    A silence lasts from the sending of the newest heartbeat that had arrived to the arrival of the next one,
    whose delay is its round trip less the path's shortest: both are on the safe side. A pause of either end
    (of the host or of a watched process; a sum counts as its mean) makes the silence that it falls into as
    long as itself and one interval at least, also where the probes went on without the paused process.
    """
    sent_s = np.concatenate([every.time_s, every.lost_s])
    delay_s = np.concatenate([every.rtt_s, np.full(len(every.lost_s), _LOST_LENGTH)])
    path = np.concatenate([every.path, every.lost_path])
    order = np.lexsort((sent_s, path))
    sent_s, delay_s, path = sent_s[order], delay_s[order], path[order]
    ends = np.cumsum(np.bincount(path, minlength=len(every.paths)))
    paused = _paused(pauses)
    found: list[_Found] = []
    begin = 0
    for index, end in enumerate(ends.tolist()):
        own = slice(begin, end)
        begin = end
        one = _of_path(sent_s[own], delay_s[own], heartbeat_s)
        if one is None:
            continue
        where = every.paths[index]
        for node in {where.node, where.peer}:
            one.lengthen(*paused.get((where.cluster, node), _NONE))
        one.path = index
        found.append(one)
    if not found:
        return None
    time_s = np.concatenate([one.begin_s for one in found])
    order = np.argsort(time_s, kind="stable")
    nothing = np.zeros(0)
    replayed = Operations(
        every.paths,
        np.concatenate([one.length_s for one in found])[order],
        time_s[order],
        np.repeat([one.path for one in found], [len(one.length_s) for one in found]).astype(np.intp)[order],
        nothing,
        np.zeros(0, dtype=np.intp),
        {},
    )
    return Silences(replayed, float(np.median([one.interval_s for one in found])), heartbeat_s)


def of_pauses(holder: Holder, heartbeat_s: float) -> Silences | None:
    """The silences of heartbeats every ``heartbeat_s`` that pauses alone make; None where nobody watched.

    Each stop is one silence of its length and an interval; the time watched holds as many heartbeats as fit.
    What the network does is not in them.
    """
    counts = [int(watched_s / heartbeat_s) for watched_s in holder.watched_s.values()]
    if not sum(counts):
        return None
    stops = np.bincount(holder.node, minlength=len(counts))
    # When the others were is of no consequence: no two of them are beyond any timeout.
    quiet = np.repeat(np.arange(len(counts)), np.maximum(0, np.array(counts) - stops))
    first_s = float(holder.began_s.min()) if len(holder.began_s) else 0.0
    last_s = first_s + max(holder.watched_s.values())
    length_s = np.concatenate([holder.lasted_s + heartbeat_s, np.full(len(quiet), heartbeat_s)])
    time_s = np.concatenate([holder.began_s, np.linspace(first_s, last_s, len(quiet))])
    path = np.concatenate([holder.node, quiet])
    order = np.argsort(time_s, kind="stable")
    nodes = tuple(Path(cluster, node, ANYBODY, PAUSES) for cluster, node in holder.watched_s)
    felt = Operations(
        nodes, length_s[order], time_s[order], path[order], np.zeros(0), np.zeros(0, dtype=np.intp), {}
    )
    return Silences(felt, heartbeat_s, heartbeat_s)


_NONE: tuple[NDArray[np.float64], NDArray[np.float64]] = (np.zeros(0), np.zeros(0))


@dataclass(slots=True)
class _Found:
    """One path's silences, phase by phase; ``ends`` says where in the arrays each phase ends."""

    begin_s: NDArray[np.float64]
    length_s: NDArray[np.float64]
    interval_s: float
    ends: list[int]
    path: int = 0

    def lengthen(self, began_s: NDArray[np.float64], lasted_s: NDArray[np.float64]) -> None:
        """Make the silences that pauses fall into last as long as those at least."""
        if not len(began_s):
            return
        begin = 0
        for end in self.ends:
            until_s = self.begin_s[begin:end] + self.length_s[begin:end]
            at = np.searchsorted(until_s, began_s, side="right")
            inside = (at < end - begin) & (began_s >= self.begin_s[begin] if end > begin else False)
            np.maximum.at(self.length_s[begin:end], at[inside], lasted_s[inside] + self.interval_s)
            begin = end


def _of_path(sent_s: NDArray[np.float64], delay_s: NDArray[np.float64], heartbeat_s: float) -> _Found | None:
    """One path's probes in the order of their sending; a delay of inf is a loss."""
    arrived = np.isfinite(delay_s)
    if np.count_nonzero(arrived) < 2:
        return None
    gap_s = float(np.median(np.diff(sent_s)))
    if gap_s <= 0:
        return None
    every = max(1, math.ceil(heartbeat_s / gap_s * (1 - _SLACK)))
    interval_s = every * gap_s
    shortest_s = float(delay_s[arrived].min())
    begins, lengths, ends = [], [], []
    total = 0
    for phase in range(min(every, len(sent_s))):
        begin_s, length_s = _of_stream(
            sent_s[phase::every], delay_s[phase::every] - shortest_s, UNWATCHED_INTERVALS * interval_s
        )
        begins.append(begin_s)
        lengths.append(length_s)
        total += len(begin_s)
        ends.append(total)
    if not total:
        return None
    return _Found(np.concatenate(begins), np.concatenate(lengths), interval_s, ends)


def _of_stream(
    sent_s: NDArray[np.float64], excess_s: NDArray[np.float64], unwatched_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beginnings and lengths of the silences of one stream of heartbeats."""
    # When each heartbeat's predecessor was sent too long before it, nobody looked between them.
    gap = np.zeros(len(sent_s), dtype=np.bool_)
    gap[1:] = np.diff(sent_s) > unwatched_s
    stretch = np.cumsum(gap)
    arrived = np.flatnonzero(np.isfinite(excess_s))
    arrival_s = sent_s[arrived] + excess_s[arrived]
    order = np.argsort(arrival_s, kind="stable")
    arrived, arrival_s = arrived[order], arrival_s[order]
    # The newest that has arrived, whatever the order in which they came.
    newest_s = np.maximum.accumulate(sent_s[arrived])[:-1]
    length_s = arrival_s[1:] - newest_s
    watched = (stretch[arrived][1:] == stretch[arrived][:-1]) & (length_s > 0)
    return newest_s[watched], length_s[watched]


def _paused(
    pauses: Columns,
) -> dict[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Each node's pauses: when they began (Unix s) and how long they lasted at least, by (cluster, node)."""
    lasted_s = lengths_s(pauses)
    found: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    rows = np.flatnonzero(np.isfinite(lasted_s) & (lasted_s > 0))
    clusters, nodes = pauses.tags["cluster"][rows].tolist(), pauses.tags["node"][rows].tolist()
    begans, lengths = (pauses.time_ns[rows] / NS).tolist(), lasted_s[rows].tolist()
    for cluster, node, began_s, length_s in zip(clusters, nodes, begans, lengths, strict=True):
        times, durations = found.setdefault((cluster, node), ([], []))
        times.append(began_s)
        durations.append(length_s)
    return {key: (np.array(times), np.array(durations)) for key, (times, durations) in found.items()}
