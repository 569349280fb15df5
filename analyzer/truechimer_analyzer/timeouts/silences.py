"""How long a live peer is not heard of: what heartbeats would have met, replayed from probes and pauses.

A probe that was answered stands for a heartbeat that arrived; one that was lost, or found no way, for one
that did not. Of the probes every k-th is taken, in several phases, so that heartbeats rarer than the probes
are replayed as they would have been. Heartbeats more frequent than the probes are judged as if they came no
oftener than these: what happened between two probes was not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.binding import lengths_s
from truechimer_analyzer.timeouts.holder import merged
from truechimer_analyzer.timeouts.lines import lines_of
from truechimer_analyzer.timeouts.listing import Listing, Unlisted
from truechimer_analyzer.timeouts.operations import Operations, Path
from truechimer_analyzer.timeouts.replay import replay
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.lines import Line

# A path probed more rarely than so many of the intervals judged says little of them.
SLOW_INTERVALS = 2.0
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


class Replay:
    """Takes one path after the other, all at one interval between heartbeats."""

    def __init__(self, judged_s: float, paused: Mapping[tuple[str, str], Stops], listing: Listing) -> None:
        """``paused``: as of ``stops_of``; ``listing`` takes the silences of every path."""
        self._judged_s = judged_s
        self._paused = paused
        self._listing = listing
        self._intervals_s: list[float] = []
        self._phases, self._trip_s, self._unended = 1, 0.0, 0

    def add(self, line: Line | None, where: Path) -> None:
        """The next path; without a line, or with one of rarer probes, it is left out."""
        heard = None
        if line is not None and line.gap_s <= SLOW_INTERVALS * self._judged_s:
            heard = replay(line, self._judged_s)
        if heard is None:
            self._listing.add(np.zeros(0), np.zeros(0))
            return
        ends = [self._paused.get((where.cluster, node), _NONE) for node in sorted({where.node, where.peer})]
        heard.lengthen(*merged(*(np.concatenate(parts) for parts in zip(*ends, strict=True))))
        self._listing.add(heard.begin_s, heard.length_s)
        self._intervals_s.append(heard.interval_s)
        self._phases = max(self._phases, heard.phases)
        self._trip_s = max(self._trip_s, heard.trip_s)
        self._unended += heard.is_unended

    def silences(self, paths: tuple[Path, ...]) -> Silences | None:
        """Of all the paths that were added, in their order; None where nothing was heard of any."""
        if not self._intervals_s:
            return None
        interval_s = float(np.median(self._intervals_s))
        return Silences(
            Operations.answered(paths, self._listing.listed()),
            round(interval_s, 6),
            self._phases,
            self._trip_s,
            self._unended,
            len(paths) - len(self._intervals_s),
        )


def silences(every: Operations, pauses: Columns, heartbeat_s: float | None) -> Silences | None:
    """The silences of every path at a heartbeat every ``heartbeat_s``; None where no path shows two arrivals.

    ``heartbeat_s`` None: as often as the median path is probed. A silence lasts from the sending of the
    newest heartbeat that had arrived to the arrival of the next one, whose delay is its round trip less the
    path's shortest: both are on the safe side. A pause of either end (of the host or of a watched process; a
    sum counts as its mean) ends no sooner than itself, and makes the silence that it falls into as long as
    itself and one interval at least, also where the probes went on without the paused process.
    """
    lines = {line.path: line for line in lines_of(every)}
    if not lines:
        return None
    judged_s = judged([line.gap_s for line in lines.values()], heartbeat_s)
    sent_s = [line.sent_s for line in lines.values()]
    edges_s = np.array([min(each[0] for each in sent_s), max(each[-1] for each in sent_s)])
    replay_all = Replay(judged_s, stops_of(pauses), Listing(edges_s, None))
    for index, where in enumerate(every.paths):
        replay_all.add(lines.get(index), where)
    return replay_all.silences(every.paths)


def judged(gaps_s: Sequence[float], heartbeat_s: float | None) -> float:
    """The interval that heartbeats are judged at: no shorter than paths are probed, by the median of them."""
    return max(heartbeat_s or 0.0, float(np.median(gaps_s)))


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
        unlisted=Unlisted.alike(np.maximum(0, counts - listed), heartbeat_s),
    )
    return Silences(felt, heartbeat_s)


def stops_of(pauses: Columns) -> dict[tuple[str, str], Stops]:
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
