"""Kernel stamps of W placed in S: never on the wrong side of the truth, and close to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.readings import Reading, SteadyClock
from truechimer_agent.packettimes.times import Times, place, times_of

T0 = 1_795_000_000 * 10**9
STEADY = SteadyClock(T0, 1)
WIDTH_NS = 200
MS = 1_000_000


def reading(raw_ns, *, slewed_ns=0, stepped_ns=0, width_ns=WIDTH_NS):
    """All clocks at one instant: W is MONOTONIC + T0, what was slewed is in both, what was stepped in W."""
    mono_ns = raw_ns + slewed_ns
    return Reading(T0 + mono_ns + stepped_ns, raw_ns, mono_ns, mono_ns, width_ns)


PLAIN = (reading(0), reading(50_000), reading(MS))
RATES = st.lists(st.integers(-100_000, 100_000), min_size=4, max_size=4)
MARKS = st.lists(st.integers(1, MS - 1), min_size=2, max_size=2, unique=True).map(sorted)


@given(rates=RATES, marks=MARKS, sent_at=st.integers(0, MS), received_at=st.integers(0, MS))
def test_a_slewed_wall_clock_never_puts_a_stamp_on_the_wrong_side(rates, marks, sent_at, received_at):
    """W is slewed by up to ±10 %, another rate between any two instants; readings lie off by their widths."""
    sent_at, received_at = sorted((sent_at, received_at))
    turns = [0, *sorted({*marks, MS // 2}), MS]

    def slewed_ns(raw_ns):
        spans = zip(turns, turns[1:], rates, strict=False)
        return sum((min(raw_ns, end) - start) * ppm // 10**6 for start, end, ppm in spans if raw_ns > start)

    readings = [reading(at, slewed_ns=slewed_ns(at)) for at in (0, MS // 3, MS)]
    stamps = [T0 + at + slewed_ns(at) for at in (sent_at, received_at)]
    times = times_of(STEADY, readings, STEADY.at(0), *stamps)
    assert times.sent_ns <= STEADY.at(sent_at)
    assert times.received_ns >= STEADY.at(received_at)
    assert times.sent_ns <= times.likely_sent_ns <= times.likely_received_ns <= times.received_ns


@given(at=st.integers(0, MS))
def test_an_unslewed_stamp_is_estimated_to_the_readings_widths(at):
    """Bounds pay a tenth of the way to the nearest reading; the estimate does not."""
    placed = place(STEADY, PLAIN, T0 + at)
    nearest_ns = min(abs(at - each.raw_ns) for each in PLAIN)
    slack_ns = 0.12 * nearest_ns + 10 * WIDTH_NS
    assert placed.earliest_ns <= placed.likely_ns <= placed.latest_ns
    assert abs(placed.likely_ns - STEADY.at(at)) <= 2 * WIDTH_NS
    assert placed.latest_ns - placed.earliest_ns <= 2 * slack_ns


def test_a_steady_slew_is_followed_by_the_estimate():
    """8 % all the time, as a time daemon that catches up does."""
    readings = [reading(at, slewed_ns=at * 8 // 100) for at in (0, 50_000, MS)]
    placed = place(STEADY, readings, T0 + 500_000 * 108 // 100)
    assert abs(placed.likely_ns - STEADY.at(500_000)) <= 2 * WIDTH_NS


@pytest.mark.parametrize("step_ns", [500 * MS, -500 * MS, 100_000])
@pytest.mark.parametrize("after", [1, 2])
def test_a_step_between_readings_gives_way_to_user_space(step_ns, after):
    """Nobody knows on which side of the step the packets were stamped."""
    readings = [reading(at, stepped_ns=step_ns * (n >= after)) for n, at in enumerate((0, 50_000, MS))]
    user = Times(STEADY.at(40), STEADY.at(MS + 100), STEADY.at(40), STEADY.at(MS + 100))
    assert times_of(STEADY, readings, STEADY.at(40), T0 + 45_000, T0 + 600_000) == user


@given(step_ns=st.integers(-600, 600), after=st.sampled_from([1, 2]), at=st.integers(0, MS))
def test_a_step_too_small_to_be_seen_is_allowed_for(step_ns, after, at):
    """One within the readings' widths moves the stamp by as much, on either side of it."""
    times_ns = (0, 50_000, MS)
    readings = [reading(each, stepped_ns=step_ns * (n >= after)) for n, each in enumerate(times_ns)]
    for stamp_ns in (T0 + at, T0 + at + step_ns):
        stepped_already = stamp_ns != T0 + at
        if (at < times_ns[after - 1] and stepped_already) or (at >= times_ns[after] and not stepped_already):
            continue  # the step lies between the two readings, so the stamp was taken on the other side
        placed = place(STEADY, readings, stamp_ns)
        assert placed is None or placed.earliest_ns <= STEADY.at(at) <= placed.latest_ns


def test_a_stamp_from_outside_of_the_exchange_is_not_believed():
    """Before the first reading or after the last one it is of something else."""
    user = Times(STEADY.at(40), STEADY.at(MS + 100), STEADY.at(40), STEADY.at(MS + 100))
    for stamp_ns in (T0 - 200_000, T0 + 2 * MS):
        assert times_of(STEADY, PLAIN, STEADY.at(40), stamp_ns, stamp_ns) == user


def test_a_reply_that_came_before_the_request_left_gives_way_to_user_space():
    """Then one of the stamps is wrong, and nobody knows which."""
    user = Times(STEADY.at(40), STEADY.at(MS + 100), STEADY.at(40), STEADY.at(MS + 100))
    assert times_of(STEADY, PLAIN, STEADY.at(40), T0 + 700_000, T0 + 300_000) == user


def test_each_stamp_counts_without_the_other():
    """A kernel may stamp what comes and not what goes."""
    received = times_of(STEADY, PLAIN, STEADY.at(40), None, T0 + 300_000)
    assert (received.sent_ns, received.likely_sent_ns) == (STEADY.at(40), STEADY.at(40))
    assert STEADY.at(300_000) <= received.received_ns < STEADY.at(MS)
    sent = times_of(STEADY, PLAIN, STEADY.at(40), T0 + 30_000, None)
    assert STEADY.at(40) < sent.sent_ns <= STEADY.at(30_000)
    assert sent.received_ns == STEADY.at(MS + 100)


def test_a_torn_reading_costs_width_and_not_truth():
    """An interruption makes a reading wide: its clocks may be of any instant within."""
    wide = Reading(T0 + 400_000, 250_000, 400_000, 400_000, 400_000)
    placed = place(STEADY, (reading(0), wide, reading(MS)), T0 + 410_000)
    assert placed.earliest_ns <= STEADY.at(410_000) <= placed.latest_ns
