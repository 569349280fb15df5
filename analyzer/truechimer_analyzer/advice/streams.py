"""False alarms of heartbeats and of requests, both ways, from what was recorded.

Heartbeats rest on replayed silences; those more frequent than the probes on how late probes were as well, and
on the pauses of hosts and processes, which are recorded whole.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.advice.measured import Stream
from truechimer_analyzer.advice.values import shown_s
from truechimer_analyzer.timeouts.binding import lengths_s
from truechimer_analyzer.timeouts.silences import of_pauses
from truechimer_analyzer.timeouts.tail import NONE_SEEN, round_up
from truechimer_analyzer.timeouts.use import MONTH_S, seen_again, tail_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.lateness import Lateness
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.record import Record
    from truechimer_analyzer.timeouts.tail import Point, Tail

_SAME_INTERVAL = 1.01
# Heartbeats of which so nearly a whole number go into an interval between probes are taken to do so.
_NEARLY_WHOLE = 0.03
# Heartbeats rarer than so many probes are not replayed: each phase of them is a stream of its own.
_MOST_PHASES = 20_000
_ROUNDING = 1e-9
# Whoever of a path's two ends stops is not heard of, or does not hear.
_ENDS = 2


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
        point = self._at(timeout_s)
        # Shorter than all that was looked at: each is beyond it, for all that is known.
        return (1.0 if point is None else point.upper) * self.per_month

    def worst_path_per_month(self, timeout_s: float) -> float:
        """The most of any single path, as it was seen."""
        point = self._at(timeout_s)
        return (1.0 if point is None else point.worst_path) * self.per_month

    def _at(self, timeout_s: float) -> Point | None:
        below = [point for point in self.tail.points if point.timeout_s <= timeout_s]
        return below[-1] if below else None

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


@dataclass(frozen=True, slots=True)
class _Quick:
    """Heartbeats more frequent than the probes: the better of two bounds, each of which holds.

    As if they came as often as the probes; or by how late probes were, and by the pauses of both ends, each
    of which is one silence of its length and an interval.

    The first holds as it is where every so many-th heartbeat could have been a probe. Else a silence of T of
    the heartbeats is one of T − h, at least, of the probes: no probe that was sent in it came either.
    """

    slow: _Judged
    late: Lateness
    stops: _Judged | None
    every_s: float
    interval_s: float
    note: str | None = None

    def timeout_s(self, false_per_month: float) -> float | None:
        candidates = self.late.candidates_s(false_per_month)
        # Half for the network, half for the pauses.
        candidates += self.late.candidates_s(false_per_month / 2)
        candidates += [point.timeout_s + self._between_s for point in self.slow.tail.points]
        if self.stops is not None:
            candidates += [point.timeout_s for point in self.stops.tail.points]
        fitting = (
            rounded_s
            for rounded_s in sorted({round_up(timeout_s * (1 + _ROUNDING)) for timeout_s in candidates})
            if any(upper <= false_per_month >= worst for upper, worst in self._bounds(rounded_s))
        )
        return next(fitting, None)

    def false_per_month(self, timeout_s: float) -> float:
        return min(upper for upper, _ in self._bounds(timeout_s))

    @property
    def _between_s(self) -> float:
        many = self.interval_s / self.every_s
        return 0.0 if abs(many - round(many)) <= _NEARLY_WHOLE * many else self.every_s

    def _bounds(self, timeout_s: float) -> list[tuple[float, float]]:
        """Upper bounds of false alarms a month on the average path, each with what the worst path showed."""
        least_s = timeout_s - self._between_s
        if least_s < self.interval_s:
            # Between two probes there may be more than one silence, but no more than there is room for.
            slow = worst = MONTH_S / timeout_s
        else:
            slow, worst = self.slow.false_per_month(least_s), self.slow.worst_path_per_month(least_s)
        felt = self.late.false_per_month(timeout_s)
        if felt is None:
            return [(slow, worst)]
        felt_worst = self.late.worst_path_per_month(timeout_s)
        if self.stops is not None:
            felt += _ENDS * self.stops.false_per_month(timeout_s)
            felt_worst += self.stops.worst_path_per_month(timeout_s)
        return [(slow, worst), (felt, felt_worst)]

    def refusal(self, false_per_month: float) -> str:
        return self.slow.refusal(false_per_month)


def silence_stream(record: Record, pauses: Columns, holder: Holder, false_per_month: float) -> Stream | None:
    """Hearing nothing of a live peer, on any of the paths; of pauses alone where nobody probed.

    None where nobody watched for these either.
    """
    most_s = _MOST_PHASES / (record.every.rate_hz or 1.0)

    @functools.cache
    def judged(every_s: float) -> _Judged | _Quick | None:
        return _silences(record, pauses, holder, every_s) if 0 < every_s <= most_s else None

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


def _stream(judged: Callable[[float], _Judged | _Quick | None], false_per_month: float) -> Stream:
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


def _silences(record: Record, pauses: Columns, holder: Holder, every_s: float) -> _Judged | _Quick | None:
    heard = record.silences(every_s)
    if heard is None:
        return _of_pauses_alone(holder, every_s)
    tail = seen_again(tail_of(heard.each), heard.phases)
    is_quick = heard.interval_s > every_s * _SAME_INTERVAL
    note = f"judged by probes one every {shown_s(heard.interval_s)}" if is_quick else None
    slow = _Judged(heard.each, tail, MONTH_S / heard.interval_s, note)
    recorded = np.isfinite(lengths_s(pauses)).any()
    if not is_quick or (recorded and not holder.nodes):
        return slow
    late = record.lateness(every_s)
    if late is None:
        return slow
    return _Quick(slow, late, _of_pauses_alone(holder, every_s), every_s, heard.interval_s, note)


def _of_pauses_alone(holder: Holder, every_s: float) -> _Judged | None:
    alone = of_pauses(holder, every_s)
    if alone is None:
        return None
    return _Judged(alone.each, tail_of(alone.each), MONTH_S / every_s, "of pauses alone: nobody probed")
