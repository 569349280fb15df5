"""Looking for the record in a process's segments, a bounded amount at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from truechimer.errors import DecodeError
from truechimer_agent.goruntime import mstats
from truechimer_agent.goruntime.scanning import places

if TYPE_CHECKING:
    from truechimer_agent.goruntime.segments import Segment

CHUNK = 256 << 10
STEP_LIMIT = 16 << 20
"""Bytes read by one step: a few ms."""
SEARCH_LIMIT = 256 << 20
"""Bytes read by one search; what lies beyond is not looked at."""
_PLACE_COST = 512
"""Bytes that could be searched in the time that a place looked at in vain takes."""
_MOST_FOUND = 16


class Memory(Protocol):
    """What a search needs of a process."""

    def read_into(self, address: int, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` from ``address`` on: how many bytes there were."""
        ...


class Search:
    """One look through ``segments``; ``step`` until ``is_over``, then ``best``."""

    def __init__(self, segments: tuple[Segment, ...], tops: tuple[bytes, ...], limits: mstats.Limits) -> None:
        self.bytes_read = 0
        self.is_over = not segments
        self._segments = segments
        self._tops = tops
        self._limits = limits
        self._segment = 0
        self._address = segments[0].start if segments else 0
        self._found: list[int] = []
        self._buffer = bytearray(CHUNK + mstats.SIZE)

    def step(self, memory: Memory) -> None:
        """Read on, ``STEP_LIMIT`` bytes at most, fewer where much of it looks like a record.

        Raises what ``memory`` raises.
        """
        budget = STEP_LIMIT
        while budget > 0 and not self.is_over:
            budget -= self._chunk(memory)

    def best(self, memory: Memory) -> tuple[int, mstats.Record] | None:
        """The address and state of the most recent record found, read anew; None when there is none."""
        best: tuple[int, mstats.Record] | None = None
        for address in self._found:
            try:
                record = read_record(memory, address, self._limits)
            except DecodeError:
                continue
            if record is not None and (best is None or record.ends_wall_ns[-1] > best[1].ends_wall_ns[-1]):
                best = address, record
        return best

    def _chunk(self, memory: Memory) -> int:
        segment = self._segments[self._segment]
        length = min(CHUNK, segment.end - self._address)
        wanted = min(CHUNK + mstats.SIZE, segment.end - self._address)
        view = memoryview(self._buffer)[:wanted]
        got = memory.read_into(self._address, view)
        del view
        self.bytes_read += max(got, mstats.SIZE)
        cost = max(got, CHUNK // 64)
        data = self._buffer if got == len(self._buffer) else self._buffer[:got]
        for offset in places(data, length, self._tops):
            if offset is None:
                cost += _PLACE_COST
                continue
            self._consider(data, offset)
            cost += mstats.SIZE * 8
            if len(self._found) >= _MOST_FOUND or cost > STEP_LIMIT:
                break
        self._address += length
        if self._address >= segment.end:
            self._segment += 1
            if self._segment < len(self._segments):
                self._address = self._segments[self._segment].start
        self.is_over = (
            self._segment >= len(self._segments)
            or self.bytes_read >= SEARCH_LIMIT
            or len(self._found) >= _MOST_FOUND
        )
        return cost

    def _consider(self, data: bytearray, offset: int) -> None:
        try:
            mstats.decode(data[offset : offset + mstats.SIZE], self._limits)
        except DecodeError:
            return
        self._found.append(self._address + offset)


def read_record(memory: Memory, address: int, limits: mstats.Limits, tries: int = 6) -> mstats.Record | None:
    """The record at ``address``, read the same twice over; None when it was being written all the time.

    Raises DecodeError when what was read the same twice, and not in the middle of a write, is no record.
    """
    before = bytearray(mstats.SIZE)
    now = bytearray(mstats.SIZE)
    memory.read_into(address, before)
    for _ in range(tries):
        length = memory.read_into(address, now)
        if length < mstats.SIZE:
            raise DecodeError(f"{length} bytes where the record was")
        if now == before and mstats.is_settled(now):
            return mstats.decode(now, limits)
        before, now = now, before
    return None
