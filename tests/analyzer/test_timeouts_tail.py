"""The tail's arithmetic: bounds against SciPy and simulation, clusters, monotone points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from truechimer_analyzer.timeouts.clusters import count_clusters
from truechimer_analyzer.timeouts.tail import measure, round_up, upper_exceedance


@given(st.integers(1, 200), st.integers(201, 100_000))
def test_the_upper_bound_is_clopper_pearsons(seen: int, count: int) -> None:
    expected = binomtest(seen, count, alternative="less").proportion_ci(0.95, method="exact").high
    assert upper_exceedance(seen, count) == pytest.approx(expected, rel=1e-9)


@given(st.integers(4, 10**7))
def test_none_seen_leaves_three_in_n(count: int) -> None:
    assert upper_exceedance(0, count) == pytest.approx(3 / count)
    # The rule of three is a little above the exact bound, never below.
    assert upper_exceedance(0, count) >= 1 - 0.05 ** (1 / count)


def test_nothing_measured_supports_nothing() -> None:
    assert upper_exceedance(0, 0) == 1.0
    assert upper_exceedance(5, 5) == 1.0
    assert upper_exceedance(0, 2) == 1.0


def test_the_bound_holds_19_times_in_20() -> None:
    probability, count = 0.002, 3000
    covered = sum(
        binom.pmf(k, count, probability) for k in range(60) if upper_exceedance(k, count) >= probability
    )
    assert covered >= 0.95


def test_exceedances_within_ten_seconds_are_one_cluster() -> None:
    assert count_clusters(np.array([])) == 0
    assert count_clusters(np.array([5.0])) == 1
    assert count_clusters(np.array([100.0, 0.0, 9.0, 18.0, 29.0])) == 3


@given(st.floats(1e-6, 1e4))
def test_a_timeout_is_rounded_up_never_down_and_by_less_than_a_percent(value: float) -> None:
    rounded = round_up(value)
    assert value <= rounded <= value * 1.01001


def tail_of(values: np.ndarray, spacing_s: float = 60.0, paths: int = 1):
    path = np.arange(len(values)) % paths
    times = np.arange(len(values)) * spacing_s
    return measure(values, times, path, np.bincount(path, minlength=paths))


@settings(max_examples=50)
@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=400), st.integers(1, 3))
def test_points_ascend_in_time_and_never_in_their_bound(values: list[float], paths: int) -> None:
    array = np.array(values)
    tail = tail_of(array, paths=paths)
    timeouts = [point.timeout_s for point in tail.points]
    assert timeouts == sorted(set(timeouts))
    uppers = [point.upper for point in tail.points]
    assert uppers == sorted(uppers, reverse=True)
    for point in tail.points:
        assert point.seen == np.count_nonzero(array > point.timeout_s)
        assert point.estimate <= point.upper
        assert point.worst_path >= point.estimate - 1e-12
    last = tail.strictest()
    assert last.timeout_s >= array.max()
    assert last.seen == 0
    assert last.upper == pytest.approx(tail.supported_exceedance)


def test_clusters_of_five_make_the_evidence_worth_a_fifth() -> None:
    """Every 1000 s five slow replies in a row, a second apart, among quick ones."""
    count = 50_000
    values = np.full(count, 0.01)
    slow = (np.arange(count) % 1000) < 5
    values[slow] = np.random.default_rng(1).uniform(0.5, 1.0, int(slow.sum()))
    tail = measure(values, np.arange(count) * 1.0, np.zeros(count, dtype=np.intp), np.array([count]), 0.4)
    assert 1.0 <= tail.cluster_size <= 5.0
    assert tail.n_eff <= count
    point = tail.asked
    assert point is not None
    assert (point.seen, point.clusters) == (250, 50)
    assert point.upper == pytest.approx(upper_exceedance(50, count / 5))
    assert point.upper > upper_exceedance(250, count)


def test_the_advised_point_meets_the_target_and_a_smaller_one_does_not() -> None:
    values = np.random.default_rng(2).exponential(0.01, 100_000)
    tail = tail_of(values)
    target = 0.001
    chosen = tail.smallest(target)
    assert chosen is not None
    assert chosen.upper <= target
    assert np.exp(-chosen.timeout_s / 0.01) <= target
    before = [point for point in tail.points if point.timeout_s < chosen.timeout_s]
    assert before
    assert before[-1].upper > target
    assert tail.smallest(3 / 100_001) is None


def test_a_single_bad_path_is_not_averaged_away() -> None:
    """Nine quick paths and one that is slow in 1 %: the pool looks ten times better than that path."""
    count = 100_000
    values = np.full(count, 0.01)
    values[::1000] = 0.5
    tail = tail_of(values, paths=10)
    chosen = tail.smallest(0.002)
    assert chosen is not None
    assert chosen.timeout_s >= 0.5


@pytest.mark.parametrize(("bursts_per_probe", "gap_s"), [(1e-4, 1.0), (2e-4, 16.0)])
def test_the_bound_holds_for_bursts_that_fill_a_part_of_the_tail(
    bursts_per_probe: float, gap_s: float
) -> None:
    """Bursts of five slow replies beside independent noise, probed each second and each 16 seconds."""
    random = np.random.default_rng(11)
    count, size, repetitions = 40_000, 5, 60
    covered = 0
    for _ in range(repetitions):
        values = np.exp(random.normal(0, 0.3, count)) * 1e-3
        for begin in random.integers(0, count - size, max(3, random.poisson(bursts_per_probe * count))):
            values[begin : begin + size] = np.maximum(
                values[begin : begin + size], random.exponential(0.2) + 0.05
            )
        times, path = np.arange(count) * gap_s, np.zeros(count, dtype=np.intp)
        tail = measure(values, times, path, np.array([count]))
        found = tail.strictest()
        truth = bursts_per_probe * size * np.exp(-max(0.0, found.timeout_s - 0.05) / 0.2)
        covered += truth <= found.upper
    assert covered >= 0.9 * repetitions


def test_any_asked_timeout_is_evaluated_itself() -> None:
    """Shorter than most replies, and longer than all of them."""
    values = np.linspace(0.01, 0.02, 1000)[np.random.default_rng(4).permutation(1000)]
    times, path = np.arange(1000) * 60.0, np.zeros(1000, dtype=np.intp)
    short = measure(values, times, path, np.array([1000]), 0.012).asked
    long = measure(values, times, path, np.array([1000]), 1.0).asked
    assert short is not None
    assert (short.timeout_s, short.seen, short.estimate) == (0.012, 800, 0.8)
    assert short.upper >= 0.8
    assert long is not None
    assert (long.seen, long.upper) == (0, pytest.approx(3 / 1000, rel=0.3))


def test_beyond_the_probes_deadline_every_loss_counts_as_an_exceedance() -> None:
    """Whether a lost one was a late reply nobody knows; up to the deadline it is a true timeout, apart."""
    values = np.linspace(0.01, 1.999, 1000)
    times, path = np.arange(1000) * 60.0, np.zeros(1000, dtype=np.intp)
    every = np.array([1050])
    at = measure(values, times, path, every, 2.0, deadline_s=2.0).asked
    past = measure(values, times, path, every, 3.0, deadline_s=2.0)
    assert at is not None
    assert past.asked is not None
    assert past.asked.seen == at.seen == 0
    assert at.upper == past.supported_exceedance
    assert past.asked.upper >= upper_exceedance(50, 1050)
    assert max(point.timeout_s for point in past.points) <= 2.0


def test_a_refused_target_says_how_many_operations_are_missing() -> None:
    tail = tail_of(np.random.default_rng(1).exponential(0.01, 3000))
    target = tail.supported_exceedance / 4
    assert tail.smallest(target) is None
    assert tail.needed_operations(target) == pytest.approx(3 * 3000, rel=0.01)
    assert tail.needed_operations(tail.supported_exceedance * 1.01) == 0


def test_more_paths_at_once_do_not_make_slow_replies_one_event() -> None:
    """A hundred paths, each probed every second: some reply is slow every second, and by chance."""
    rng = np.random.default_rng(1)
    count = 200_000
    values, path = rng.exponential(0.01, count), np.arange(count) % 100
    tail = measure(values, np.arange(count) / 100, path, np.bincount(path))
    assert tail.cluster_size < 1.6
