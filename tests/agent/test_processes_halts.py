"""What looks at a process make of its stops and waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Cause
from truechimer_agent.processes.cgroups import CgroupGrowth
from truechimer_agent.processes.halts import Standing, waits
from truechimer_agent.processes.tasks import Growth

MS = 1_000_000
LOOK = 100 * MS
THRESHOLD = 5 * MS
NOTHING = CgroupGrowth()


def stand(looks, frozen=None):
    """The pauses that a series of looks, LOOK apart, makes; each is what it shows: "S", "T" or "F"."""
    standing = Standing()
    found = []
    for number, state in enumerate(looks):
        group = CgroupGrowth(is_frozen=state == "F", frozen_ns=None if frozen is None else frozen[number])
        halt = standing.look(
            is_stopped=state == "T",
            group=group,
            before_ns=(number - 1) * LOOK,
            now_ns=number * LOOK,
            threshold_ns=THRESHOLD,
        )
        found += [halt] if halt is not None else []
    return found, standing


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=8))
def test_every_stop_that_is_seen_is_one_pause_right_to_within_a_look(stretches):
    """Lengths are in tenths of a look; stops that fall between two looks are not seen."""
    edges = []
    at = 5
    for gap, length in stretches:
        begin = at + gap + 21  # two looks apart at least, else they are one
        edges.append((begin, begin + length))
        at = begin + length
    looks = [
        "T" if any(begin <= 10 * number < end for begin, end in edges) else "S"
        for number in range(at // 10 + 4)
    ]
    found, _ = stand(looks)
    seen = [(begin, end) for begin, end in edges if -(-begin // 10) * 10 < end]
    assert len(found) == len(seen)
    for halt, (begin, end) in zip(found, seen, strict=True):
        assert halt.cause is Cause.STOPPED
        assert abs(halt.duration_ns - (end - begin) * LOOK // 10) <= LOOK
        assert abs(halt.start_ns - begin * LOOK // 10) <= LOOK // 2
        assert halt.interval_ns == LOOK


def test_a_process_that_ran_between_two_looks_at_which_it_was_stopped_was_stopped_twice():
    """Else a debugger's or cpulimit's short stops read as one long pause."""
    standing = Standing()
    found = []
    for number in range(1, 5):
        found.append(
            standing.look(
                is_stopped=number < 4,
                group=NOTHING,
                before_ns=(number - 1) * LOOK,
                now_ns=number * LOOK,
                threshold_ns=THRESHOLD,
                has_run=True,
            )
        )
    assert [None if halt is None else halt.duration_ns for halt in found] == [None, LOOK, LOOK, LOOK]
    assert all(halt.confidence <= 0.9 for halt in found if halt is not None)


def test_a_stop_seen_once_is_less_certain_than_one_seen_twice():
    """The first may be a passing state."""
    assert [halt.confidence for halt in stand("STS")[0]] == [0.9]
    assert [halt.confidence for halt in stand("STTS")[0]] == [0.99]


def test_a_freeze_has_the_length_that_the_kernel_counted():
    """frozen_usec, where there is one, is better than the looks."""
    (halt,) = stand("SFFFS", [0, 40 * MS, LOOK, LOOK, 10 * MS])[0]
    assert (halt.cause, halt.duration_ns, halt.frozen_ns) == (Cause.FROZEN, 250 * MS, 250 * MS)


def test_a_freeze_between_two_looks_is_found_by_its_counter():
    """Nobody saw it frozen."""
    (halt,) = stand("SSS", [0, 0, 30 * MS])[0]
    assert (halt.cause, halt.duration_ns, halt.start_ns) == (Cause.FROZEN, 30 * MS, 2 * LOOK - 30 * MS)


def test_a_freeze_that_ends_in_a_stop_is_two_pauses():
    """Each has its cause."""
    found, standing = stand("SFFTTS")
    assert [halt.cause for halt in found] == [Cause.FROZEN, Cause.STOPPED]
    assert standing.cause is None


def test_a_stop_that_goes_on_when_nobody_looks_any_more_is_told_as_far_as_it_was_seen():
    """The agent ends, or the process does."""
    _, standing = stand("STT")
    assert standing.close(2 * LOOK, 2 * LOOK).duration_ns == 2 * LOOK - LOOK // 2
    assert standing.close(2 * LOOK, 2 * LOOK) is None


def waited(growth, group=NOTHING, span_ns=LOOK):
    return list(waits(growth, group, 0, span_ns, THRESHOLD))


def queued(wait_ms, slices=1):
    return Growth(False, 1, delay_ns=wait_ms * MS, wait_ns=wait_ms * MS, wait_slices=slices)


def test_one_wait_is_one_pause_that_ended_by_this_look():
    """It may have begun before the last look."""
    (halt,) = waited(queued(250))
    assert (halt.cause, halt.confidence) == (Cause.RUN_QUEUE, 0.9)
    assert (halt.duration_ns, halt.start_ns, halt.pauses) == (250 * MS, -150 * MS, 1)


def test_several_waits_are_said_to_be_several():
    """Of all of them nothing is known but the sum: 25 of 3 ms are possible, and none then reached 5 ms."""
    (halt,) = waited(queued(75, slices=25))
    assert (halt.pauses, halt.longest_ns) == (25, 3 * MS)
    (halt,) = waited(queued(75, slices=3))
    assert (halt.pauses, halt.longest_ns) == (3, 25 * MS)


@given(st.lists(st.integers(1, 300 * MS), min_size=1, max_size=60))
def test_the_longest_of_several_waits_is_between_the_equal_share_and_the_sum(lengths):
    """Whatever the single waits were."""
    growth = Growth(False, 1, delay_ns=sum(lengths), wait_ns=sum(lengths), wait_slices=len(lengths))
    for halt in waited(growth):
        assert halt.longest_ns <= max(lengths) <= halt.duration_ns


def test_thousands_of_ordinary_waits_are_no_pause():
    """A busy server waits 20 µs each time; their sum says nothing."""
    assert waited(queued(20, slices=1000)) == []


@pytest.mark.parametrize(
    ("group", "cause", "confidence"),
    [
        (CgroupGrowth(throttled_ns=80 * MS), Cause.THROTTLED, 0.9),
        (CgroupGrowth(throttled_ns=0, throttled_before_ns=80 * MS), Cause.THROTTLED, 0.6),
        (CgroupGrowth(throttled_ns=35 * MS), Cause.RUN_QUEUE, 0.6),
        (CgroupGrowth(throttled_ns=0), Cause.RUN_QUEUE, 0.9),
        (NOTHING, Cause.RUN_QUEUE, 0.9),
    ],
)
def test_a_throttled_cgroup_explains_the_wait(group, cause, confidence):
    """The table of docs/collectors/processes.md."""
    (halt,) = waited(queued(90), group)
    assert (halt.cause, halt.confidence) == (cause, confidence)


@pytest.mark.parametrize(
    ("faults", "memory_ms", "io_ms", "cause", "confidence"),
    [
        (0, None, 60, Cause.IO, 0.8),
        (9, 50, 60, Cause.MEMORY, 0.8),
        (9, 1, 60, Cause.IO, 0.6),
        (9, None, 60, Cause.UNKNOWN, 0.0),
        (9, 50, None, Cause.MEMORY, 0.6),
    ],
)
def test_waiting_for_a_disk_is_told_from_waiting_for_memory(faults, memory_ms, io_ms, cause, confidence):
    """The table of docs/collectors/processes.md."""
    growth = Growth(False, 1, major_faults=faults)
    if io_ms is not None:
        growth.add_wait(io_ms * MS)
    memory_ns = None if memory_ms is None else memory_ms * MS
    (halt,) = waited(growth, CgroupGrowth(memory_stall_ns=memory_ns))
    assert (halt.cause, halt.confidence) == (cause, confidence)
    assert halt.major_faults == faults


@given(
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 20),
    st.integers(0, 100),
    st.none() | st.integers(0, 1 << 40),
    st.builds(
        CgroupGrowth,
        is_frozen=st.booleans(),
        throttled_ns=st.none() | st.integers(0, 1 << 40),
        memory_stall_ns=st.none() | st.integers(0, 1 << 40),
    ),
)
def test_whatever_the_counters_say_pauses_are_no_longer_than_they_tell(wait, slices, faults, io, group):
    """And every confidence in a sum is at most 0.9, 0 for what is unknown."""
    growth = Growth(False, 1, delay_ns=wait, wait_ns=wait, wait_slices=slices, major_faults=faults)
    if io is not None:
        growth.add_wait(io)
    for halt in waited(growth, group):
        assert THRESHOLD <= halt.duration_ns <= max(wait, io or 0, LOOK)
        assert 0 < halt.longest_ns <= halt.duration_ns
        assert halt.confidence <= 0.9
        assert (halt.confidence == 0) == (halt.cause is Cause.UNKNOWN)
