"""Peaks over a threshold: the fit against SciPy's, the interval's coverage, and what is refused."""

import numpy as np
import pytest
from scipy.stats import genpareto

from truechimer_analyzer.timeouts.extrapolate import (
    ASSUMPTION,
    Extrapolated,
    Peaks,
    Refusal,
    extrapolate,
    peaks_of,
)

COUNT = 20_000
TIMES = np.arange(COUNT) * 1.0


def peaks(shape: float, seed: int = 1, count: int = 150) -> Peaks:
    excess = genpareto.rvs(shape, scale=2.0, size=count, random_state=np.random.default_rng(seed))
    return Peaks(1.0, excess, 0.01, count / 0.01)


@pytest.mark.parametrize("shape", [-0.2, 0.1, 0.6])
def test_the_fit_is_scipys(shape: float) -> None:
    """To a grid's step, by likelihood."""
    found = peaks(shape)
    fitted = found.fit()
    best = genpareto.fit(found.excess_s, floc=0)
    likelihood = genpareto.logpdf(found.excess_s, fitted[0], scale=fitted[1]).sum()
    assert likelihood == pytest.approx(genpareto.logpdf(found.excess_s, *best).sum(), abs=0.02)


def test_the_deviance_is_none_at_the_fit_and_grows_on_both_sides() -> None:
    found = peaks(0.2)
    shape, scale_s = found.fit()
    at_s = 1.0 + genpareto.isf(0.01, shape, scale=scale_s)
    assert found.deviance(at_s, 1e-4) == pytest.approx(0, abs=0.05)
    assert found.deviance(at_s * 2, 1e-4) > found.deviance(at_s * 1.5, 1e-4) > 0.1
    assert found.deviance(at_s * 0.5, 1e-4) > found.deviance(at_s * 0.75, 1e-4) > 0.1


def test_the_bound_covers_where_the_tail_is_of_that_shape() -> None:
    """40 records, the share beyond the threshold drawn as well: expected 38, fewer than 33 once in 400."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        count = rng.binomial(15_000, 0.01)
        excess = genpareto.rvs(0.2, scale=2.0, size=count, random_state=rng)
        found = Peaks(1.0, excess, count / 15_000, 15_000.0).upper_timeout_s(2e-5)
        covered += found >= 1.0 + genpareto.isf(2e-5 / 0.01, 0.2, scale=2.0)
    assert covered >= 33


def test_an_extrapolated_timeout_says_what_it_assumes() -> None:
    rtt_s = 1e-3 * np.exp(np.random.default_rng(1).normal(size=COUNT))
    found = extrapolate(peaks_of(rtt_s, TIMES, COUNT, 10.0, 1.0), 2e-5)
    assert isinstance(found, Extrapolated)
    assert (found.basis, found.assumption) == ("extrapolated", ASSUMPTION)
    assert rtt_s.max() < found.timeout_s < 1.0
    late = extrapolate(peaks_of(rtt_s, TIMES, COUNT, 10.0, 1.0), 2e-5, deadline_s=found.timeout_s / 2)
    assert isinstance(late, Refusal)
    assert "waited" in late.reason


def test_nothing_is_said_past_a_tenth_of_the_evidence() -> None:
    refused = extrapolate(peaks(0.2), 1 / (10 * 15_000) * 0.99)
    assert isinstance(refused, Refusal)
    assert refused.strictest == pytest.approx(1 / 150_000)


def test_a_tail_without_a_mean_is_refused() -> None:
    refused = extrapolate(peaks(1.4), 1e-4)
    assert isinstance(refused, Refusal)
    assert "no mean" in refused.reason


def test_few_peaks_are_refused() -> None:
    rtt_s = np.random.default_rng(1).exponential(size=300)
    assert peaks_of(rtt_s, TIMES[:300], 300, 10.0, 1.0) is None
    assert isinstance(extrapolate(None, 1e-4), Refusal)


def test_two_mechanisms_under_one_fit_are_refused() -> None:
    """Eight pauses of 12 s among quick replies: what the fit says at 1 in 10 n is less than what was seen."""
    rng = np.random.default_rng(1)
    rtt_s = 1e-3 * np.exp(rng.normal(size=COUNT))
    for begin in rng.integers(0, COUNT - 12, 8):
        rtt_s[begin : begin + 12] = np.arange(12.0, 0.0, -1.0)
    found = peaks_of(rtt_s, TIMES, COUNT, 10.0, 1.0)
    assert isinstance(extrapolate(found, 1 / (9 * found.n_eff) if found else 1e-5), Refusal)
