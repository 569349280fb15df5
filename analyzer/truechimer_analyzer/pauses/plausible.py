"""Figures that may be added up: what no agent can have measured is read as not told.

Anybody who may write to the store writes what they like; sums of it must stay numbers that JSON can hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_S = 1e9
"""Thirty years."""
MOST_COUNT = 1e15


def seconds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths of time in s: NaN for what is negative, infinite or beyond ``MOST_S``."""
    return _within(values, MOST_S)


def counts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts and sizes: NaN for what is negative, infinite or beyond ``MOST_COUNT``."""
    return _within(values, MOST_COUNT)


def _within(values: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    return np.where((values >= 0) & (values <= most), values, np.nan)
