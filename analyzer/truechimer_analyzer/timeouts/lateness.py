"""Silences of heartbeats that are sent more often than was probed, from how late probes were. Pure.

A live peer that is not heard of for T, though it sends a heartbeat every h, has every one that is sent in a
stretch of T − h arrive after its end. A probe sent in its first half is late by more than half of T − h. So
with Q(x) the share of probes that are late by more than x, such silences come at most Q(x)/x times a second,
for x = (T − h)/2: each takes x or more of the time in which probes are late. Nothing is assumed of how long
delays last, or of what happened between two probes. Probes stand for heartbeats only where they are no more
frequent than these: of losses that come singly, a heartbeat meets one and the next probe none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.lines import Line, lines_of
from truechimer_analyzer.timeouts.listing import Listing
from truechimer_analyzer.timeouts.operations import Operations
from truechimer_analyzer.timeouts.replay import SLACK, UNWATCHED_INTERVALS
from truechimer_analyzer.timeouts.tail import NONE_SEEN
from truechimer_analyzer.timeouts.use import MONTH_S, tail_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Path
    from truechimer_analyzer.timeouts.tail import Point, Tail


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late probes were for heartbeats every ``heartbeat_s``, as the tail of operations (``each``).

    ``watched``: of each path how many probes there were, and how far apart (s).
    """

    each: Operations
    tail: Tail
    heartbeat_s: float
    watched: tuple[tuple[int, float], ...]

    def false_per_month(self, timeout_s: float) -> float | None:
        """How often a month a live peer is not heard of for ``timeout_s``, at most (one-sided 95 %).

        None where that is not known: the timeout is too short.
        """
        half_s, point = self._known(timeout_s)
        if point is None:
            return None
        # A long silence is seen by many probes, which are no more evidence than one: none seen in a stretch
        # of time leaves as many as none seen by probes that far apart.
        none_seen = NONE_SEEN / sum(count * min(half_s, gap_s) for count, gap_s in self.watched)
        return MONTH_S * max(point.upper / half_s, none_seen)

    def worst_path_per_month(self, timeout_s: float) -> float:
        """The most of any single path, as it was seen; 0 where nothing is known."""
        half_s, point = self._known(timeout_s)
        return 0.0 if point is None else MONTH_S * point.worst_path / half_s

    def candidates_s(self, false_per_month: float) -> list[float]:
        """Timeouts at which the bound, and the worst path, may come to meet a rate."""
        halves = [
            max(point.timeout_s, MONTH_S * max(point.upper, point.worst_path) / false_per_month)
            for point in self.tail.points
        ]
        return [self.heartbeat_s + 2 * half_s for half_s in halves]

    def _known(self, timeout_s: float) -> tuple[float, Point | None]:
        half_s = (timeout_s - self.heartbeat_s) / 2
        known = [point for point in self.tail.points if 0 < half_s >= point.timeout_s]
        return half_s, known[-1] if known else None


class Lates:
    """Takes one path after the other."""

    def __init__(self, heartbeat_s: float, listing: Listing) -> None:
        """For heartbeats every ``heartbeat_s``; ``listing`` takes how late every probe was."""
        self._heartbeat_s = heartbeat_s
        self._listing = listing
        self._watched: list[tuple[int, float]] = []

    def add(self, line: Line | None) -> None:
        """The next path, if it has a line."""
        sent_s, late_s = np.zeros(0), np.zeros(0)
        if line is not None:
            line = _thinned(line, self._heartbeat_s)
            if np.isfinite(line.delay_s).any():
                sent_s, late_s = _late(line)
        self._listing.add(sent_s, late_s)
        if line is not None and len(sent_s):
            self._watched.append((len(sent_s), line.gap_s))

    def lateness(self, paths: tuple[Path, ...]) -> Lateness | None:
        """Of all the paths that were added, in their order; None without any probe."""
        if not self._watched:
            return None
        of = Operations.answered(paths, self._listing.listed())
        return Lateness(of, tail_of(of), self._heartbeat_s, tuple(self._watched))


def lateness(every: Operations, heartbeat_s: float) -> Lateness | None:
    """Of every probe: how long after it was sent one sent then or later arrived; None without any.

    Of paths probed more often than every ``heartbeat_s`` as many as there are heartbeats, at most. Arrivals
    are by the round trip less the path's shortest. Lost ones before nobody looked count as late until then;
    those at the end, after which nothing came, are left out: whether the peer lived is not known.
    """
    lines = {line.path: line for line in lines_of(every)}
    if not lines:
        return None
    sent_s = [line.sent_s for line in lines.values()]
    edges_s = np.array([min(each[0] for each in sent_s), max(each[-1] for each in sent_s)])
    lates = Lates(heartbeat_s, Listing(edges_s, None))
    for index in range(len(every.paths)):
        lates.add(lines.get(index))
    return lates.lateness(every.paths)


def _thinned(line: Line, heartbeat_s: float) -> Line:
    every = math.ceil(heartbeat_s / line.gap_s * (1 - SLACK))
    if every <= 1:
        return line
    # By time, not by number: probes that are missing shift no heartbeat.
    slot = np.floor((line.sent_s - line.sent_s[0]) / line.gap_s + 0.5).astype(np.int64)
    kept = slot % every == 0
    return Line(line.sent_s[kept], line.delay_s[kept], line.path, every * line.gap_s)


def _late(line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    excess_s = line.delay_s - line.delay_s.min()
    torn = np.flatnonzero(np.diff(line.sent_s) > UNWATCHED_INTERVALS * line.gap_s)
    sents, lates = [], []
    begin = 0
    for end in [*(torn + 1).tolist(), len(line.sent_s)]:
        sent_s = line.sent_s[begin:end]
        arrival_s = sent_s + excess_s[begin:end]
        if end < len(line.sent_s):
            arrival_s = np.append(arrival_s, sent_s[-1] + line.gap_s)
        first_s = np.minimum.accumulate(arrival_s[::-1])[::-1][: len(sent_s)]
        known = np.isfinite(first_s)
        sents.append(sent_s[known])
        lates.append(first_s[known] - sent_s[known])
        begin = end
    return np.concatenate(sents), np.concatenate(lates)
