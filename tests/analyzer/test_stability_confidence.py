"""Kinds of noise, degrees of freedom, limits: against allantools and against simulation."""

import json
from pathlib import Path

import numpy as np
import pytest

from truechimer_analyzer.stability.confidence import NOISES, edf, identify, limits, pooled_edf

TABLE = json.loads(Path(__file__).with_name("allantools_table.json").read_text())


@pytest.mark.parametrize(("points", "m", "noise", "modified", "wanted"), TABLE["edf"])
def test_degrees_of_freedom_are_those_of_greenhall_and_riley(
    points: int, m: int, noise: int, modified: bool, wanted: float
) -> None:
    """As allantools computes them where it does not approximate.

    Under frequency noise it takes clock errors for averages over the spacing: not the same at few spacings.
    """
    sampled = noise <= 0 and (m == 1 or not modified)
    tolerance = 1e-6 if not sampled else 0.3 if m == 1 else 0.1
    assert edf(points, m, noise, modified=modified) == pytest.approx(wanted, rel=tolerance)


@pytest.mark.parametrize("points", [31, 1001])
def test_white_frequency_noise_at_one_spacing_has_two_thirds_of_its_terms(points: int) -> None:
    """Neighbouring second differences of a random walk correlate by −½: 1 / (1 + 2 · ¼)."""
    assert edf(points, 1, 0, modified=False) == pytest.approx(2 / 3 * (points - 2), rel=0.02)


def test_no_term_is_no_freedom() -> None:
    assert edf(20, 10, 0, modified=False) == 0
    assert edf(21, 10, 0, modified=False) > 0
    assert edf(29, 10, 0, modified=True) == 0
    assert edf(30, 10, 0, modified=True) > 0


@pytest.mark.parametrize("noise", [2, 0, -2])
@pytest.mark.parametrize("modified", [False, True])
def test_long_averages_keep_their_freedom(noise: int, modified: bool) -> None:
    """The same number of τ in the record: nearly the same freedom, however finely it is sampled."""
    coarse, fine = edf(1001, 100, noise, modified=modified), edf(100_001, 10_000, noise, modified=modified)
    if noise == 2 and not modified:
        # Each term of white phase noise is of three points of its own: those grow with the sampling.
        assert fine == pytest.approx(100 * coarse, rel=0.01)
    else:
        assert fine == pytest.approx(coarse, rel=0.02)


def test_equal_stretches_add_their_freedom_and_unknown_noise_is_the_worst() -> None:
    one = edf(100, 3, 0, modified=False)
    assert pooled_edf(np.array([100, 100, 100]), 3, 0, modified=False) == pytest.approx(3 * one)
    assert pooled_edf(np.array([100, 5]), 3, 0, modified=False) == pytest.approx(one)
    worst = min(edf(100, 3, noise, modified=False) for noise in NOISES)
    assert pooled_edf(np.array([100]), 3, None, modified=False) == pytest.approx(worst)
    assert pooled_edf(np.array([5]), 3, 0, modified=False) == 0


@pytest.mark.parametrize(("summed", "noise"), [(0, 2), (1, 0), (2, -2)])
@pytest.mark.parametrize("m", [1, 4])
def test_noise_is_told_by_its_correlation(summed: int, noise: int, m: int) -> None:
    """White phase, white frequency and random-walk frequency, also under an offset and a drift."""
    value_s = np.random.default_rng(3).normal(0, 1, 4000)
    for _ in range(summed):
        value_s = np.cumsum(value_s)
    at_s = np.arange(4000.0)
    assert identify(value_s, m, None) == noise
    assert identify(value_s + 7 + 0.01 * at_s + 1e-6 * at_s**2, m, None) == noise


def test_too_few_points_or_no_variation_tell_no_noise() -> None:
    """Nor is noise told to be whiter than at shorter τ."""
    assert identify(np.arange(29.0), 1, -1) == -1
    assert identify(np.zeros(100), 1, None) is None
    assert identify(np.random.default_rng(3).normal(0, 1, 100), 1, 0) == 0


def test_limits_are_those_of_chi_squared() -> None:
    """Ten degrees: 20.483 and 3.247 are the quantiles of any table."""
    lower, upper = limits(2.0, 10)
    assert lower == pytest.approx(2 * (10 / 20.483) ** 0.5, rel=1e-4)
    assert upper == pytest.approx(2 * (10 / 3.247) ** 0.5, rel=1e-4)
