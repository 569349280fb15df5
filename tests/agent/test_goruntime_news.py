"""From two states of Go's record to stops in steady time."""

import pytest
from agent.gomemory import AGE_NS, WALL_NS, collections, mstats_bytes
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer_agent.goruntime.mstats import Limits, Record, decode
from truechimer_agent.goruntime.news import Instant, news, steady_of
from truechimer_agent.processes.runtimes import Polled, Stop

S = 1_000_000_000
AHEAD_NS = 12_345
"""W − S."""
BEFORE = Instant(WALL_NS, WALL_NS - AHEAD_NS)


def record(count: int) -> Record:
    return decode(mstats_bytes(collections(count)), Limits(AGE_NS))


def later(ns: int, *, stepped_ns: int = 0) -> Instant:
    return Instant(BEFORE.wall_ns + ns + stepped_ns, BEFORE.steady_ns + ns)


def test_each_new_collection_is_a_stop_that_ended_when_go_noted_it() -> None:
    polled = news(record(3), record(5), BEFORE, later(10 * S))
    assert polled == Polled(
        stops=tuple(
            Stop(WALL_NS - AHEAD_NS + n * S - (100_000 + n), 100_000 + n, Cause.GC, 0.99) for n in (3, 4)
        ),
        count=2,
        total_ns=200_007,
        longest_ns=100_004,
        longest_upper_ns=100_004,
    )


def test_without_a_new_collection_there_is_no_news() -> None:
    assert news(record(300), record(300), BEFORE, later(S)) == Polled()


def test_what_the_ring_lost_is_one_stop_with_exact_count_and_sum() -> None:
    """Of 600 new ones 344 are not there singly; the longest is enclosed."""
    polled = news(record(10), record(610), BEFORE, later(700 * S))
    rest = polled.stops[0]
    lost = [length for length, _ in collections(354)[10:]]
    assert (rest.count, rest.duration_ns, rest.start_steady_ns) == (344, sum(lost), BEFORE.steady_ns)
    assert len(polled.stops) == 257
    assert polled.count == 600
    assert polled.total_ns == sum(stop.duration_ns for stop in polled.stops)
    assert polled.longest_ns == 100_609
    assert polled.longest_upper_ns == sum(lost)


def test_a_long_pause_that_the_ring_lost_is_not_denied() -> None:
    """The longest is at least the mean of the lost ones."""
    made = collections(400)
    made[50] = (60 * S, made[50][1])
    now = decode(mstats_bytes(made), Limits(AGE_NS))
    polled = news(record(10), now, BEFORE, later(500 * S))
    assert polled.longest_ns <= 60 * S <= polled.longest_upper_ns
    assert polled.longest_ns > 100_399


def test_the_count_may_wrap() -> None:
    before = Record((1 << 32) - 1, 1_000, (10,) * 256, tuple(range(1, 257)))
    now = Record(1, 1_020, (10,) * 256, tuple(range(3, 259)))
    assert news(before, now, BEFORE, later(S)).count == 2


@pytest.mark.parametrize("now", [record(299), Record(301, 10, (1,), (WALL_NS,))])
def test_counters_that_run_back_are_refused(now: Record) -> None:
    with pytest.raises(DecodeError):
        news(record(300), now, BEFORE, later(S))


def test_a_slewed_clock_is_followed() -> None:
    """500 ppm over 10 s are 5 ms: a collection in the middle is put 2.5 ms off neither way."""
    now = later(10 * S, stepped_ns=5_000_000)
    assert abs(steady_of(WALL_NS + 5 * S + 2_500_000, BEFORE, now) - (BEFORE.steady_ns + 5 * S)) <= 1


def test_a_collection_after_the_reading_is_put_after_it() -> None:
    """The clocks were read a little before the memory."""
    now = later(S)
    assert steady_of(now.wall_ns + 3_000_000, BEFORE, now) == now.steady_ns + 3_000_000


@pytest.mark.parametrize("step_ns", [3_600 * S, -3_600 * S])
def test_across_a_step_each_collection_is_put_where_it_was(step_ns: int) -> None:
    """Those before the step by the clock as it was, those after it by the clock as it is."""
    now = later(S, stepped_ns=step_ns)
    before_step = WALL_NS + 300_000_000
    after_step = WALL_NS + 700_000_000 + step_ns
    assert steady_of(before_step, BEFORE, now) == BEFORE.steady_ns + 300_000_000
    assert steady_of(after_step, BEFORE, now) == BEFORE.steady_ns + 700_000_000


@given(
    wall_ns=st.integers(1, (1 << 64) - 1),
    elapsed_ns=st.integers(0, 100 * S),
    stepped_ns=st.integers(-(10**18), 10**18),
)
def test_whatever_the_clocks_did_an_end_lies_between_the_polls(
    wall_ns: int, elapsed_ns: int, stepped_ns: int
) -> None:
    """But for a second after the reading, as the memory is read later."""
    now = later(elapsed_ns, stepped_ns=stepped_ns)
    assert BEFORE.steady_ns <= steady_of(wall_ns, BEFORE, now) <= now.steady_ns + S


@given(first=st.integers(1, 700), more=st.integers(0, 700))
def test_stops_add_up_to_the_counters(first: int, more: int) -> None:
    polled = news(record(first), record(first + more), BEFORE, later(2000 * S))
    assert sum(stop.count for stop in polled.stops) == polled.count == more
    assert sum(stop.duration_ns for stop in polled.stops) == polled.total_ns
    assert polled.longest_ns <= polled.longest_upper_ns
