"""Stops out of successive readings of the counters: how many, how long, why. Pure.

Between two polls the counters give the number of safepoints and their sum exactly. One alone is known
singly. Of several, the latest collection of each collector is known by its own entry and exit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.processes.runtimes import Heap, Polled, Stop

if TYPE_CHECKING:
    from truechimer_agent.hotspot.counters import Collections, Sample

_CERTAIN = 0.99
_SHARED = 0.8
_CYCLE = 0.7
_ADJACENT_NS = 20_000_000
"""Collections of several collectors so close to each other may be of one safepoint (young, then full)."""
_AGE_SLACK_NS = 1_000_000_000


class Anchor:
    """Where on CLOCK_MONOTONIC the zero of a JVM's own times is.

    An event is never seen before it happened: the smallest (poll − event) is the best guess, always late,
    by at most the time that passed between that event and its poll. HotSpot's times are of
    CLOCK_MONOTONIC too, so the distance never changes.
    """

    def __init__(self) -> None:
        self._zero_ns: int | None = None

    def saw(self, event_ns: int, mono_ns: int) -> None:
        """An event of the JVM's time ``event_ns`` had happened at ``mono_ns``."""
        zero_ns = mono_ns - event_ns
        if self._zero_ns is None or zero_ns < self._zero_ns:
            self._zero_ns = zero_ns

    def at(self, event_ns: int) -> int:
        """CLOCK_MONOTONIC at the JVM's time ``event_ns``."""
        return event_ns + (self._zero_ns or 0)


@dataclass(frozen=True, slots=True)
class _Moved:
    """What one collector did in a window; ``last`` is its latest collection's entry and length, if known."""

    ended: int
    time_ns: int
    last: tuple[int, int] | None


class StopFinder:
    """Takes each reading, gives what happened since the one before."""

    def __init__(self) -> None:
        self._base: Sample | None = None
        self._base_mono_ns = 0
        self._poll_mono_ns = 0
        self._carried_sync_ns = 0
        self._told_mono_ns = 0
        self._may_be_open = False
        self._seen_open_mono_ns: int | None = None
        self._safepoints = Anchor()
        self._ticks = Anchor()

    def saw(self, sample: Sample, mono_ns: int, steady_ns: int, age_ns: int) -> Polled:
        """What happened since the last call; the first one begins.

        ``mono_ns`` and ``steady_ns`` are of the reading; ``age_ns`` is the process's at most.

        Raises CollectFailure for counters that go backwards, or that tell more than the process has lived;
        the next reading then begins anew.
        """
        base, last_poll_ns = self._base, self._poll_mono_ns
        problem = _problem(sample, base, age_ns)
        if problem is not None:
            self._base = self._seen_open_mono_ns = None
            raise CollectFailure(f"the JVM's counters cannot be true: {problem}")
        self._poll_mono_ns = mono_ns
        self._safepoints.saw(sample.told_ns, mono_ns)
        events = [max(one.entry_ns, one.exit_ns) for one in sample.collections if one.is_pausing]
        if any(events):
            self._ticks.saw(max(events), mono_ns)
        heap = self._heap(sample, mono_ns)
        if base is None:
            # Nothing tells whether one is under way.
            self._may_be_open, self._told_mono_ns = True, mono_ns
            self._begin(sample, sample.safepoints, mono_ns)
            return Polled(heap=heap)
        if sample.ended_ns == base.ended_ns:
            # No safepoint has ended. One that is under way is told when it has.
            if sample.safepoints == base.safepoints:
                self._base_mono_ns = mono_ns
                return Polled(heap=heap)
            if self._seen_open_mono_ns is None:
                self._seen_open_mono_ns = mono_ns
            return Polled(heap=heap, under_way_ns=max(1, mono_ns - self._seen_open_mono_ns))
        self._seen_open_mono_ns = None
        return self._told(base, sample, last_poll_ns, mono_ns, steady_ns - mono_ns, heap)

    def _begin(self, sample: Sample, safepoints: int, mono_ns: int) -> None:
        self._base = sample if safepoints == sample.safepoints else replace(sample, safepoints=safepoints)
        self._base_mono_ns = mono_ns

    def _heap(self, sample: Sample, mono_ns: int) -> Heap | None:
        if sample.old_used is None:
            return None
        entries = [one.entry_ns for one in sample.collections if one.is_pausing and one.is_running]
        running_ns = max(1, mono_ns - self._ticks.at(min(entries))) if entries else 0
        return Heap(sample.old_used, sample.old_limit, running_ns)

    def _told(
        self, base: Sample, sample: Sample, last_poll_ns: int, now_ns: int, ahead_ns: int, heap: Heap | None
    ) -> Polled:
        begun = sample.safepoints - base.safepoints
        total_ns = sample.total_ns - base.total_ns
        sync_ns = sample.sync_ns - base.sync_ns
        is_one_open = begun > 1 and any(one.is_pausing and one.is_running for one in sample.collections)
        count = begun - is_one_open
        # The last one of several may have been under way when it was counted: it then ends beside these.
        is_one_more = self._may_be_open and begun > 0 and total_ns >= last_poll_ns - self._told_mono_ns
        moved = [_moved(was, now) for was, now in zip(base.collections, sample.collections, strict=True)]
        pausing = [one for one, now in zip(moved, sample.collections, strict=True) if now.is_pausing]
        # Times to safepoints are told before their safepoints end: part of these may be of one that goes on,
        # and of one that ended here they were perhaps told before.
        ended_ns = total_ns if begun == 1 and not is_one_more else total_ns - sync_ns
        is_shared = begun != 1 or self._carried_sync_ns > 0
        if count <= 1:
            # 0: it was under way, unseen, when its beginning was counted with others' ends.
            end_ns = min(max(self._safepoints.at(sample.told_ns), last_poll_ns), now_ns)
            cause, confidence = _cause_of_one(pausing, _in_cycle(sample.collections, moved))
            if is_one_more or is_shared:
                confidence = min(confidence, _SHARED)
            stops = [Stop(end_ns - total_ns + ahead_ns, total_ns, cause, confidence, 1, sync_ns)]
            upper_ns = total_ns
            most = 1 + is_one_more
            longest_ns = max([-(-ended_ns // most), *(one.last[1] for one in pausing if one.last)])
            longest_ns = min(longest_ns, total_ns)
        else:
            most = count + is_one_more
            stops, longest_ns, upper_ns = self._several(
                pausing, count, -(-ended_ns // most), total_ns, sync_ns, now_ns, ahead_ns
            )
            in_cycle = _in_cycle(sample.collections, moved)
            if in_cycle is not None:
                cause = Cause.GC if in_cycle else Cause.SAFEPOINT
                stops = [replace(stop, cause=cause, confidence=_CYCLE) for stop in stops]
        upper_ns += self._carried_sync_ns
        self._carried_sync_ns = sync_ns if begun > 1 or is_one_more else 0
        self._may_be_open = not is_one_open and (begun > 1 or is_one_more)
        self._told_mono_ns = now_ns
        self._begin(sample, sample.safepoints - is_one_open, now_ns)
        if is_one_open:
            self._seen_open_mono_ns = now_ns
        return Polled(
            tuple(stops), count, total_ns, sync_ns, longest_ns, upper_ns, heap, under_way_ns=int(is_one_open)
        )

    def _several(
        self,
        pausing: list[_Moved],
        count: int,
        mean_ns: int,
        total_ns: int,
        sync_ns: int,
        now_ns: int,
        ahead_ns: int,
    ) -> tuple[list[Stop], int, int]:
        """Singly what the collectors tell singly; the rest of theirs, and what is not theirs, by sums."""
        apart = _apart([one.last for one in pausing if one.last is not None])
        together_ns = [sum(length for _, length in close) for close in apart]
        if sum(together_ns) > total_ns:
            apart, together_ns = [], []
        # Of collections close to each other only the longest is known to be a part of one safepoint.
        latest = sorted((max(close, key=_length) for close in apart), key=_length, reverse=True)
        longest_ns = max([mean_ns, *map(_length, latest)])
        upper_ns = total_ns - sum(together_ns) + max(together_ns, default=0)
        collected = sum(one.ended for one in pausing)
        singly = latest[: count - 1]
        stops = []
        for entry_ns, length_ns in sorted(singly):
            start_ns = min(self._ticks.at(entry_ns), now_ns - length_ns)
            stops.append(Stop(start_ns + ahead_ns, length_ns, Cause.GC, _CERTAIN))
        rest = count - len(singly)
        rest_ns = total_ns - sum(length for _, length in singly)
        # Two collections of one safepoint make this too many, never more than there are.
        by_gc = max(0, min(collected - len(singly), rest))
        gc_ns = max(0, min(sum(one.time_ns for one in pausing) - (total_ns - rest_ns), rest_ns))
        groups = _groups(rest, rest_ns, by_gc, gc_ns)
        # The time to safepoints is known in sum: a lone group carries it.
        group_sync_ns = None if singly or len(groups) > 1 else sync_ns
        for how_many, of_it_ns, cause in groups:
            start_ns = self._base_mono_ns + ahead_ns
            stops.append(Stop(start_ns, of_it_ns, cause, _SHARED, how_many, group_sync_ns))
        return stops, longest_ns, upper_ns


def _groups(rest: int, rest_ns: int, by_gc: int, gc_ns: int) -> list[tuple[int, int, Cause]]:
    if by_gc == rest:
        return [(rest, rest_ns, Cause.GC)]
    if by_gc == 0:
        return [(rest, rest_ns, Cause.SAFEPOINT)]
    return [(by_gc, gc_ns, Cause.GC), (rest - by_gc, rest_ns - gc_ns, Cause.SAFEPOINT)]


def _moved(was: Collections, now: Collections) -> _Moved:
    ended = now.ended - was.ended
    time_ns = now.time_ns - was.time_ns
    length_ns = now.exit_ns - now.entry_ns
    is_known = ended > 0 and 0 < length_ns <= time_ns and now.exit_ns > was.exit_ns
    return _Moved(ended, time_ns, (now.entry_ns, length_ns) if is_known else None)


def _cause_of_one(pausing: list[_Moved], in_cycle: bool | None) -> tuple[Cause, float]:
    if any(one.ended > 0 for one in pausing):
        return Cause.GC, _CERTAIN
    if in_cycle is None:
        return Cause.SAFEPOINT, _CERTAIN
    return (Cause.GC if in_cycle else Cause.SAFEPOINT), _CYCLE


def _in_cycle(collections: tuple[Collections, ...], moved: list[_Moved]) -> bool | None:
    """Whether a collector that spans concurrent phases was at work; None when there is no such collector."""
    spanning = [
        one.ended > 0 or one.time_ns > 0 or now.is_running
        for one, now in zip(moved, collections, strict=True)
        if not now.is_pausing
    ]
    return any(spanning) if spanning else None


def _length(collection: tuple[int, int]) -> int:
    return collection[1]


def _apart(latest: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Entries and lengths, those together that may be of one safepoint."""
    found: list[list[tuple[int, int]]] = []
    end_ns = 0
    for entry_ns, length_ns in sorted(latest):
        if found and entry_ns - end_ns < _ADJACENT_NS:
            found[-1].append((entry_ns, length_ns))
        else:
            found.append([(entry_ns, length_ns)])
        end_ns = max(end_ns, entry_ns + length_ns)
    return found


def _problem(sample: Sample, base: Sample | None, age_ns: int) -> str | None:
    if sample is base:
        return None
    told_ns = max([sample.told_ns, *(one.exit_ns for one in sample.collections)])
    if told_ns > age_ns + _AGE_SLACK_NS:
        return "they tell of more time than the process has lived"
    if base is not None and (
        sample.ended_ns < base.ended_ns
        or sample.sync_ns < base.sync_ns
        or sample.safepoints < base.safepoints
        or sample.running_ns < base.running_ns
    ):
        return "they went backwards"
    return None
