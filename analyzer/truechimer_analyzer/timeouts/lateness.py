"""Silences of heartbeats that are sent more often than was probed, from how late probes were. Pure.

A live peer that is not heard of for T, though it sends a heartbeat every h, has every one that is sent in a
stretch of T − h arrive after its end. A probe sent in its first half is late by more than half of T − h. So
with Q(x) the share of probes that are late by more than x, such silences come at most Q(x)/x times a second,
for x = (T − h)/2: each takes x or more of the time in which probes are late. Nothing is assumed of how long
delays last, or of what happened between two probes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.operations import Operations
from truechimer_analyzer.timeouts.silences import UNWATCHED_INTERVALS, lines_of
from truechimer_analyzer.timeouts.use import MONTH_S, tail_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.silences import Line
    from truechimer_analyzer.timeouts.tail import Tail


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late probes were, as the tail of operations; ``each`` holds them."""

    each: Operations
    tail: Tail

    def false_per_month(self, timeout_s: float, heartbeat_s: float) -> float | None:
        """How often a month a live peer is not heard of for ``timeout_s``, at most (one-sided 95 %)."""
        half_s = (timeout_s - heartbeat_s) / 2
        known = [point for point in self.tail.points if point.timeout_s <= half_s]
        return MONTH_S * known[-1].upper / half_s if known else None

    def candidates_s(self, false_per_month: float, heartbeat_s: float) -> list[float]:
        """Timeouts at which the bound may come to meet a rate."""
        halves = [max(point.timeout_s, MONTH_S * point.upper / false_per_month) for point in self.tail.points]
        return [heartbeat_s + 2 * half_s for half_s in halves]


def lateness(every: Operations) -> Lateness | None:
    """Of every probe: how long after it was sent one sent then or later arrived; None without any.

    Arrivals are by the round trip less the path's shortest. Lost ones before nobody looked count as late
    until then; those at the end, after which nothing came, are left out: whether the peer lived is not known.
    """
    found = [(line, *_late(line)) for line in lines_of(every)]
    found = [each for each in found if len(each[1])]
    if not found:
        return None
    time_s = np.concatenate([sent_s for _, sent_s, _ in found])
    order = np.argsort(time_s, kind="stable")
    path = np.repeat([line.path for line, _, _ in found], [len(sent_s) for _, sent_s, _ in found])
    of = Operations(
        every.paths,
        np.concatenate([late_s for _, _, late_s in found])[order],
        time_s[order],
        path.astype(np.intp)[order],
        np.zeros(0),
        np.zeros(0, dtype=np.intp),
        {},
    )
    return Lateness(of, tail_of(of))


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
