"""Means and variances of the last w values, and exponential means, of a whole array at once.

A difference of two running sums would carry the rounding of all that ever passed, an outlier of an hour long
after it left the window. Here nothing is ever subtracted again: the array is cut into blocks of w, and a
window is the end of one block and the beginning of the next, whose sums are cumulative from the cut outwards
(van Herk 1992, Gil and Werman 1993, for minima). Variances are of deviations from each block's own centre
and merged as Chan, Golub and LeVeque (1979) do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Values worked on at once, so that they stay in the processor's cache.
_AT_ONCE = 1 << 15


def sliding_mean(values: Floats, window: int) -> Floats:
    """The mean of the last ``window`` values (fewer at the beginning) after each (n,)."""
    if window == 1:
        return values.copy()
    means = np.empty(len(values))
    before = np.zeros((0, window))
    centre = float(np.median(values[:: max(1, len(values) // 1000)])) if len(values) else 0.0
    for begin, some in _blocks(values, window):
        blocks = some - centre
        sums = np.cumsum(blocks, axis=1)
        ends = _ends(before, blocks)
        if len(ends):
            sums[len(sums) - len(ends) :] += ends
        counts = _counts(begin, sums.shape, window)
        sums /= counts
        sums += centre
        end = min(len(values), begin + blocks.size)
        means[begin:end] = sums.ravel()[: end - begin]
        before = blocks[-1:].copy()
    return means


def sliding_moments(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Mean and population variance of the last ``window`` values after each; two arrays (n,)."""
    means, variances = np.empty(len(values)), np.empty(len(values))
    if window == 1:
        return values.copy(), np.zeros(len(values))
    # What the last block of a chunk leaves to the next: its sums from each place to its end, and its centre.
    left: tuple[Floats, Floats, Floats] | None = None
    for begin, some in _blocks(values, window):
        centres = np.median(some[:, :: max(1, window // 9)], axis=1, keepdims=True)
        blocks = some - centres
        squares = blocks * blocks
        head = np.cumsum(blocks, axis=1), np.cumsum(squares, axis=1)
        tail = _from_end(blocks), _from_end(squares)
        counts = np.broadcast_to(np.arange(1.0, window + 1), blocks.shape)
        mean = head[0] / counts
        spread = head[1] - head[0] * mean
        mean += centres
        sums, powers, middles = tail[0][:-1], tail[1][:-1], centres[:-1]
        if left is not None:
            sums, powers = np.concatenate([left[0], sums]), np.concatenate([left[1], powers])
            middles = np.concatenate([left[2], middles])
        _merge(mean, spread, sums, powers, middles)
        spread /= _counts(begin, blocks.shape, window)
        np.maximum(spread, 0.0, out=spread)
        end = min(len(values), begin + blocks.size)
        means[begin:end] = mean.ravel()[: end - begin]
        variances[begin:end] = spread.ravel()[: end - begin]
        left = tail[0][-1:].copy(), tail[1][-1:].copy(), centres[-1:].copy()
    return means, variances


def exponential_mean(values: Floats, gain: float, before: float) -> Floats:
    """``m ← (1 − gain)·m + gain·value`` after each value (n,), from ``before``, rounded alike.

    A loop: in blocks it would round otherwise, so that what is constant would not stay so; and the import of
    a library's filter takes as long as some ten million values.
    """
    kept, mean = 1.0 - gain, before
    return np.array([mean := more + kept * mean for more in (gain * values).tolist()], dtype=np.float64)


def _blocks(values: Floats, window: int) -> Iterator[tuple[int, Floats]]:
    """Some blocks at a time, (some, window), the last filled up with its own last value."""
    step = window * max(1, _AT_ONCE // window)
    for begin in range(0, len(values), step):
        some = values[begin : begin + step]
        missing = -len(some) % window
        if missing:
            some = np.concatenate([some, np.full(missing, some[-1])])
        yield begin, some.reshape(-1, window)


def _from_end(blocks: Floats) -> Floats:
    """From each place to its block's end, the place itself left out: what a window still holds of it."""
    sums = np.zeros_like(blocks)
    np.cumsum(blocks[:, :0:-1], axis=1, out=sums[:, -2::-1])
    return sums


def _ends(before: Floats, blocks: Floats) -> Floats:
    """What each block's windows hold of the block before it; none for the very first block."""
    earlier = np.concatenate([before, blocks[:-1]])
    return _from_end(earlier)


def _counts(begin: int, shape: tuple[int, ...], window: int) -> Floats:
    counts = np.full(shape, float(window))
    if begin == 0:
        counts[0] = np.arange(1.0, window + 1)
    return counts


def _merge(mean: Floats, spread: Floats, sums: Floats, powers: Floats, centres: Floats) -> None:
    """Add to blocks' beginnings (``mean``, sum of squared deviations ``spread``) the ends before them."""
    window = mean.shape[1]
    here = np.arange(1.0, window)
    there = window - here
    rows = slice(len(mean) - len(sums), None)
    if not len(sums):
        return
    other = sums[:, :-1] / there
    other_spread = powers[:, :-1] - sums[:, :-1] * other
    other += centres
    gap = other - mean[rows, :-1]
    spread[rows, :-1] += other_spread + gap * gap * (here * there / window)
    mean[rows, :-1] += gap * (there / window)
