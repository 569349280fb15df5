"""The search for Go's record in memory: found by content, whatever else is there, and bounded."""

import random
import struct

import pytest
from agent.gomemory import AGE_NS, WALL_NS, FakeMemory, collections, mstats_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.goruntime import searching
from truechimer_agent.goruntime.mstats import SIZE, Limits
from truechimer_agent.goruntime.scanning import DAY_NS, high_bytes, places
from truechimer_agent.goruntime.searching import CHUNK, STEP_LIMIT, Search, read_record
from truechimer_agent.goruntime.segments import Segment

LIMITS = Limits(AGE_NS)
TOPS = high_bytes(WALL_NS, AGE_NS)
RECORD = mstats_bytes(collections(300))


def search(memory: FakeMemory, length: int | None = None) -> Search:
    end = memory.start + (len(memory.data) if length is None else length)
    return Search((Segment(memory.start, end),), TOPS, LIMITS)


def found(memory: FakeMemory) -> int | None:
    """The offset at which the search finds the record."""
    looking = search(memory)
    while not looking.is_over:
        looking.step(memory)
    best = looking.best(memory)
    return None if best is None else best[0] - memory.start


@pytest.mark.parametrize(
    "offset", [0, 8, CHUNK - SIZE, CHUNK - 2048, CHUNK - 8, CHUNK, 3 * CHUNK + 512, 4 * CHUNK - SIZE]
)
def test_the_record_is_found_wherever_it_lies(offset: int) -> None:
    """In the middle of noise, across the border of two reads, at either end."""
    data = bytearray(random.Random(1).randbytes(4 * CHUNK))
    data[offset : offset + SIZE] = RECORD
    assert found(FakeMemory(data)) == offset


def test_the_programs_own_copies_are_passed_over_and_the_newest_record_is_taken() -> None:
    data = bytearray(CHUNK)
    data[64 : 64 + SIZE] = mstats_bytes(collections(900), nanotime_ns=1)
    data[8192 : 8192 + SIZE] = mstats_bytes(collections(7))
    data[65536 : 65536 + SIZE] = RECORD
    assert found(FakeMemory(data)) == 65536


def test_a_program_that_has_not_collected_has_no_record() -> None:
    assert found(FakeMemory(bytearray(CHUNK))) is None
    assert Search((), TOPS, LIMITS).is_over


@pytest.mark.parametrize("length", [0, 7, 8, 100, SIZE - 1])
def test_less_memory_than_a_record_holds_none(length: int) -> None:
    """Even when it begins like one."""
    assert list(places(RECORD[:length], length, TOPS)) == []


def test_memory_that_ends_early_or_is_not_there_is_passed_over() -> None:
    """The mappings may have gone since they were listed."""
    memory = FakeMemory(bytearray(RECORD))
    looking = search(memory, 40 * CHUNK)
    looking.step(memory)
    assert looking.is_over
    best = looking.best(memory)
    assert best is not None
    assert best[0] == memory.start


def test_a_step_and_a_search_read_a_bounded_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the process maps: what lies beyond the limit is not looked at."""
    limit = 2 * STEP_LIMIT
    monkeypatch.setattr(searching, "SEARCH_LIMIT", limit)
    memory = FakeMemory(bytearray(3 * STEP_LIMIT))
    looking = search(memory)
    looking.step(memory)
    assert STEP_LIMIT <= memory.bytes_read <= STEP_LIMIT + 2 * CHUNK
    while not looking.is_over:
        looking.step(memory)
    assert memory.bytes_read <= limit + 2 * CHUNK


def test_memory_full_of_times_makes_steps_shorter() -> None:
    """An array of times looks like the beginning of a record all along; each place is paid for."""
    memory = FakeMemory(bytearray(struct.pack("<Q", WALL_NS) * (STEP_LIMIT // 8)))
    looking = search(memory)
    looking.step(memory)
    assert memory.bytes_read < STEP_LIMIT // 8
    assert not looking.is_over


def test_the_two_bytes_searched_for_are_those_of_the_time() -> None:
    """Likeliest first, few of them, none from before the process; and no clock breaks it."""
    assert TOPS[0] == struct.pack("<Q", WALL_NS)[6:]
    assert 1 <= len(TOPS) <= 3
    assert len(high_bytes(WALL_NS, 400 * DAY_NS)) == 5
    assert high_bytes(0, AGE_NS)
    assert high_bytes(1 << 63, 1 << 62)


class Writer(FakeMemory):
    """One more collection is written before each of the first ``writes`` reads, its count last or never."""

    def __init__(self, writes: int, *, half: bool = False) -> None:
        super().__init__(mstats_bytes(collections(300)))
        self.writes = writes
        self.half = half
        self.count = 300

    def before_read(self) -> None:
        if not self.writes:
            return
        self.writes -= 1
        self.count += 1
        self.data = mstats_bytes(collections(self.count))
        if self.half:
            struct.pack_into("<I", self.data, 4112, self.count - 1)


def test_a_record_that_is_being_written_is_read_again() -> None:
    memory = Writer(3)
    record = read_record(memory, memory.start, LIMITS)
    assert record is not None
    assert record.count == 303


@pytest.mark.parametrize("half", [False, True])
def test_a_record_that_is_written_all_the_time_is_put_off(half: bool) -> None:
    """Bounded: a few reads, then None; so, too, when a writer was stopped in the middle."""
    memory = Writer(1 if half else 1000, half=half)
    assert read_record(memory, memory.start, LIMITS) is None
    assert memory.reads < 10


def test_a_record_whose_memory_went_away_is_refused() -> None:
    memory = FakeMemory(bytearray(RECORD[:-8]))
    with pytest.raises(DecodeError):
        read_record(memory, memory.start, LIMITS)


@settings(max_examples=60)
@given(st.integers(0, 1 << 64), st.integers(0, 3))
def test_hostile_memory_is_searched_within_bounds(seed: int, records: int) -> None:
    """Noise, times and damaged records: no crash, and no byte read twice but by the overlap."""
    source = random.Random(seed)
    data = bytearray(source.randbytes(2 * CHUNK))
    for _ in range(source.randrange(200)):
        struct.pack_into("<QQ", data, 8 * source.randrange(len(data) // 8 - 1), WALL_NS, 5)
    for _ in range(records):
        damaged = bytearray(RECORD)
        damaged[source.randrange(SIZE)] ^= 1 << source.randrange(8)
        at = 8 * source.randrange((len(data) - SIZE) // 8)
        data[at : at + SIZE] = damaged
    memory = FakeMemory(data)
    looking = search(memory)
    while not looking.is_over:
        looking.step(memory)
    assert memory.bytes_read <= len(data) + 2 * SIZE
    looking.best(memory)
