"""Sliding means, variances and exponential means against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.detectors import windows

values = st.lists(st.floats(-1e6, 1e6), max_size=80)


@given(values, st.integers(1, 90))
def test_sliding_moments_are_those_of_each_window(some: list[float], window: int) -> None:
    """Each place has the mean and the population variance of the last ``window`` values, computed alone."""
    data = np.array(some)
    means, variances = windows.sliding_moments(data, window)
    only_means = windows.sliding_mean(data, window)
    for end in range(1, len(some) + 1):
        last = some[max(0, end - window) : end]
        middle = math.fsum(last) / len(last)
        spread = math.fsum((x - middle) ** 2 for x in last) / len(last)
        scale = max(abs(x) for x in some)
        assert means[end - 1] == pytest.approx(middle, rel=1e-12, abs=1e-13 * scale + 1e-300)
        assert only_means[end - 1] == pytest.approx(middle, rel=1e-12, abs=1e-13 * scale + 1e-300)
        assert variances[end - 1] == pytest.approx(spread, rel=1e-9, abs=1e-14 * scale**2 + 1e-300)


@given(st.integers(1, 3000), st.integers(1, 1200), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_chunks_join(count: int, window: int, seed: int) -> None:
    """What one block or chunk leaves to the next is what a window that spans them holds."""
    data = np.random.default_rng(seed).normal(size=count)
    means, variances = windows.sliding_moments(data, window)
    for end in {1, len(data) // 3 + 1, min(window + 1, len(data)), len(data)}:
        last = data[max(0, end - window) : end]
        assert means[end - 1] == pytest.approx(last.mean(), abs=1e-13)
        assert variances[end - 1] == pytest.approx(last.var(), abs=1e-12)


def test_many_chunks_join() -> None:
    """The same over the chunks' real size, for windows that divide it and that do not."""
    data = np.random.default_rng(5).exponential(size=150_000)
    for window in (1000, 777, 40_000):
        means, variances = windows.sliding_moments(data, window)
        np.testing.assert_allclose(windows.sliding_mean(data, window), means, rtol=1e-12)
        for end in (window, 32_768, 32_769, 65_000, 100_001, 150_000):
            last = data[max(0, end - window) : end]
            assert means[end - 1] == pytest.approx(last.mean(), rel=1e-12)
            assert variances[end - 1] == pytest.approx(last.var(), rel=1e-11)


def test_an_outlier_leaves_nothing_behind() -> None:
    """An outlier is gone to the last digit a window later, where a running sum keeps its rounding."""
    data = np.random.default_rng(1).normal(1.0, 1e-6, 5000)
    calm = windows.sliding_moments(data, 100)
    data[2000] = 1e12
    means, variances = windows.sliding_moments(data, 100)
    np.testing.assert_allclose(means[2200:], calm[0][2200:], rtol=1e-15)
    np.testing.assert_allclose(variances[2200:], calm[1][2200:], rtol=1e-9)
    summed = np.cumsum(data)
    assert abs((summed[3100] - summed[3000]) / 100 - means[3100]) > 1e-8


@given(st.lists(st.floats(-1e9, 1e9), max_size=60), st.floats(0.01, 0.99), st.floats(-1e9, 1e9))
def test_the_exponential_mean_is_the_scalar_loops_to_the_bit(
    some: list[float], gain: float, before: float
) -> None:
    expected, level = [], before
    for value in some:
        level = gain * value + (1.0 - gain) * level
        expected.append(level)
    assert windows.exponential_mean(np.array(some), gain, before).tolist() == expected
