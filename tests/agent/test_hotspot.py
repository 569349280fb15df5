"""HotSpot's counters read, checked, and made into stops."""

import contextlib
import os
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer.readings import Reading
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.hotspot import HotspotReader, open_runtime
from truechimer_agent.hotspot.counters import Collections, Counters, Sample, major_version
from truechimer_agent.hotspot.perfdata import MAX_BYTES, parse, parse_header
from truechimer_agent.hotspot.place import parse_anonymous, parse_mapped
from truechimer_agent.hotspot.stops import StopFinder
from truechimer_agent.processes.runtimes import Polled, ProcessGone, StillLooking, Target

CAPTURED = Path(__file__).parent / "hsperfdata"
MS = 1_000_000
DAY_NS = 86_400_000 * MS
G1 = (CAPTURED / "jdk17-g1").read_bytes()


def sample_of(name: str) -> Sample:
    block = (CAPTURED / name).read_bytes()
    counters = Counters(parse(block), block)
    return counters.sample(block[counters.start : counters.end])


def block_of(longs: dict[str, int], texts: dict[str, str], order: str = "<") -> bytes:
    """What a JVM would write."""
    entries = b""
    for name, value in (*longs.items(), *texts.items()):
        words = name.encode() + b"\0"
        data_at = (20 + len(words) + 7) & ~7
        data = struct.pack(order + "q", value) if isinstance(value, int) else value.encode() + b"\0" * 8
        vector, kind = (0, b"J") if isinstance(value, int) else (len(data), b"B")
        body = (words.ljust(data_at - 20, b"\0") + data).ljust((data_at - 20 + len(data) + 7) & ~7, b"\0")
        entry = struct.pack(order + "iiicBBBi", 20 + len(body), 20, vector, kind, 0, 0, 0, data_at) + body
        entries += entry
    used = 32 + len(entries)
    head = b"\xca\xfe\xc0\xc0" + bytes([order == "<", 2, 0, 1])
    count = len(longs) + len(texts)
    return head + struct.pack(order + "iiqii", used, 0, 0, 32, count) + entries


LONGS = {
    "sun.rt.safepoints": 3,
    "sun.rt.safepointSyncTime": 10,
    "sun.rt.safepointTime": 100,
    "sun.rt.applicationTime": 1000,
    "sun.os.hrt.frequency": 1_000_000,
}


def test_a_jdk_17_with_g1_is_read() -> None:
    sample = sample_of("jdk17-g1")
    assert sample.safepoints == 480
    assert sample.total_ns == 54_893_739 + 908_357_021
    assert [one.begun for one in sample.collections] == [160, 4, 296]
    assert all(one.is_pausing for one in sample.collections)
    assert sample.old_used is not None
    assert sample.old_limit is not None
    assert 0 < sample.old_used <= sample.old_limit


def test_a_jdk_25_with_generational_zgc_is_read() -> None:
    sample = sample_of("jdk25-z")
    assert sample.safepoints == 93
    assert [(one.begun, one.is_pausing) for one in sample.collections] == [(32, True), (61, True)]


def test_shenandoahs_collector_spans_concurrent_phases_and_never_counts_as_pausing() -> None:
    assert not any(one.is_pausing for one in sample_of("jdk17-shenandoah").collections)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_any_frequency_are_read(order: str) -> None:
    block = block_of(LONGS, {"java.property.java.version": "17.0.1"}, order)
    counters = Counters(parse(block), block)
    sample = counters.sample(block[counters.start : counters.end])
    assert (sample.safepoints, sample.total_ns, sample.running_ns) == (3, 110_000, 1_000_000)
    assert sample.old_used is None


def test_until_jdk_12_the_time_of_safepoints_holds_the_time_to_them() -> None:
    block = block_of(LONGS, {"java.property.java.version": "1.8.0_151"})
    counters = Counters(parse(block), block)
    assert counters.sample(block[counters.start : counters.end]).total_ns == 100_000


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("1.8.0_151", 8), ("25", 25), ("", None), ("x", None)]
)
def test_the_major_version(version: str, major: int | None) -> None:
    assert major_version(version) == major


def test_a_block_without_the_counters_of_safepoints_is_no_jvms() -> None:
    block = block_of({"sun.rt.safepoints": 1}, {})
    with pytest.raises(DecodeError, match=r"without sun\.rt.safepointSyncTime"):
        Counters(parse(block), block)


def test_two_entries_of_one_name_are_refused() -> None:
    block = block_of({"a": 1, "b": 2}, {}).replace(b"b\0", b"a\0")
    with pytest.raises(DecodeError, match="two entries named a"):
        parse(block)


def test_a_block_cut_anywhere_is_refused() -> None:
    for end in range(0, len(G1), 97):
        with pytest.raises(DecodeError):
            parse(G1[:end])


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(garbage: bytes) -> None:
    for block in (garbage, G1[:8] + garbage, G1[:32] + garbage):
        with contextlib.suppress(DecodeError):
            parse(block)


@given(
    st.lists(
        st.tuples(st.integers(0, len(G1) - 4), st.binary(min_size=4, max_size=4)), min_size=1, max_size=4
    )
)
def test_damaged_blocks_are_refused_or_read(changes: list[tuple[int, bytes]]) -> None:
    block = bytearray(G1)
    for at, change in changes:
        block[at : at + 4] = change
    try:
        data = parse(bytes(block))
        counters = Counters(data, bytes(block))
        counters.sample(bytes(block[counters.start : counters.end]))
    except DecodeError:
        return
    assert counters.end <= data.header.used <= MAX_BYTES


# Stops.


def reading(
    safepoints: int,
    total_ms: float,
    running_ms: float,
    *young: tuple[int, float, float, float],
    sync_ms: float = 0,
) -> Sample:
    """Of collectors: begun, and in ms: time, entry, exit."""
    collections = tuple(
        Collections(True, begun, *(round(ms * MS) for ms in times)) for begun, *times in young
    )
    total_ns, sync_ns = round(total_ms * MS), round(sync_ms * MS)
    return Sample(
        safepoints, sync_ns, total_ns - sync_ns, total_ns, round(running_ms * MS), collections, 5, 10
    )


def stops_of(*polls: tuple[float, Sample]) -> list[Polled]:
    """S is CLOCK_MONOTONIC + 1 s."""
    finder = StopFinder()
    return [finder.saw(sample, round(ms * MS), round((ms + 1000) * MS), DAY_NS) for ms, sample in polls]


def test_one_safepoint_between_polls_is_known_singly_with_its_beginning() -> None:
    first, second = stops_of(
        (1000, reading(4, 40, 960, (4, 30, 900, 910))),
        (1100, reading(5, 70, 1000, (5, 55, 1002, 1027), sync_ms=3)),
    )
    assert first.stops == ()
    (stop,) = second.stops
    assert (stop.count, stop.duration_ns, stop.cause, stop.sync_ns) == (1, 30 * MS, Cause.GC, 3 * MS)
    # One may have been under way at the first poll: at least the collection was of one stop.
    assert (second.longest_ns, second.longest_upper_ns, stop.confidence) == (25 * MS, 30 * MS, 0.8)
    # The JVM has told of 1070 ms; its zero was at 0 when it was last seen.
    assert stop.start_steady_ns == (1000 + 1070 - 30) * MS
    assert (second.count, second.total_ns) == (1, 30 * MS)


def test_a_safepoint_after_polls_without_any_is_known_for_certain() -> None:
    """A stop under way at the first poll would have lasted longer."""
    before = reading(4, 40, 960, (4, 30, 900, 910))
    *_, last = stops_of(
        (1000, before), (1100, before), (1200, reading(5, 70, 1100, (5, 55, 1102, 1127), sync_ms=3))
    )
    assert (last.longest_ns, last.longest_upper_ns, last.stops[0].confidence) == (30 * MS, 30 * MS, 0.99)


def test_a_safepoint_without_a_collection_is_no_gc() -> None:
    (_, second) = stops_of(
        (1000, reading(4, 40, 960, (4, 30, 900, 910))), (1100, reading(5, 41, 1000, (4, 30, 900, 910)))
    )
    assert [stop.cause for stop in second.stops] == [Cause.SAFEPOINT]


@pytest.mark.parametrize("ended", [1, 3])
def test_safepoints_beside_a_cycle_of_a_concurrent_collector_are_gc_with_less_confidence(ended: int) -> None:
    def spanning(safepoints: int, begun: int) -> Sample:
        one = Collections(False, begun, 0, 0, 0)
        return Sample(safepoints, 0, safepoints * MS, safepoints * MS, 0, (one,), 5, 10)

    for moved, cause in ((1, Cause.GC), (0, Cause.SAFEPOINT)):
        (_, second) = stops_of((1000, spanning(4, 7)), (1100, spanning(4 + ended, 7 + moved)))
        assert [(stop.cause, stop.count, stop.confidence) for stop in second.stops] == [(cause, ended, 0.7)]


def test_of_several_the_latest_collection_is_single_and_the_rest_sums_up() -> None:
    (_, second) = stops_of(
        (1000, reading(4, 40, 960, (4, 30, 900, 910))), (1100, reading(8, 90, 1000, (7, 76, 1060, 1090)))
    )
    assert second.count == sum(stop.count for stop in second.stops) == 4
    assert second.total_ns == sum(stop.duration_ns for stop in second.stops) == 50 * MS
    by_cause = [(stop.cause, stop.count, stop.duration_ns // MS) for stop in second.stops]
    assert by_cause == [(Cause.GC, 1, 30), (Cause.GC, 2, 16), (Cause.SAFEPOINT, 1, 4)]
    assert second.longest_ns == 30 * MS
    assert second.longest_upper_ns == 50 * MS


def test_a_safepoint_under_way_is_told_when_it_has_ended() -> None:
    polled = stops_of(
        (1000, reading(4, 40, 960, (4, 30, 900, 910))),
        (1100, reading(5, 40, 1050, (5, 30, 1051, 910))),
        (1200, reading(5, 40, 1050, (5, 30, 1051, 910))),
        (1300, reading(5, 240, 1050, (5, 229, 1051, 1280))),
    )
    assert [one.count for one in polled] == [0, 0, 0, 1]
    assert [one.under_way_ns for one in polled] == [0, 1, 100 * MS, 0]
    assert polled[3].total_ns == 200 * MS
    assert polled[2].heap is not None
    assert polled[2].heap.collecting_ns == 100 * MS
    assert polled[3].heap is not None
    assert polled[3].heap.collecting_ns == 0


def test_a_young_and_a_full_collection_of_one_safepoint_do_not_narrow_the_longest() -> None:
    young, full = (5, 50, 1010, 1030), (1, 60, 1031, 1091)
    (_, second) = stops_of(
        (1000, reading(4, 40, 960, (4, 30, 900, 910), (0, 0, 0, 0))),
        (1100, reading(6, 125, 975, young, full)),
    )
    assert second.longest_ns == 60 * MS
    assert second.longest_upper_ns >= 81 * MS


@given(
    st.lists(
        st.tuples(st.integers(100, 30_000_000), st.integers(0, 20_000_000), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.integers(1_000_000, 100_000_000),
)
def test_counts_and_sums_are_exact_and_the_longest_enclosed_whatever_the_poll(
    safepoints: list[tuple[int, int, bool]], interval_ns: int
) -> None:
    """A JVM that stops and runs by turns, polled at any interval."""
    finder = StopFinder()
    events = []
    now, total, running, collected, gc_ns, entry, left = 10**9, 0, 0, 0, 0, 0, 0
    for number, (duration, gap, is_gc) in enumerate(safepoints):
        now, running = now + gap + 1, running + gap + 1
        begun = (number + 1, total, running, collected + is_gc, gc_ns, now if is_gc else entry, left)
        events.append((now, begun))
        now, total = now + duration, total + duration
        if is_gc:
            collected, gc_ns, entry, left = collected + 1, gc_ns + duration, now - duration, now
        events.append((now, (number + 1, total, running, collected, gc_ns, entry, left)))
    count = sum_ns = 0
    lower = upper = 0
    state = (0, 0, 0, 0, 0, 0, 0)
    poll = 10**9
    while poll <= now + 2 * interval_ns:
        while events and events[0][0] <= poll:
            state = events.pop(0)[1]
        begun_count, total_ns, running_ns, invocations, time_ns, entry_ns, exit_ns = state
        one = Collections(True, invocations, time_ns, entry_ns, exit_ns)
        polled = finder.saw(
            Sample(begun_count, 0, total_ns, total_ns, running_ns, (one,), 1, 2), poll, poll, DAY_NS
        )
        count, sum_ns = count + polled.count, sum_ns + polled.total_ns
        assert polled.total_ns == sum(stop.duration_ns for stop in polled.stops)
        lower, upper = max(lower, polled.longest_ns), max(upper, polled.longest_upper_ns)
        poll += interval_ns
    assert count == len(safepoints)
    assert sum_ns == sum(duration for duration, _, _ in safepoints)
    assert lower <= max(duration for duration, _, _ in safepoints) <= upper


def written(chance: random.Random) -> tuple[list[tuple[int, dict[str, int]]], list[tuple[int, int, Cause]]]:
    """A JVM's writes in its order, each with its time; and its stops: end, length, cause.

    OpenJDK's SafepointSynchronize::begin counts the safepoint and the time the program ran, then the time to
    the safepoint; the operation follows with a collection's entry, exit and time; end() adds the rest.
    """
    writes: list[tuple[int, dict[str, int]]] = []
    stops = []
    state = dict.fromkeys(("begun", "sync", "ended", "running", "collected", "gc", "entry", "exit"), 0)

    def write(at_ns: int, **changed: int) -> None:
        state.update(changed)
        writes.append((at_ns, dict(state)))

    now_ns = resumed_ns = 10_000 * MS
    for _ in range(14):
        now_ns += round(chance.choice([chance.uniform(0.01, 3), chance.uniform(1, 300)]) * MS)
        begin_ns = now_ns
        sync_ns = round(chance.choice([0.01, 0.1, 50]) * chance.uniform(0.5, 1.5) * MS)
        work_ns = round(chance.choice([0.05, 1, 40]) * chance.uniform(0.5, 1.5) * MS)
        write(now_ns, begun=state["begun"] + 1)
        write(now_ns + 100, running=state["running"] + now_ns - resumed_ns)
        now_ns += sync_ns
        write(now_ns, sync=state["sync"] + sync_ns)
        cause = chance.choice([Cause.GC, Cause.SAFEPOINT])
        if cause is Cause.GC:
            entry_ns, exit_ns = now_ns + work_ns // 10, now_ns + work_ns * 8 // 10
            write(entry_ns, collected=state["collected"] + 1, entry=entry_ns)
            write(exit_ns, exit=exit_ns)
            write(exit_ns + 50, gc=state["gc"] + exit_ns - entry_ns)
        now_ns += work_ns
        write(now_ns, ended=state["ended"] + work_ns)
        stops.append((now_ns, now_ns - begin_ns, cause))
        resumed_ns = now_ns
    return writes, stops


@given(st.integers(0, 2**32))
def test_what_is_said_for_certain_is_true_between_any_two_of_a_jvms_writes(seed: int) -> None:
    """Polls at random moments, the first in a stop or not."""
    chance = random.Random(seed)
    writes, stops = written(chance)
    finder = StopFinder()
    poll_ns = before_ns = round(chance.uniform(9_990, 10_020) * MS)
    state = dict.fromkeys(writes[0][1], 0)
    first: dict[str, int] | None = None
    count = total_ns = least_ns = 0
    while writes or poll_ns <= stops[-1][0] + 500 * MS:
        while writes and writes[0][0] <= poll_ns:
            state = writes.pop(0)[1]
        one = Collections(True, state["collected"], state["gc"], state["entry"], state["exit"])
        sync_ns, ended_ns = state["sync"], state["ended"]
        sample = Sample(
            state["begun"], sync_ns, ended_ns, sync_ns + ended_ns, state["running"], (one,), 5, 10
        )
        polled = finder.saw(sample, poll_ns, poll_ns, DAY_NS)
        ended = [(length_ns, cause) for end_ns, length_ns, cause in stops if before_ns < end_ns <= poll_ns]
        count, total_ns = count + polled.count, total_ns + polled.total_ns
        least_ns = max(least_ns, polled.longest_ns)
        if first is None:
            first = state
        elif polled.stops and first["begun"] == first["collected"] == 0:
            assert max(length_ns for length_ns, _ in ended) <= polled.longest_upper_ns + 1000
        if first is not state and len(polled.stops) == 1 and polled.stops[0].confidence > 0.9:
            assert len(ended) == polled.stops[0].count
            assert polled.stops[0].cause in {cause for _, cause in ended}
        before_ns = poll_ns
        poll_ns += round(chance.choice([chance.uniform(0.01, 2), 100, chance.uniform(1, 400)]) * MS)
    assert first is not None
    assert count == state["begun"] - first["begun"]
    assert total_ns == state["sync"] + state["ended"] - first["sync"] - first["ended"]
    assert least_ns <= max(length_ns for _, length_ns, _ in stops)


def test_counters_that_go_backwards_or_tell_more_than_the_process_lived_are_a_failed_round() -> None:
    finder = StopFinder()
    finder.saw(reading(4, 40, 960), 1000 * MS, 0, DAY_NS)
    with pytest.raises(CollectFailure, match="backwards"):
        finder.saw(reading(3, 40, 960), 1100 * MS, 0, DAY_NS)
    assert finder.saw(reading(3, 40, 960), 1200 * MS, 0, DAY_NS).count == 0
    with pytest.raises(CollectFailure, match="has lived"):
        finder.saw(reading(4, 10**8, 960), 1300 * MS, 0, DAY_NS)


# Files and processes.

MAPS = """\
7f00-7f10 rw-p 00000000 00:00 0
7f20-7f30 r-xp 00000000 fd:00 77 /usr/lib/jvm/lib/server/libjvm.so
7f40-7f48 rw-s 00000000 fd:00 99                         /tmp/hsperfdata_some one/17{}
"""


def test_the_mapped_file_is_found_even_when_it_was_deleted() -> None:
    found = parse_mapped(MAPS.format(""))
    assert found is not None
    assert (found.folder, found.name, found.is_deleted, found.address) == (
        "hsperfdata_some one",
        "17",
        False,
        0x7F40,
    )
    deleted = parse_mapped(MAPS.format(" (deleted)"))
    assert deleted is not None
    assert deleted.is_deleted
    assert parse_anonymous(MAPS.format("")) == [(0x7F00, 0x7F10)]


def own_target() -> Target:
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return Target(os.getpid(), int(stat[19]))


def reader_of(block: bytes, path: Path) -> HotspotReader:
    path.write_bytes(block)
    return HotspotReader(
        own_target(), os.open(path, os.O_RDONLY), 0, os.open("/proc/self/statm", os.O_RDONLY)
    )


NOW = Reading(0, 10**15, 10**15, 10**15, 0)


def test_a_jvm_that_is_starting_is_still_looked_for_and_then_read(tmp_path: Path) -> None:
    starting = bytearray(G1)
    starting[7] = 0
    reader = reader_of(bytes(starting), tmp_path / "data")
    with pytest.raises(StillLooking, match="is starting"):
        reader.poll(NOW, 0)
    (tmp_path / "data").write_bytes(G1)
    assert reader.poll(NOW, 0).heap is not None
    reader.close()
    reader.close()


def test_a_file_truncated_under_the_reader_is_a_failed_round(tmp_path: Path) -> None:
    reader = reader_of(G1, tmp_path / "data")
    reader.poll(NOW, 0)
    os.truncate(tmp_path / "data", 100)
    with pytest.raises(CollectFailure, match="damaged"):
        reader.poll(NOW, 0)
    reader.close()


def test_a_process_that_is_no_jvm_and_one_that_is_gone_say_so() -> None:
    with pytest.raises(Lacking, match="no HotSpot JVM"):
        open_runtime(own_target(), scan=True)
    with pytest.raises(ProcessGone, match="another process's"):
        open_runtime(Target(os.getpid(), 1), scan=False)
    with pytest.raises(ProcessGone):
        open_runtime(Target(2**22 + 1, 1), scan=False)


def test_a_header_of_another_version_is_refused() -> None:
    with pytest.raises(DecodeError, match="version 3"):
        parse_header(G1[:5] + b"\3" + G1[6:32])
