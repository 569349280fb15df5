"""Intervals of any statistic of a series whose neighbours depend on each other: whole blocks resampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def block_bootstrap(
    series: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], float],
    block: int,
    rng: np.random.Generator,
    repetitions: int = 400,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The two-sided percentile interval of ``statistic`` over series made of random blocks of ``series``.

    The circular block bootstrap (Politis and Romano, in Exploring the Limits of Bootstrap, 1992): blocks of
    ``block`` successive values begin anywhere, the end going on at the beginning. Take a block several times
    as long as values depend on each other; with fewer than some ten blocks the interval is too short.
    Raises ValueError for an empty series or a block that is not in 1 … len(series).
    """
    count = len(series)
    if not 1 <= block <= count:
        raise ValueError(f"blocks of {block} do not fit a series of {count}")
    blocks = -(-count // block)
    found = np.empty(repetitions)
    for repetition in range(repetitions):
        begins = rng.integers(0, count, blocks)
        rows = (begins[:, None] + np.arange(block)) % count
        found[repetition] = statistic(series[rows.ravel()[:count]])
    outside = (1 - confidence) / 2
    lower, upper = np.quantile(found, [outside, 1 - outside])
    return float(lower), float(upper)
