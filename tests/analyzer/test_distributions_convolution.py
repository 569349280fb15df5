"""Sums of independent delays: never shorter than the truth, and longer by less than a step a component."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.distributions import Component, Histogram, convolve

STEP_S = 0.01
values = st.lists(st.one_of(st.just(0.0), st.floats(1e-4, 1.0)), min_size=1, max_size=7)
lists = st.lists(st.tuples(values, st.integers(0, 2)), min_size=1, max_size=3)


@settings(max_examples=80)
@given(lists, st.floats(0, 3))
def test_the_sum_dominates_the_exact_one_within_a_step_a_component(parts, timeout_s) -> None:
    """Held against every combination; a lost one makes every sum with it endless."""
    components = [Component.of(np.array(some), STEP_S, 5.0, lost=lost) for some, lost in parts]
    found = convolve(components, 20.0)
    exact = np.array([sum(each) for each in product(*(some + [math.inf] * lost for some, lost in parts))])
    slack_s = len(parts) * STEP_S
    assert found.beyond(timeout_s) >= np.mean(exact > timeout_s + 1e-9) - 1e-12
    assert found.beyond(timeout_s + slack_s) <= np.mean(exact > timeout_s - 1e-9) + 1e-12
    assert found.mass.sum() + found.endless == pytest.approx(1.0)
    assert found.endless == pytest.approx(np.mean(np.isinf(exact)))


def test_percentiles_do_not_add() -> None:
    """Two components that are rarely slow are rarely slow together: p99 of the sum is not the sum of p99s."""
    one = Component.of(np.array([1.0]), STEP_S, 5.0, counts=np.array([2.0]), quiet=98.0)
    both = convolve([one, one], 5.0)
    assert one.quantile_s(0.99) == 1.0
    assert both.quantile_s(0.99) == 1.0
    assert both.beyond(1.0) == pytest.approx(0.02**2)
    assert both.mass[0] == pytest.approx(0.98**2)


def test_sums_beyond_the_grid_and_losses_are_mass_at_infinity() -> None:
    one = Component.of(np.array([0.5, 3.0, np.inf]), STEP_S, 2.0, lost=1)
    assert one.endless == pytest.approx(0.75)
    both = convolve([one, one], 0.9)
    assert both.endless == pytest.approx(1.0)
    assert both.quantile_s(0.5) == math.inf


@given(values, st.integers(0, 3))
def test_a_histogram_convolves_a_percent_and_a_step_upwards(some, lost) -> None:
    seen = Component.of_histogram(Histogram.of(np.array(some), {1.0: lost}), STEP_S, 5.0)
    exact = np.array(some + [math.inf] * lost)
    for timeout_s in (0.0, 0.05, 0.5, 1.0):
        assert seen.beyond(timeout_s) >= np.mean(exact > timeout_s) - 1e-12
        assert seen.beyond(timeout_s * 1.0101 + STEP_S) <= np.mean(exact > timeout_s) + 1e-12


def test_what_makes_no_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Component.of(np.array([-1.0]), STEP_S, 5.0)
    with pytest.raises(ValueError, match="no delay"):
        Component.of(np.array([]), STEP_S, 5.0)
    coarse = Component.of(np.array([1.0]), 0.1, 5.0)
    with pytest.raises(ValueError, match="same step"):
        convolve([coarse, Component.of(np.array([1.0]), STEP_S, 5.0)], 5.0)
