"""Blocks resampled: intervals that cover where neighbours depend on each other; one seed, one interval."""

import numpy as np
import pytest
from scipy.signal import lfilter

from truechimer_analyzer.distributions import block_bootstrap


def series(rng: np.random.Generator, correlation: float = 0.8, count: int = 600) -> np.ndarray:
    return lfilter([1.0], [1.0, -correlation], rng.normal(size=count))


def covered(block: int) -> int:
    """How often of 100 the mean of a correlated series, 0, lies in its interval."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(100):
        lower, upper = block_bootstrap(series(rng), lambda x: float(x.mean()), block, rng, repetitions=200)
        found += lower <= 0 <= upper
    return found


def test_blocks_cover_where_single_values_do_not() -> None:
    assert covered(40) >= 85
    assert covered(1) <= 65


def test_one_seed_gives_one_interval() -> None:
    values = series(np.random.default_rng(1))
    first, again = (block_bootstrap(values, np.median, 20, np.random.default_rng(2)) for _ in range(2))
    assert first == again
    assert first[0] < np.median(values) < first[1]


@pytest.mark.parametrize("block", [0, 11])
def test_a_block_that_does_not_fit_is_refused(block: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        block_bootstrap(np.zeros(10), np.mean, block, np.random.default_rng(1))
