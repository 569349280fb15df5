"""What a look at a process tells of its stops: it stood still, waited for a CPU or for a disk. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer_agent.pauses.attribution import LARGELY, LITTLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer_agent.processes.cgroups import CgroupGrowth
    from truechimer_agent.processes.tasks import Growth

ORDINARY_WAIT_NS = 100_000
"""What a task waits each time that it comes to run even on a quiet CPU: thousands of these are no pause."""
SURE = 0.99
SEEN_ONCE = 0.9
LIKELY = 0.8
WEAK = 0.6


@dataclass(frozen=True, slots=True)
class Halt:
    """One pause of a watched process, in ns of S.

    ``pauses``: of how many it is the sum at most, so that the longest lies between an equal share and all
    of it. ``interval_ns``: how often was looked where the length is known no better. The rest is evidence.
    """

    cause: Cause
    confidence: float
    start_ns: int
    duration_ns: int
    interval_ns: int
    pauses: int = 1
    run_delay_ns: int | None = None
    throttled_ns: int | None = None
    io_wait_ns: int | None = None
    frozen_ns: int | None = None
    major_faults: int | None = None
    memory_stall_ns: int | None = None
    io_stall_ns: int | None = None

    @property
    def longest_ns(self) -> int:
        """What its longest pause lasted at least."""
        return self.duration_ns // self.pauses


def waits(
    growth: Growth, group: CgroupGrowth, before_ns: int, now_ns: int, threshold_ns: int
) -> Iterator[Halt]:
    """The pauses between two looks that counters tell of, each the sum of one task's waits.

    A wait is counted when it ends: it may be longer than the time between the looks.
    """
    span_ns = now_ns - before_ns
    wait_ns = growth.wait_ns
    if wait_ns - (growth.wait_slices - 1) * ORDINARY_WAIT_NS >= threshold_ns > 0:
        cause, confidence = _queued(wait_ns, group)
        yield Halt(
            cause,
            confidence,
            now_ns - wait_ns,
            wait_ns,
            span_ns,
            pauses=max(1, growth.wait_slices),
            run_delay_ns=wait_ns,
            throttled_ns=group.throttled_ns,
        )
    blocked_ns, cause, confidence = _blocked(growth, group, span_ns)
    if blocked_ns >= threshold_ns > 0:
        yield Halt(
            cause,
            confidence,
            now_ns - blocked_ns,
            blocked_ns,
            span_ns,
            io_wait_ns=growth.io_wait_ns,
            major_faults=growth.major_faults,
            memory_stall_ns=group.memory_stall_ns,
            io_stall_ns=group.io_stall_ns,
        )


def _queued(wait_ns: int, group: CgroupGrowth) -> tuple[Cause, float]:
    """Throttled time counts as run delay, and may be counted up to a look earlier than it."""
    throttled_ns = group.throttled_ns or 0
    lately_ns = throttled_ns + (group.throttled_before_ns or 0)
    if throttled_ns >= LARGELY * wait_ns:
        return Cause.THROTTLED, 0.9
    if lately_ns >= LARGELY * wait_ns:
        return Cause.THROTTLED, WEAK
    return Cause.RUN_QUEUE, 0.9 if lately_ns < LITTLE * wait_ns else WEAK


def _blocked(growth: Growth, group: CgroupGrowth, span_ns: int) -> tuple[int, Cause, float]:
    """How long one task waited for block I/O, and whether that was for its memory."""
    memory_ns = group.memory_stall_ns
    if growth.io_wait_ns is None:
        # The kernel does not account for it: faults and a stalled cgroup make it likely.
        return (min(memory_ns, span_ns), Cause.MEMORY, WEAK) if growth.major_faults and memory_ns else NOTHING
    blocked_ns = growth.io_wait_most_ns
    if not growth.major_faults:
        return blocked_ns, Cause.IO, LIKELY
    if memory_ns is None:
        return blocked_ns, Cause.UNKNOWN, 0.0
    if memory_ns >= LARGELY * blocked_ns:
        return blocked_ns, Cause.MEMORY, LIKELY
    return blocked_ns, Cause.IO, WEAK


NOTHING = (0, Cause.UNKNOWN, 0.0)


class Standing:
    """A stop that is polled for: consecutive looks that find the process stopped or frozen are one pause.

    It begins and ends in the middle of the looks between which it began and ended. Where the kernel counts
    frozen time, that is its length.
    """

    def __init__(self) -> None:
        self._cause: Cause | None = None
        self._start_ns = 0
        self._interval_ns = 0
        self._looks = 0
        self._frozen_ns: int | None = None

    @property
    def cause(self) -> Cause | None:
        """What holds it at the last look; None when nothing does."""
        return self._cause

    def look(
        self,
        *,
        is_stopped: bool,
        group: CgroupGrowth,
        before_ns: int,
        now_ns: int,
        threshold_ns: int,
        has_run: bool = False,
    ) -> Halt | None:
        """The pause that ended between the last look and this one, if one did and is long enough.

        ``has_run``: it ran in between, so that a stop seen at both looks was two.
        """
        cause = Cause.FROZEN if group.is_frozen else Cause.STOPPED if is_stopped else None
        frozen_ns = group.frozen_ns
        if cause is self._cause is not None and not (has_run and cause is Cause.STOPPED):
            self._looks += 1
            if self._frozen_ns is not None:
                self._frozen_ns += frozen_ns or 0
            return None
        ended = self._end(before_ns, now_ns, frozen_ns)
        if ended is None and cause is not Cause.FROZEN and frozen_ns:
            ended = Halt(
                Cause.FROZEN, SURE, now_ns - frozen_ns, frozen_ns, now_ns - before_ns, frozen_ns=frozen_ns
            )
        if cause is not None:
            self._cause, self._looks = cause, 1
            self._start_ns = (before_ns + now_ns) // 2
            self._interval_ns = now_ns - before_ns
            self._frozen_ns = frozen_ns if cause is Cause.FROZEN else None
        return ended if ended is not None and ended.duration_ns >= threshold_ns else None

    def close(self, before_ns: int, now_ns: int) -> Halt | None:
        """The pause that goes on while nobody looks any more: it ended with its process, or is cut short."""
        return self._end(before_ns, now_ns, 0)

    def _end(self, before_ns: int, now_ns: int, frozen_ns: int | None) -> Halt | None:
        cause, self._cause = self._cause, None
        if cause is None:
            return None
        counted_ns = None if self._frozen_ns is None else self._frozen_ns + (frozen_ns or 0)
        seen_ns = max(0, (before_ns + now_ns) // 2 - self._start_ns)
        return Halt(
            cause,
            SURE if self._looks > 1 or counted_ns else SEEN_ONCE,
            self._start_ns,
            counted_ns or seen_ns,
            max(self._interval_ns, now_ns - before_ns),
            frozen_ns=counted_ns or seen_ns if cause is Cause.FROZEN else None,
        )
