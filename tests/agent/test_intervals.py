"""Interval arithmetic against brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.bounds.intervals import PPB, Drift, Interval, agreed, largest_minority

points = st.integers(-50, 50)
intervals = st.builds(lambda a, b: Interval(min(a, b), max(a, b)), points, points)


@given(st.lists(intervals, min_size=1, max_size=9), st.integers(1, 9))
def test_agreed_is_the_hull_of_all_points_in_enough_intervals(given_intervals, needed):
    """Every integer point is counted by hand."""
    deep = [
        v for v in range(-51, 52) if sum(i.lower_ns <= v <= i.upper_ns for i in given_intervals) >= needed
    ]
    found = agreed(given_intervals, needed)
    assert found == (Interval(deep[0], deep[-1]) if deep else None)


def test_agreed_spans_a_gap_between_two_camps():
    """Disjoint A and B inside a wide C: any of them may be right, so the answer covers both."""
    camps = [Interval(0, 10), Interval(90, 100), Interval(0, 100)]
    assert agreed(camps, 2) == Interval(0, 100)


def test_agreed_needs_at_least_one():
    """Nothing is proven by no interval."""
    with pytest.raises(ValueError, match="at least one"):
        agreed([Interval(0, 1)], 0)


@pytest.mark.parametrize(
    ("servers", "liars"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3)]
)
def test_the_largest_minority(servers, liars):
    """⌈n/2⌉ − 1, as the clocks' design states it."""
    assert largest_minority(servers) == liars


@given(
    st.integers(-(10**12), 10**12),
    st.integers(-(10**6), 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**13),
    st.integers(0, 100),
)
def test_ageing_contains_every_allowed_frequency(start_ns, lower_ppb, spread_ppb, elapsed_ns, percent):
    """A value that drifts at any constant rate inside the bounds stays inside the aged interval."""
    drift = Drift(lower_ppb, lower_ppb + spread_ppb)
    rate_ppb = lower_ppb + spread_ppb * percent // 100
    lower = drift.lower_after(start_ns, elapsed_ns)
    upper = drift.upper_after(start_ns, elapsed_ns)
    assert lower * PPB <= start_ns * PPB + rate_ppb * elapsed_ns <= upper * PPB
    assert upper - lower <= spread_ppb * elapsed_ns / PPB + 2
