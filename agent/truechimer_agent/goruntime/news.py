"""What happened between two reads of the record, in steady time: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer_agent.goruntime.mstats import COUNT_LIMIT
from truechimer_agent.processes.runtimes import Polled, Stop

if TYPE_CHECKING:
    from truechimer.readings import Reading
    from truechimer_agent.goruntime.mstats import Record

CONFIDENCE = 0.99
_STEP_NS = 1_000_000
_FASTEST_SLEW = 8
"""A wall clock slewed by less than an eighth (Linux: 10 % and 500 ppm) has not been stepped."""
_LATE_NS = 1_000_000_000
"""A read may come this long after the reading that it was made with."""


@dataclass(frozen=True, slots=True)
class Instant:
    """The wall clock and S at one moment, in ns."""

    wall_ns: int
    steady_ns: int

    @classmethod
    def of(cls, reading: Reading, steady_ns: int) -> Instant:
        """``steady_ns`` is S at ``reading``."""
        return cls(reading.wall_ns, steady_ns)


def steady_of(wall_ns: int, before: Instant, now: Instant) -> int:
    """S at ``wall_ns``, which was between two instants (or up to a second later), by their wall clocks.

    A slewed clock is followed. Across a step, it is where one of the two clocks puts it between the instants,
    the present one first; where neither does, the nearer end.
    """
    wall_moved, steady_moved = now.wall_ns - before.wall_ns, now.steady_ns - before.steady_ns
    if abs(wall_moved - steady_moved) <= _STEP_NS + steady_moved // _FASTEST_SLEW:
        if not before.wall_ns < wall_ns < now.wall_ns:
            near = now if wall_ns >= now.wall_ns else before
            found = wall_ns - near.wall_ns + near.steady_ns
        else:
            found = before.steady_ns + (wall_ns - before.wall_ns) * steady_moved // wall_moved
    else:
        either = [wall_ns - at.wall_ns + at.steady_ns for at in (now, before)]
        found = next((at for at in either if before.steady_ns <= at <= now.steady_ns + _LATE_NS), either[0])
    return min(max(found, before.steady_ns), now.steady_ns + _LATE_NS)


def collections_between(before: Record, now: Record) -> int:
    """How many; raises DecodeError when there cannot have been so many (or fewer than none)."""
    count = (now.count - before.count) % COUNT_LIMIT
    if count >= COUNT_LIMIT // 2:
        raise DecodeError(f"{now.count} collections after {before.count}")
    return count


def news(before: Record, now: Record, since: Instant, until: Instant) -> Polled:
    """The stops from ``since`` on, each when it ended by the runtime's own record.

    Collections that the ring of 256 no longer holds make one stop with their exact count and sum, which
    starts at ``since``. Raises DecodeError when the counters and the ring cannot both be right.
    """
    count = collections_between(before, now)
    total_ns = now.total_ns - before.total_ns
    singly = min(count, len(now.pauses_ns))
    pauses = now.pauses_ns[len(now.pauses_ns) - singly :]
    ends = now.ends_wall_ns[len(now.ends_wall_ns) - singly :]
    rest, rest_ns = count - singly, total_ns - sum(pauses)
    if rest_ns < 0 or (not rest and rest_ns):
        raise DecodeError(f"{count} pauses of {sum(pauses)} ns in a growth of {total_ns} ns")
    stops = [
        Stop(steady_of(end, since, until) - pause, pause, Cause.GC, CONFIDENCE)
        for pause, end in zip(pauses, ends, strict=True)
    ]
    longest_ns = longest_upper_ns = max(pauses, default=0)
    if rest:
        stops.insert(0, Stop(since.steady_ns, rest_ns, Cause.GC, CONFIDENCE, count=rest))
        longest_ns = max(longest_ns, -(-rest_ns // rest))
        longest_upper_ns = max(longest_upper_ns, rest_ns)
    return Polled(
        stops=tuple(stops),
        count=count,
        total_ns=total_ns,
        longest_ns=longest_ns,
        longest_upper_ns=longest_upper_ns,
    )
