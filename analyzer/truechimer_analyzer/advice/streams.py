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
from truechimer_analyzer.reading import nothing
from truechimer_analyzer.timeouts.binding import PAUSE_FIELDS, lengths_s
from truechimer_analyzer.timeouts.silences import of_pauses, silences
from truechimer_analyzer.timeouts.tail import NONE_SEEN, round_up
from truechimer_analyzer.timeouts.use import MONTH_S, tail_of
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.tail import Tail

# A silence of about twice the interval or more is one in which a probe was lost.
_LOST_INTERVALS = 1.5
_SAME_INTERVAL = 1.01
# Heartbeats rarer than so many probes are not replayed: each phase of them is a stream of its own.
_MOST_PHASES = 20_000
_MOST_HEARTBEATS = 2_000_000


@dataclass(frozen=True, slots=True)
class _Judged:
    """Operations with their tail, how many of them a month has, and what is to be known of them."""

    of: Operations
    tail: Tail
    per_month: float
    note: str | None = None

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


def silence_stream(
    every: Operations, pauses: Columns, holder: Holder, false_per_month: float
) -> Stream | None:
    """Hearing nothing of a live peer, on any of the paths; of pauses alone where nobody probed.

    None where nobody watched for these either.
    """
    most_s = _MOST_PHASES / (every.rate_hz or 1.0)

    @functools.cache
    def judged(every_s: float) -> _Judged | None:
        return _silences(every, pauses, holder, every_s) if 0 < every_s <= most_s else None

    return None if judged(1.0) is None else _stream(judged, false_per_month)


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
        return None if found is None else found.note

    return Stream(timeout_s, rate, refusal, note)


def _silences(every: Operations, pauses: Columns, holder: Holder, every_s: float) -> _Judged | None:
    heard = silences(every, pauses, every_s)
    if heard is None:
        return _of_pauses_alone(holder, every_s)
    if heard.interval_s <= every_s * _SAME_INTERVAL:
        return _Judged(heard.each, tail_of(heard.each), MONTH_S / heard.interval_s)
    quick = _quicker(every, pauses, every_s)
    note = f"judged by probes one every {shown_s(heard.interval_s)}"
    return _Judged(quick, tail_of(quick), MONTH_S / heard.interval_s, note)


def _of_pauses_alone(holder: Holder, every_s: float) -> _Judged | None:
    """Of no more heartbeats than fit in memory: between them it is quiet, and a stop is as long to all."""
    replayed_s = max(every_s, sum(holder.watched_s.values()) / _MOST_HEARTBEATS)
    alone = of_pauses(holder, replayed_s)
    if alone is None:
        return None
    of = replace(alone.each, rtt_s=alone.each.rtt_s - replayed_s + every_s)
    return _Judged(of, tail_of(of), MONTH_S / replayed_s, "of pauses alone: nobody probed")


def _quicker(every: Operations, pauses: Columns, every_s: float) -> Operations:
    """The silences of heartbeats that are sent more often than probes were: one for each probe."""
    heard = silences(every, nothing("truechimer_pause", PAUSE_FIELDS), every_s)
    assert heard is not None
    of = heard.each
    length_s = of.rtt_s.copy()
    stops_s, lasted_s = pauses.time_ns / NS, lengths_s(pauses)
    for index, path in enumerate(of.paths):
        own = np.flatnonzero(of.path == index)
        if not len(own):
            continue
        until_s = of.time_s[own] + of.rtt_s[own]
        usual_s = float(np.median(of.rtt_s[own]))
        # In most silences nothing was lost: the median is the path's own interval.
        if usual_s > every_s * _SAME_INTERVAL:
            kept = own[of.rtt_s[own] < _LOST_INTERVALS * usual_s]
            length_s[kept] = np.maximum(of.rtt_s[kept] - usual_s, 0.0) + every_s
        node = pauses.tags["node"]
        ends = ((node == path.node) | (node == path.peer)) & (pauses.tags["cluster"] == path.cluster)
        mine = np.flatnonzero(ends & (lasted_s > 0))
        at = np.searchsorted(until_s, stops_s[mine], side="right")
        inside = (at < len(own)) & (stops_s[mine] >= of.time_s[own[0]])
        np.maximum.at(length_s, own[at[inside]], lasted_s[mine[inside]] + every_s)
    return replace(of, rtt_s=length_s)
