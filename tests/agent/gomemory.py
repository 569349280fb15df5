"""The memory of a Go program as a test lays it out."""

import struct
from collections.abc import Sequence

from truechimer_agent.goruntime.mstats import RING, SIZE

WALL_NS = 1_800_000_000_000_000_000
AGE_NS = 3_600_000_000_000
NANOTIME_NS = 77_000_000_000_000
_LAYOUT = struct.Struct(f"<QQ{RING}Q{RING}QIIdQ")


def collections(
    count: int, *, pause_ns: int = 100_000, first_wall_ns: int = WALL_NS
) -> list[tuple[int, int]]:
    """``count`` (length, end), each a little longer than the one before, one a second."""
    return [(pause_ns + number, first_wall_ns + number * 1_000_000_000) for number in range(count)]


def mstats_bytes(
    pauses: Sequence[tuple[int, int]], *, nanotime_ns: int = NANOTIME_NS, forced: int = 0
) -> bytearray:
    """The record after these collections, as the runtime would have written it."""
    lengths, ends = [0] * RING, [0] * RING
    for number, (length, end) in enumerate(pauses):
        lengths[number % RING], ends[number % RING] = length, end
    last = pauses[-1][1] if pauses else 0
    total = sum(length for length, _ in pauses)
    made = _LAYOUT.pack(last, total, *lengths, *ends, len(pauses), forced, 0.01, nanotime_ns)
    assert len(made) == SIZE
    return bytearray(made)


class FakeMemory:
    """Bytes at ``start``; every read is counted, and ``before_read`` may change them between two."""

    def __init__(self, data: bytearray, start: int = 0x500000) -> None:
        self.data = data
        self.start = start
        self.bytes_read = 0
        self.reads = 0

    def read_into(self, address: int, buffer: bytearray | memoryview) -> int:
        self.before_read()
        self.reads += 1
        at = address - self.start
        found = self.data[at : at + len(buffer)] if 0 <= at < len(self.data) else b""
        memoryview(buffer)[: len(found)] = found
        self.bytes_read += len(found)
        return len(found)

    def before_read(self) -> None:
        """For a writer to come in."""
