"""How slow replies come together: the design effect against simulated variances, and the extremal index."""

import numpy as np
import pytest

from truechimer_analyzer.timeouts.clusters import RUN_S, design_effect, extremal_index, run_length_s

SPAN_S = 100_000.0


def random_times(rng: np.random.Generator, count: float) -> np.ndarray:
    return np.sort(rng.uniform(0, SPAN_S, rng.poisson(count)))


@pytest.mark.parametrize("count", [20, 300, 20_000])
def test_random_exceedances_are_each_worth_one_however_many(count: int) -> None:
    """Also where they are so dense that all of them are one run."""
    rng = np.random.default_rng(1)
    effects = [design_effect(random_times(rng, count), RUN_S, SPAN_S) for _ in range(20)]
    assert 1.0 <= np.mean(effects) < 1.25


def test_the_effect_is_what_clusters_do_to_the_variance() -> None:
    """Geometric clusters of 4 on average: the count varies 7 times as much as its mean, not 4 times."""
    rng = np.random.default_rng(2)
    counts, effects = [], []
    for _ in range(200):
        begins = random_times(rng, 100)
        pairs = zip(begins, rng.geometric(0.25, len(begins)), strict=True)
        times = np.sort(np.concatenate([begin + np.arange(size) for begin, size in pairs]))
        counts.append(len(times))
        effects.append(design_effect(times, RUN_S, SPAN_S))
    varies = np.var(counts) / np.mean(counts)
    assert varies == pytest.approx(7, rel=0.25)
    assert np.mean(effects) == pytest.approx(7, rel=0.25)


def test_a_rate_that_changes_slowly_is_no_burst() -> None:
    """Nine in ten of dense exceedances in one half of the record."""
    rng = np.random.default_rng(3)
    times = random_times(rng, 20_000)
    times = times[(times < SPAN_S / 2) | (rng.random(len(times)) < 0.1)]
    assert design_effect(times, RUN_S, SPAN_S) < 1.4


def test_a_short_record_has_the_runs_that_it_shows() -> None:
    """Nothing tells whether twenty slow replies within two seconds of a minute are one event or twenty."""
    assert design_effect(np.arange(20) * 0.1, RUN_S, 60.0) == 20.0


def test_a_chance_pair_among_the_slowest_is_no_burst_and_three_pairs_are() -> None:
    spread = np.arange(7) * 500.0
    assert design_effect(np.sort([*spread, 3.0]), RUN_S, 3600.0) == 1.0
    assert design_effect(np.sort([*spread, 3.0, 503.0, 1003.0]), RUN_S, 3600.0) > 1.5


def test_fewer_than_two_tell_nothing() -> None:
    assert design_effect(np.array([]), RUN_S, SPAN_S) == 1.0
    assert design_effect(np.array([5.0]), RUN_S, SPAN_S) == 1.0
    assert extremal_index(np.array([5])) == 1.0


def test_the_extremal_index_of_a_max_autoregression_is_found() -> None:
    """X_t = max(a X_{t−1}, (1 − a) Z_t) of unit Fréchet Z has θ = 1 − a."""
    rng = np.random.default_rng(4)
    noise = 1 / rng.exponential(size=100_000)
    for a in (0.0, 0.5, 0.75):
        values = (1 - a) * noise
        for at in range(1, len(values)):
            values[at] = max(values[at], a * values[at - 1])
        beyond = np.flatnonzero(values > np.quantile(values, 0.98))
        assert extremal_index(beyond) == pytest.approx(1 - a, abs=0.08)


def test_the_run_length_follows_rare_probes_also_in_a_long_record() -> None:
    for count in (1000, 1_200_000):
        times = np.arange(count) * 5.0
        assert run_length_s(times, np.arange(count) % 4) == pytest.approx(60.0)
        assert run_length_s(times / 100, np.arange(count) % 4) == RUN_S
