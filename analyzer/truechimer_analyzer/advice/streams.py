"""False alarms of heartbeats and of requests, both ways, from what was recorded.

Heartbeats rest on replayed silences. Heartbeats more frequent than the probes are judged by the probes' own
lateness: a silence in which nothing was lost is as much shorter as the interval is, and as many are met as
probes were made. Stalls shorter than the probing interval that fall between two probes are seen in part only
(those of hosts and processes are recorded apart, and count whole).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.advice.measured import Stream
from truechimer_analyzer.advice.values import shown_s
from truechimer_analyzer.timeouts.silences import silences
from truechimer_analyzer.timeouts.tail import NONE_SEEN, round_up
from truechimer_analyzer.timeouts.use import MONTH_S, tail_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.tail import Tail

# A silence of about twice the interval or more is one in which a heartbeat was lost, or all stood still.
_LOST_INTERVALS = 1.5
_SAME_INTERVAL = 1.01


@dataclass(frozen=True, slots=True)
class _Judged:
    """Operations with their tail, and how many of them a month has; ``interval_s`` is what was replayed."""

    of: Operations
    tail: Tail
    per_month: float
    interval_s: float | None = None

    def timeout_s(self, false_per_month: float) -> float | None:
        found = self.tail.smallest(false_per_month / self.per_month)
        return None if found is None else found.timeout_s

    def false_per_month(self, timeout_s: float) -> float:
        """At most (one-sided 95 %); of the nearest timeout not above it that was looked at."""
        below = [point for point in self.tail.points if point.timeout_s <= timeout_s]
        point = below[-1] if below else tail_of(self.of, timeout_s).asked
        assert point is not None
        return point.upper * self.per_month

    def refusal(self, false_per_month: float) -> str:
        strictest = self.tail.strictest()
        needed_s = None
        if self.of.span_s > 0:
            wanted = NONE_SEEN * self.tail.cluster_size * self.per_month / false_per_month
            needed_s = (wanted - self.of.count) / (self.of.count / self.of.span_s)
        more = (
            "" if needed_s is None or needed_s <= 0 else f": needs {shown_s(needed_s)} more of these probes"
        )
        return (
            f"at most {false_per_month:g} false alarms a month were asked for, and the evidence cannot vouch "
            f"for that{more}; it supports {shown_s(strictest.timeout_s)} with at most "
            f"{round_up(strictest.upper * self.per_month):g} a month (--false-per-month)"
        )


def silence_stream(every: Operations, pauses: Columns, false_per_month: float) -> Stream | None:
    """Hearing nothing of a live peer, on any of the paths; None where no path shows two replies."""
    if not len(every.rtt_s):
        return None

    @functools.cache
    def judged(every_s: float) -> _Judged | None:
        return _silences(every, pauses, every_s)

    if judged(0.0) is None:
        return None
    return _stream(judged, false_per_month)


def reply_stream(every: Operations, false_per_month: float) -> Stream | None:
    """Round trips that take too long, of requests made regularly; None without a reply."""
    if not len(every.rtt_s):
        return None
    tail = tail_of(every)

    @functools.cache
    def judged(every_s: float) -> _Judged | None:
        return _Judged(every, tail, MONTH_S / every_s) if every_s > 0 else None

    return _stream(judged, false_per_month)


def _stream(judged: Callable[[float], _Judged | None], false_per_month: float) -> Stream:
    def timeout_s(every_s: float) -> float | None:
        found = judged(every_s)
        return None if found is None else found.timeout_s(false_per_month)

    def rate(every_s: float, timeout: float) -> float | None:
        found = judged(every_s)
        return None if found is None else found.false_per_month(timeout)

    def refusal(every_s: float) -> str | None:
        found = judged(every_s)
        return None if found is None else found.refusal(false_per_month)

    def note(every_s: float) -> str | None:
        found = judged(every_s)
        if found is None or found.interval_s is None or found.interval_s <= every_s * _SAME_INTERVAL:
            return None
        return f"judged by probes one every {shown_s(found.interval_s)}"

    return Stream(timeout_s, rate, refusal, note)


def _silences(every: Operations, pauses: Columns, every_s: float) -> _Judged | None:
    heard = silences(every, pauses, every_s)
    if heard is None:
        return None
    of = heard.each
    length_s = of.rtt_s.copy()
    for index in range(len(of.paths)):
        own = np.flatnonzero(of.path == index)
        if not len(own):
            continue
        usual_s = float(np.median(length_s[own]))
        # In most silences nothing was lost: the median is the path's own interval.
        if usual_s > every_s * _SAME_INTERVAL:
            kept = own[length_s[own] < _LOST_INTERVALS * usual_s]
            length_s[kept] = np.maximum(length_s[kept] - usual_s, 0.0) + every_s
    judged = replace(of, rtt_s=length_s)
    return _Judged(judged, tail_of(judged), MONTH_S / heard.interval_s, heard.interval_s)
