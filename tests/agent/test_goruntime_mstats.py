"""Go's record of its collections: what is read from it, and what is not taken for it."""

import random
import struct

import pytest
from agent.gomemory import AGE_NS, WALL_NS, collections, mstats_bytes
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.goruntime.mstats import COUNT, NUMGC_OFFSET, RING, SIZE, Limits, decode, is_settled

LIMITS = Limits(AGE_NS)
QWORD = struct.Struct("<Q")


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 700])
def test_the_latest_collections_are_told_oldest_first(count: int) -> None:
    """Whether the ring is not full, just full, or has come round."""
    made = collections(count)
    record = decode(mstats_bytes(made), LIMITS)
    assert record.count == count
    assert record.total_ns == sum(length for length, _ in made)
    assert list(zip(record.pauses_ns, record.ends_wall_ns, strict=True)) == made[-RING:]


def test_the_layout_is_that_of_mstats_go() -> None:
    """The offsets of the fields, as the compiler lays the Go struct out."""
    data = mstats_bytes(collections(3))
    assert QWORD.unpack_from(data, 0)[0] == WALL_NS + 2_000_000_000
    assert QWORD.unpack_from(data, 16 + 8 * 2)[0] == 100_002
    assert QWORD.unpack_from(data, 16 + 8 * RING + 8 * 2)[0] == WALL_NS + 2_000_000_000
    assert COUNT.unpack_from(data, NUMGC_OFFSET)[0] == 3
    assert (NUMGC_OFFSET, SIZE) == (4112, 4136)


def test_a_copy_in_runtime_memstats_is_not_the_runtimes_own() -> None:
    """MemStats has EnableGC = true where mstats has the monotonic time of the last collection."""
    with pytest.raises(DecodeError, match="copy"):
        decode(mstats_bytes(collections(3), nanotime_ns=1), LIMITS)


def spoilt(offset: int, value: int, count: int = 300) -> bytearray:
    data = mstats_bytes(collections(count))
    QWORD.pack_into(data, offset, value)
    return data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (mstats_bytes([]), "no collection"),
        (mstats_bytes(collections(3))[:-1], "bytes are no record"),
        (mstats_bytes(collections(3), forced=4), "forced"),
        (spoilt(0, WALL_NS), "latest end"),
        (spoilt(8, 1_000), "in a total of"),
        (spoilt(8, 100_000 * 3 + 4, count=3), "in a total of"),
        (spoilt(8, AGE_NS + 2_000_000_000), "in a life of"),
        (spoilt(16, 1 << 63), "in a total of"),
        (spoilt(16 + 8 * 7, 5, count=3), "collections that were not"),
        (spoilt(16 + 8 * RING + 8 * 7, WALL_NS, count=3), "collections that were not"),
        (spoilt(16 + 8 * RING + 8 * 7, 0), "without an end"),
        (mstats_bytes([(9, WALL_NS + (number * 37 % 41)) for number in range(300)]), "out of order"),
    ],
)
def test_what_go_cannot_have_written_is_refused_with_the_reason(data: bytearray, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(data, LIMITS)


def test_a_clock_that_was_set_back_between_two_collections_is_no_fault() -> None:
    made = [(100, WALL_NS), (100, WALL_NS + 5), (100, WALL_NS - 3_600_000_000_000)]
    assert decode(mstats_bytes(made), LIMITS).count == 3


def test_in_the_middle_of_a_write_it_is_not_settled() -> None:
    """The runtime writes the last collection's time first and the count last."""
    data = mstats_bytes(collections(300))
    assert is_settled(data)
    QWORD.pack_into(data, 0, WALL_NS + 300_000_000_000)
    assert not is_settled(data)


@given(st.integers(0, 1 << 64))
def test_random_bytes_are_no_record(seed: int) -> None:
    with pytest.raises(DecodeError):
        decode(random.Random(seed).randbytes(SIZE), LIMITS)


@given(st.integers(1, 600), st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_record_is_refused_or_still_adds_up(count: int, damage: list[tuple[int, int]]) -> None:
    """What is accepted has its sums right and no time that its process did not live."""
    data = mstats_bytes(collections(count))
    for place, value in damage:
        data[place] = value
    try:
        record = decode(data, LIMITS)
    except DecodeError:
        return
    assert len(record.pauses_ns) == len(record.ends_wall_ns) == min(record.count, RING)
    assert sum(record.pauses_ns) <= record.total_ns <= AGE_NS + 1_000_000_000
    assert all(record.ends_wall_ns)
