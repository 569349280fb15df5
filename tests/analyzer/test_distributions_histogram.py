"""Bucketed delays: exact counts, quantiles within 1 %, merging in any order, what never ended kept."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.distributions import Histogram, histograms
from truechimer_analyzer.distributions.histogram import GAMMA

delays = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e5)), max_size=60)
losses = st.dictionaries(st.sampled_from([0.0, 1.0, 2.0, 5.0]), st.integers(1, 9), max_size=3)
made = st.builds(lambda values, lost: Histogram.of(np.array(values), lost), delays, losses)


def same(one: Histogram, other: Histogram) -> bool:
    return (
        (one.first, one.zero, one.censored) == (other.first, other.zero, other.censored)
    ) and one.counts.tolist() == other.counts.tolist()


@given(made, made, made)
def test_merging_is_associative_and_commutative_and_loses_nothing(a, b, c) -> None:
    assert same(a.merged(b), b.merged(a))
    assert same(a.merged(b).merged(c), a.merged(b.merged(c)))
    assert a.merged(b).total == a.total + b.total
    assert a.merged(b).lost == a.lost + b.lost


@given(delays, delays, losses)
def test_merging_parts_is_counting_the_whole(some, others, lost) -> None:
    whole = Histogram.of(np.array(some + others), lost)
    assert same(Histogram.of(np.array(some)).merged(Histogram.of(np.array(others), lost)), whole)


@given(delays, losses, st.floats(0.001, 1.0))
def test_a_quantile_is_never_below_the_true_one_and_at_most_a_percent_above(values, lost, q) -> None:
    """The lost ones stand behind every delay: the quantile is inf exactly where it reaches into them."""
    seen = Histogram.of(np.array(values), lost)
    if not seen.total:
        assert math.isnan(seen.quantile_s(q))
        return
    every = sorted(values) + [math.inf] * seen.lost
    true = every[min(len(every), max(1, math.ceil(q * len(every) * (1 - 1e-15)))) - 1]
    found = seen.quantile_s(q)
    assert found == true if true in (0.0, math.inf) else true <= found <= true * (1.01 + 1e-12)


@given(delays, losses, st.floats(1e-9, 1e5))
def test_exceedances_are_bracketed_and_a_loss_counts_surely_only_up_to_its_deadline(
    values, lost, timeout_s
) -> None:
    seen = Histogram.of(np.array(values), lost)
    least, most = seen.beyond(timeout_s)
    late = sum(value > timeout_s for value in values)
    surely = sum(count for deadline_s, count in lost.items() if deadline_s >= timeout_s)
    assert least <= late + surely
    assert late + sum(lost.values()) <= most
    near = sum(timeout_s / GAMMA**1.001 <= value <= timeout_s * GAMMA**1.001 for value in values)
    assert most - least <= near + sum(lost.values()) - surely


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), max_size=50))
def test_groups_are_counted_as_if_each_were_alone(rows) -> None:
    values = np.array([value for value, _ in rows])
    group = np.array([index for _, index in rows], dtype=np.intp)
    for index, found in enumerate(histograms(values, group, 4)):
        assert same(found, Histogram.of(values[group == index]))


def test_a_delay_that_never_ended_is_kept_at_infinity() -> None:
    seen = Histogram.of(np.array([1.0, np.inf]))
    assert (seen.total, seen.lost) == (2, 1)
    assert seen.quantile_s(1.0) == math.inf
    assert seen.quantile_s(0.5) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_is_no_delay_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Histogram.of(np.array([value]))
    with pytest.raises(ValueError, match="0 or more"):
        Histogram.of(np.array([1.0]), {1.0: -1})
    with pytest.raises(ValueError, match="quantile"):
        Histogram.of(np.array([1.0])).quantile_s(0.0)
