"""The reader of one Go process: search for its record, then read what is new."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from truechimer.errors import DecodeError
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.goruntime import mstats
from truechimer_agent.goruntime.memory import ProcessMemory
from truechimer_agent.goruntime.news import Instant, news
from truechimer_agent.goruntime.scanning import high_bytes
from truechimer_agent.goruntime.searching import SEARCH_LIMIT, Search, read_record
from truechimer_agent.processes.runtimes import Polled, StillLooking

if TYPE_CHECKING:
    from truechimer.readings import Reading
    from truechimer_agent.goruntime.segments import Segment
    from truechimer_agent.processes.runtimes import RuntimeReader, Target

FIRST_WAIT_NS = 500_000_000
LONGEST_WAIT_NS = 60_000_000_000
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
MOST_UNSETTLED = 20


def open_runtime(target: Target, *, scan: bool) -> RuntimeReader:
    """A reader of ``target``, whose first polls search its memory.

    Raises Lacking without ``scan`` or the privilege, ProcessGone, CollectFailure.
    """
    if not scan:
        raise Lacking(
            f"the pauses of the Go program {target.pid} are read by searching its memory,"
            " which is not allowed yet",
            hint="set scan = true in its [[process]]",
        )
    return GoReader(target, ProcessMemory(target))


class Program(Protocol):
    """What a reader needs of its process; see ProcessMemory."""

    def read_into(self, address: int, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` from ``address`` on: how many bytes there were."""
        ...

    def segments(self) -> tuple[Segment, ...]:
        """Where its variables are."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class GoReader:
    """Stops are whole collections: Go sums the two that each takes into one length (runtime/mgc.go)."""

    def __init__(self, target: Target, memory: Program) -> None:
        self._memory = memory
        self._target = target
        self._search: Search | None = None
        self._wait_ns = FIRST_WAIT_NS
        self._next_search_ns = 0
        self._not_found = ""
        self._address: int | None = None
        self._count = bytearray(mstats.COUNT.size)
        self._unsettled = 0
        self._last: mstats.Record | None = None
        self._at: Instant | None = None

    def poll(self, reading: Reading, steady_ns: int) -> Polled:
        """See RuntimeReader; StillLooking until the first collection was found, Lacking as in opening."""
        at = Instant.of(reading, steady_ns)
        limits = mstats.Limits(age_ns=max(0, reading.boot_ns - self._target.start_ticks * _TICK_NS))
        if self._address is None or self._last is None or self._at is None:
            self._look(at, limits)
            return Polled()
        length = self._memory.read_into(self._address + mstats.NUMGC_OFFSET, self._count)
        if length == len(self._count) and mstats.COUNT.unpack(self._count)[0] == self._last.count:
            self._at = at
            return Polled()
        try:
            record = read_record(self._memory, self._address, limits)
            polled = Polled() if record is None else news(self._last, record, self._at, at)
        except DecodeError as error:
            self._forget(steady_ns)
            raise CollectFailure(
                f"what process {self._target.pid} holds is no longer what Go writes: {error};"
                " looking for it anew"
            ) from error
        if record is None:  # its collections stay news for the next poll
            self._note_unsettled(steady_ns)
        else:
            self._unsettled, self._last, self._at = 0, record, at
        return polled

    def close(self) -> None:
        """See RuntimeReader."""
        self._memory.close()
        self._search = None

    def _look(self, at: Instant, limits: mstats.Limits) -> None:
        """One step of a search; returns when it has found the record, else raises StillLooking."""
        if self._search is None:
            if at.steady_ns < self._next_search_ns:
                raise StillLooking(self._not_found)
            tops = high_bytes(at.wall_ns, limits.age_ns)
            self._search = Search(self._memory.segments(), tops, limits)
        search = self._search
        search.step(self._memory)
        if not search.is_over:
            raise StillLooking(f"the memory of process {self._target.pid} is being searched")
        self._search = None
        found = search.best(self._memory)
        if found is None:
            self._next_search_ns = at.steady_ns + self._wait_ns
            self._wait_ns = min(2 * self._wait_ns, LONGEST_WAIT_NS)
            self._not_found = (
                f"process {self._target.pid} has not collected yet, or is no Go program: no record of"
                f" collections in {search.bytes_read} bytes of its variables"
                + (", which are more than are searched" if search.bytes_read >= SEARCH_LIMIT else "")
            )
            raise StillLooking(self._not_found)
        self._wait_ns = FIRST_WAIT_NS
        self._address, self._last = found
        self._at = at

    def _note_unsettled(self, steady_ns: int) -> None:
        self._unsettled += 1
        if self._unsettled > MOST_UNSETTLED:
            self._forget(steady_ns)
            raise CollectFailure(
                f"process {self._target.pid} has been in the middle of noting a collection for"
                f" {MOST_UNSETTLED} polls: it may be stopped; looking for its record anew"
            )

    def _forget(self, steady_ns: int) -> None:
        self._address = self._last = self._at = None
        self._unsettled = 0
        self._next_search_ns = steady_ns + self._wait_ns
