"""How long a live peer is not heard of: what heartbeats would have met, replayed from probes and pauses.

A probe that was answered stands for a heartbeat that arrived; one that was lost, or found no way, for one
that did not. Of the probes every k-th is taken, in several phases, so that heartbeats rarer than the probes
are replayed as they would have been. Heartbeats more frequent than the probes are judged as if they came no
oftener than these: what happened between two probes was not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.binding import lengths_s
from truechimer_analyzer.timeouts.holder import merged
from truechimer_analyzer.timeouts.operations import Operations, Path
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder

# After so many intervals without a probe nobody looked: that is no silence of the peer.
UNWATCHED_INTERVALS = 1.9
# A path probed more rarely than so many of the intervals judged says little of them.
SLOW_INTERVALS = 2.0
# Probes are jittered: every 10th of probes every 0.1 s stands for one every second.
_SLACK = 0.01
# Of rare heartbeats so many phases are replayed: more of them tell the same again.
_MOST_PHASES = 60
_BURST = 0.25
_PAUSED_GAPS = 20.0
ANYBODY, PAUSES = "*", "pauses"
"""The peer and the kind of a path of which only one end's pauses are known."""

Stops = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
_NONE: Stops = (np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Silences:
    """Silences as operations: ``rtt_s`` is how long each lasted, ``time_s`` when it began.

    ``interval_s`` is the interval between heartbeats that was replayed, the median over paths, ``phases`` in
    how many phases: so many silences are one stretch of time seen again. Nothing is lost: a loss is a longer
    silence. ``trip_s``: the shortest round trip of the path where that is longest. ``unended``: paths whose
    last heartbeats did not arrive, so that whether the peer lived is not known; ``left_out``: paths probed
    too rarely for this interval, or answered less than twice.
    """

    each: Operations
    interval_s: float
    phases: int = 1
    trip_s: float = 0.0
    unended: int = 0
    left_out: int = 0


def silences(every: Operations, pauses: Columns, heartbeat_s: float | None) -> Silences | None:
    """The silences of every path at a heartbeat every ``heartbeat_s``; None where no path shows two arrivals.

    ``heartbeat_s`` None: as often as the median path is probed. A silence lasts from the sending of the
    newest heartbeat that had arrived to the arrival of the next one, whose delay is its round trip less the
    path's shortest: both are on the safe side. A pause of either end (of the host or of a watched process; a
    sum counts as its mean) ends no sooner than itself, and makes the silence that it falls into as long as
    itself and one interval at least, also where the probes went on without the paused process.
    """
    lines = lines_of(every)
    if not lines:
        return None
    judged_s = max(heartbeat_s or 0.0, float(np.median([line.gap_s for line in lines])))
    lines_judged = [line for line in lines if line.gap_s <= SLOW_INTERVALS * judged_s]
    paused = _paused(pauses)
    found: list[_Found] = []
    for line in lines_judged:
        one = line.replay(judged_s)
        if one is None:
            continue
        where = every.paths[line.path]
        ends = [paused.get((where.cluster, node), _NONE) for node in sorted({where.node, where.peer})]
        one.lengthen(*merged(*(np.concatenate(parts) for parts in zip(*ends, strict=True))))
        found.append(one)
    if not found:
        return None
    time_s = np.concatenate([one.begin_s for one in found])
    path = np.repeat([one.path for one in found], [len(one.begin_s) for one in found]).astype(np.intp)
    order = np.argsort(time_s, kind="stable")
    length_s = np.concatenate([one.length_s for one in found])[order]
    replayed = Operations(
        every.paths, length_s, time_s[order], path[order], np.zeros(0), np.zeros(0, dtype=np.intp), {}
    )
    return Silences(
        replayed,
        round(float(np.median([one.interval_s for one in found])), 6),
        max(one.phases for one in found),
        max(one.trip_s for one in found),
        sum(one.is_unended for one in found),
        len(every.paths) - len(found),
    )


def of_pauses(holder: Holder, heartbeat_s: float) -> Silences | None:
    """The silences of heartbeats every ``heartbeat_s`` that pauses alone make; None where nobody watched.

    Each stop is one silence of its length and an interval; the time watched holds as many heartbeats as fit,
    of which most that met no stop are not listed. What the network does is not in them.
    """
    watched = holder.nodes
    counts = np.array([int(node.watched_s / heartbeat_s) for node in watched], dtype=np.intp)
    if not counts.sum():
        return None
    stops = [len(node.began_s) for node in watched]
    # As many quiet ones as stops and more: the tail is the slower half of what is listed.
    quiet = [number + 2 for number in stops]
    begins = [
        np.append(node.began_s, np.full(number, node.first_s))
        for node, number in zip(watched, quiet, strict=True)
    ]
    lengths = [
        np.append(node.lasted_s + heartbeat_s, np.full(number, heartbeat_s))
        for node, number in zip(watched, quiet, strict=True)
    ]
    time_s = np.concatenate(begins)
    order = np.argsort(time_s, kind="stable")
    listed = np.array(stops) + np.array(quiet)
    path = np.repeat(np.arange(len(watched)), listed)
    felt = Operations(
        tuple(Path(node.cluster, node.node, ANYBODY, PAUSES) for node in watched),
        np.concatenate(lengths)[order],
        time_s[order],
        path[order],
        np.zeros(0),
        np.zeros(0, dtype=np.intp),
        {},
        unlisted=np.maximum(0, counts - listed),
        gap_s=heartbeat_s,
    )
    return Silences(felt, heartbeat_s)


@dataclass(slots=True)
class _Found:
    """One path's silences, phase by phase; ``ends`` says where in the arrays each phase ends."""

    begin_s: NDArray[np.float64]
    length_s: NDArray[np.float64]
    interval_s: float
    ends: list[int]
    path: int
    trip_s: float
    is_unended: bool

    @property
    def phases(self) -> int:
        """In how many phases it was replayed."""
        return len(self.ends)

    def lengthen(self, began_s: NDArray[np.float64], lasted_s: NDArray[np.float64]) -> None:
        """Have the silences that stops (apart, in order) fall into last as they must; others are added."""
        if not len(began_s):
            return
        begins, lengths = [], []
        begin = 0
        for end in self.ends:
            begin_s, length_s = self.begin_s[begin:end], self.length_s[begin:end]
            begin = end
            least_s = lasted_s + self.interval_s
            at = np.searchsorted(begin_s, began_s, side="right") - 1
            inside = (at >= 0) & (began_s <= begin_s[at] + length_s[at]) if len(begin_s) else at >= 0
            hit = at[inside]
            until_s = began_s[inside] + lasted_s[inside]
            np.maximum.at(length_s, hit, np.maximum(least_s[inside], until_s - begin_s[hit]))
            begins.append(np.concatenate([begin_s, began_s[~inside]]))
            lengths.append(np.concatenate([length_s, least_s[~inside]]))
        self.begin_s, self.length_s = np.concatenate(begins), np.concatenate(lengths)
        self.ends = np.cumsum([len(each) for each in begins]).tolist()


@dataclass(frozen=True, slots=True)
class Line:
    """One path's probes in the order of their sending; a delay of inf is a loss."""

    sent_s: NDArray[np.float64]
    delay_s: NDArray[np.float64]
    path: int
    gap_s: float

    def replay(self, judged_s: float) -> _Found | None:
        """Its silences at a heartbeat every ``judged_s``, or as often as it was probed."""
        every = max(1, math.ceil(judged_s / self.gap_s * (1 - _SLACK)))
        if every >= len(self.sent_s) / 2:
            return None
        interval_s = every * self.gap_s
        excess_s = self.delay_s - self.delay_s.min()
        # By time, not by number: probes that are missing shift no heartbeat.
        slot = np.floor((self.sent_s - self.sent_s[0]) / self.gap_s + 0.5).astype(np.int64) % every
        begins, lengths = [], []
        phases = np.unique(np.linspace(0, every - 1, min(every, _MOST_PHASES)).astype(np.int64))
        for phase in phases.tolist():
            own = np.flatnonzero(slot == phase) if every > 1 else slice(None)
            begin_s, length_s = _of_stream(self.sent_s[own], excess_s[own], interval_s)
            begins.append(begin_s)
            lengths.append(length_s)
        if not sum(map(len, begins)):
            return None
        return _Found(
            np.concatenate(begins),
            np.concatenate(lengths),
            interval_s,
            np.cumsum([len(each) for each in begins]).tolist(),
            self.path,
            float(self.delay_s.min()),
            not np.isfinite(self.delay_s[-every:]).any(),
        )


def lines_of(every: Operations) -> list[Line]:
    """The paths that were answered twice, with how often each was probed."""
    lost_s = np.concatenate([every.lost_s, every.unreachable_s])
    sent_s = np.concatenate([every.time_s, lost_s])
    delay_s = np.concatenate([every.rtt_s, np.full(len(lost_s), np.inf)])
    path = np.concatenate([every.path, every.lost_path, every.unreachable_path])
    order = np.lexsort((sent_s, path))
    sent_s, delay_s = sent_s[order], delay_s[order]
    ends = np.cumsum(np.bincount(path, minlength=len(every.paths)))
    found = []
    begin = 0
    for index, end in enumerate(ends.tolist()):
        own = slice(begin, end)
        begin = end
        if np.count_nonzero(np.isfinite(delay_s[own])) < 2:
            continue
        gap_s = _usual_gap_s(np.diff(sent_s[own]))
        if gap_s > 0:
            # Of a burst the first stands for a heartbeat: the others say nothing of another moment.
            first = np.diff(sent_s[own], prepend=-np.inf) >= _BURST * gap_s
            found.append(Line(sent_s[own][first], delay_s[own][first], index, gap_s))
    return found


def _usual_gap_s(gaps_s: NDArray[np.float64]) -> float:
    """The median gap; of bursts the one that half of the time lies in or in shorter ones: what is between."""
    gaps_s = np.sort(gaps_s[gaps_s > 0])
    if not len(gaps_s):
        return 0.0
    # When nobody probed for long is no gap of the schedule's.
    gaps_s = gaps_s[gaps_s <= _PAUSED_GAPS * gaps_s[int(0.9 * (len(gaps_s) - 1))]]
    passed_s = np.cumsum(gaps_s)
    between_s = float(gaps_s[int(np.searchsorted(passed_s, passed_s[-1] / 2))])
    median_s = float(np.median(gaps_s))
    return between_s if median_s < _BURST * between_s else median_s


def _of_stream(
    sent_s: NDArray[np.float64], excess_s: NDArray[np.float64], interval_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beginnings and lengths of the silences of one stream of heartbeats, in order."""
    # When each heartbeat's predecessor was sent too long before it, nobody looked between them.
    gap = np.zeros(len(sent_s), dtype=np.bool_)
    gap[1:] = np.diff(sent_s) > UNWATCHED_INTERVALS * interval_s
    stretch = np.cumsum(gap)
    arrived = np.flatnonzero(np.isfinite(excess_s))
    if len(arrived) < 2:
        return np.zeros(0), np.zeros(0)
    arrival_s = sent_s[arrived] + excess_s[arrived]
    order = np.argsort(arrival_s, kind="stable")
    arrived, arrival_s = arrived[order], arrival_s[order]
    # The newest that has arrived, whatever the order in which they came.
    newest = np.maximum.accumulate(arrived)[:-1]
    until_s = arrival_s[1:].copy()
    torn = stretch[arrived][1:] != stretch[newest]
    if torn.any():
        # Lost ones before nobody looked: the peer lived, and was silent for as long as was looked at least.
        last_of_stretch = np.searchsorted(stretch, stretch[newest[torn]], side="right") - 1
        until_s[torn] = sent_s[last_of_stretch] + interval_s
    length_s = until_s - sent_s[newest]
    watched = (length_s > 0) & (~torn | (length_s > (1 + _SLACK) * interval_s))
    return sent_s[newest][watched], length_s[watched]


def _paused(pauses: Columns) -> dict[tuple[str, str], Stops]:
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
