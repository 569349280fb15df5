"""When probes are due: soon, spread, on a grid, and never twice for a beat that was slept through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.probes.schedule import first_due_s, grid_start_s, next_due_s, phase, spread

starts = st.floats(0, 1e6)
intervals = st.floats(0.01, 3600)
shares = st.floats(0, 1, exclude_max=True)


@given(st.text())
def test_a_phase_is_a_fraction_and_does_not_change(name):
    """Any name has the same phase each time, 0 to below 1."""
    assert 0 <= phase(name) < 1
    assert phase(name) == phase(name)


@given(st.sets(st.text(max_size=8), min_size=1, max_size=60))
def test_two_at_most_share_a_wake_and_wakes_are_even(names):
    """The same for the same names, whatever their order."""
    shares = spread(names)
    assert set(shares) == names
    assert shares == spread(sorted(names, reverse=True))
    used = sorted(shares.values())
    assert all(used.count(share) <= 2 for share in used)
    wakes = sorted(set(used))
    assert wakes == pytest.approx([number / len(wakes) for number in range(len(wakes))])
    assert len(wakes) == (len(names) + 1) // 2


@given(starts)
def test_the_beat_begins_beside_the_others_grid(now_s):
    """A quarter of a second at most before now, 5 ms after a beat of the runner."""
    begun_s = grid_start_s(now_s)
    assert now_s - 0.25 < begun_s <= now_s + 0.005 + 1e-9


def test_names_are_spread():
    """Over many names each tenth of the interval gets about a tenth of them."""
    phases = [phase(f"db-{number}") for number in range(1000)]
    for tenth in range(10):
        assert 60 < sum(tenth / 10 <= share < (tenth + 1) / 10 for share in phases) < 140


@given(starts, intervals, shares)
def test_the_first_comes_within_a_second(start_s, interval_s, share):
    """Whatever the interval."""
    assert start_s <= first_due_s(start_s, interval_s, share) < start_s + min(1, interval_s) + 1e-6


@given(starts, intervals, shares, st.floats(0, 1e5))
def test_the_next_is_on_the_grid_and_half_to_one_and_a_half_intervals_ahead(
    start_s, interval_s, share, later_s
):
    """However late it is asked: beats are left out, never made up for."""
    now_s = start_s + later_s
    due_s = next_due_s(start_s, interval_s, share, now_s)
    slack_s = 1e-6 * max(1, interval_s)
    assert now_s + interval_s / 2 - slack_s <= due_s <= now_s + 1.5 * interval_s + slack_s
    beats = (due_s - start_s) / interval_s - share
    assert beats == pytest.approx(round(beats), abs=1e-4)
