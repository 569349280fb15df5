"""The arithmetic of judging a clock, against brute force over points of the interval."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from truechimer.codes import Judgement
from truechimer_analyzer.clocks.judgement import (
    NOTHING,
    Interval,
    after_steps,
    aged,
    judge,
    wall_frequency,
    wall_rate,
)

offsets = st.floats(-10, 10)
limits = st.floats(0, 5)


def ordered(one: float, other: float) -> Interval:
    return Interval(min(one, other), max(one, other))


@given(offsets, offsets, limits)
def test_a_judgement_is_what_every_point_of_the_interval_says(one: float, other: float, limit: float) -> None:
    interval = ordered(one, other)
    points = [*np.linspace(interval.lower, interval.upper, 101), interval.lower, interval.upper]
    # Zero is the point that a wide interval's even spacing may miss.
    if interval.lower <= 0 <= interval.upper:
        points.append(0.0)
    within = [abs(point) <= limit for point in points]
    expected = (
        Judgement.PROVEN_WITHIN
        if all(within)
        else Judgement.PROVEN_BEYOND
        if not any(within)
        else Judgement.UNPROVEN
    )
    if expected is Judgement.PROVEN_BEYOND:
        assume(interval.lower > limit or interval.upper < -limit)
    assert judge(interval, limit) is expected


@given(offsets, st.floats(0, 5), limits)
def test_proven_beyond_is_offset_less_half_width_beyond_the_limit(
    middle: float, half: float, limit: float
) -> None:
    assume(abs(abs(middle) - half - limit) > 1e-9)
    verdict = judge(Interval(middle - half, middle + half), limit)
    assert (verdict is Judgement.PROVEN_BEYOND) == (abs(middle) - half > limit)


def test_what_is_unknown_is_unproven() -> None:
    assert judge(NOTHING, 1.0) is Judgement.UNPROVEN
    assert judge(Interval(-math.inf, 0.0), 1.0) is Judgement.UNPROVEN
    assert judge(Interval(math.nan, 0.5), 1.0) is Judgement.UNPROVEN


@given(
    offsets,
    st.floats(0, 1),
    st.floats(-100, 100),
    st.floats(0, 50),
    st.floats(-100, 100),
    st.floats(0, 50),
    st.floats(0, 1000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_an_aged_interval_still_holds_the_truth(
    lower: float,
    width: float,
    raw: float,
    raw_width: float,
    wall: float,
    wall_width: float,
    age_s: float,
    where: float,
    raw_where: float,
    wall_where: float,
) -> None:
    """Wherever truth was in the interval, and whatever rates within bounds it moved by."""
    raw_ppm, wall_ppm = Interval(raw, raw + raw_width), Interval(wall, wall + wall_width)
    truth = lower + where * width
    moved = truth + ((raw + raw_where * raw_width) - (wall + wall_where * wall_width)) * age_s * 1e-6
    found = aged(Interval(lower, lower + width), age_s, raw_ppm, wall_ppm)
    assert found.lower - 1e-9 <= moved <= found.upper + 1e-9
    assert found.lower <= lower
    assert found.upper >= lower + width


def test_unknown_rates_age_by_the_most_that_the_kernel_slews() -> None:
    found = aged(Interval(0.0, 0.0), 10.0, NOTHING, NOTHING)
    assert (found.lower, found.upper) == pytest.approx((-0.01, 0.01))


def test_a_later_step_of_w_moves_utc_minus_w_the_other_way() -> None:
    found = after_steps(Interval(-0.001, 0.001), np.array([0.5]), np.array([5.0]))
    assert (found.lower, found.upper) == pytest.approx((-0.501, -0.499))


def test_an_earlier_step_is_already_in_the_interval() -> None:
    interval = Interval(-0.001, 0.001)
    assert after_steps(interval, np.array([0.5, math.nan]), np.array([-5.0, 5.0])) == interval


def test_a_step_seen_just_after_keeps_both_readings() -> None:
    found = after_steps(Interval(-0.001, 0.001), np.array([0.5]), np.array([0.3]))
    assert (found.lower, found.upper) == pytest.approx((-0.501, 0.001))


def test_the_frequency_of_w_is_raws_less_the_rate_of_w() -> None:
    """RAW 12 ppm slow and W held 12 ppm faster than RAW: W keeps UTC's rate."""
    steady = np.arange(10.0, 100.0, 10.0)
    rate = wall_rate(steady, np.full(9, 12.0), np.full(9, 1e-6), np.zeros(9, dtype=np.int64), math.nan)
    assert rate.count == 9
    assert rate.span_s == pytest.approx(90)
    found = wall_frequency(Interval(11.0, 13.0), rate)
    assert (found.lower, found.upper) == pytest.approx((-1 - 1e-6 / 90 * 1e6, 1 + 1e-6 / 90 * 1e6))


def test_rates_before_a_step_and_the_first_after_it_do_not_count() -> None:
    steady = np.arange(10.0, 100.0, 10.0)
    rates = np.where(steady <= 60, 5000.0, 1.0)
    rate = wall_rate(steady, rates, np.full(9, 1e-6), np.arange(9, dtype=np.int64), 55.0)
    assert (rate.count, rate.mean_ppm, rate.since_ns) == (3, 1.0, 6)
    assert wall_rate(steady, rates, np.full(9, 1e-6), np.arange(9, dtype=np.int64), 500.0).count == 0
