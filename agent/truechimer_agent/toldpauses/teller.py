"""What one connected program tells, and what of it can be true."""

from __future__ import annotations

from dataclasses import dataclass

from truechimer.errors import DecodeError
from truechimer.gcpause.wire import Hello, Pause, Record, Sum

SLACK_NS = 1_000_000
SHORTEST_NS = 1_000
"""No runtime begins, does and ends a collection in less, however little there is to do."""


@dataclass(frozen=True, slots=True)
class Believed:
    """``pauses`` of them from ``start_mono_ns`` on, ``total_ns`` long together, the longest ``max_ns``."""

    start_mono_ns: int
    pauses: int
    total_ns: int
    max_ns: int


class Teller:
    """One connection: says first who it is; its pauses lie in the time that it was connected.

    ``earliest_mono_ns``: the connection cannot be older. All that it tells, summed up, is no longer than
    the time since it connected.
    """

    def __init__(self, earliest_mono_ns: int) -> None:
        self._earliest_ns = earliest_mono_ns
        self._told_ns = 0
        self.hello: Hello | None = None
        self.since_mono_ns = earliest_mono_ns

    def take(self, record: Record, now_mono_ns: int) -> Believed | None:
        """A record at its arrival; None for the first one. Raises DecodeError when it cannot be true."""
        if isinstance(record, Hello):
            if self.hello is not None:
                raise DecodeError("a program said twice who it is")
            if record.since_mono_ns > now_mono_ns + SLACK_NS:
                raise DecodeError(f"connected {record.since_mono_ns - now_mono_ns} ns in the future")
            self.hello = record
            self.since_mono_ns = min(max(record.since_mono_ns, self._earliest_ns), now_mono_ns)
            return None
        if self.hello is None:
            raise DecodeError("a program told of pauses before it said who it is")
        believed = _as_sum(record)
        if believed.start_mono_ns < self.since_mono_ns - SLACK_NS:
            raise DecodeError("a pause from before the program was connected")
        if believed.total_ns > now_mono_ns + SLACK_NS - max(believed.start_mono_ns, self.since_mono_ns):
            raise DecodeError("pauses longer than the time since they began")
        if believed.pauses * SHORTEST_NS > now_mono_ns + SLACK_NS - believed.start_mono_ns:
            raise DecodeError("more pauses than there was time for")
        if self._told_ns + believed.total_ns > now_mono_ns + SLACK_NS - self.since_mono_ns:
            raise DecodeError("more pauses than time since the program was connected")
        self._told_ns += believed.total_ns
        return believed


def _as_sum(record: Pause | Sum) -> Believed:
    if isinstance(record, Pause):
        return Believed(record.start_mono_ns, 1, record.duration_ns, record.duration_ns)
    return Believed(record.start_mono_ns, record.pauses, record.total_ns, record.max_ns)
