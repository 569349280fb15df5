"""ADEV, TDEV and MTIE of a clock's error over time, each with what it rests on.

NIST SP 1065 (Riley 2008) for ADEV and TDEV, ITU-T G.810 for MTIE. All stretches of a record go through at
once: a term counts only where its first and last point are of one stretch, so that nothing spans a gap or
a step, and stretches weigh by their number of terms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.stability.confidence import identify, limits, pooled_edf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.stability.stretches import Stretch

    Floats = NDArray[np.float64]

FACTORS = (1, 2, 3, 6, 12, 30, 60, 120, 180, 360, 720, 1080, 2160, 4320, 8640, 17_280, 43_200, 86_400)
"""τ in spacings: with 10 s round times about an octave apart, 10 s to 10 days."""
LEAST_EDF = 3.0
"""A deviation is given where its evidence is worth so many independent differences."""
LEAST_WINDOWS = 2
"""MTIE at τ is given where windows of τ begin over at least so many τ: a maximum of few is too low."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A deviation at ``tau_s`` from so many (overlapping) ``terms``.

    Of ADEV (no unit) and TDEV (seconds) ``lower`` and ``upper`` are 95 % confidence limits; of MTIE
    (seconds) what the points' own intervals leave possible at the instants measured.
    """

    tau_s: float
    value: float
    lower: float
    upper: float
    terms: int


@dataclass(frozen=True, slots=True)
class Deviations:
    """A record's deviations by ascending τ; without those for which the evidence is too thin."""

    adev: tuple[Estimate, ...]
    tdev: tuple[Estimate, ...]
    mtie: tuple[Estimate, ...]


def deviations(stretches: Sequence[Stretch], spacing_s: float) -> Deviations:
    """The deviations of stretches whose points are ``spacing_s`` apart."""
    if not stretches:
        return Deviations((), (), ())
    record = _join(stretches)
    longest = record.residual_s[record.stretch == int(np.argmax(record.lengths))]
    adev: list[Estimate] = []
    tdev: list[Estimate] = []
    noise: int | None = None
    for m in FACTORS:
        if 2 * m >= len(longest):
            break
        noise = identify(longest, m, noise)
        square, terms = _allan(record, m)
        edf = pooled_edf(record.lengths, m, noise, modified=False)
        if terms and edf >= LEAST_EDF:
            value = math.sqrt(square / 2) / (m * spacing_s)
            adev.append(Estimate(m * spacing_s, value, *limits(value, edf), terms))
        square, terms = _modified(record, m)
        edf = pooled_edf(record.lengths, m, noise, modified=True)
        if terms and edf >= LEAST_EDF:
            value = math.sqrt(square / 6)
            tdev.append(Estimate(m * spacing_s, value, *limits(value, edf), terms))
    return Deviations(tuple(adev), tuple(tdev), tuple(_mtie(record, spacing_s)))


@dataclass(frozen=True, slots=True)
class _Record:
    """Stretches end to end. ``residual_s`` has each one's mean rate taken out by its points' own times.

    ADEV and TDEV are blind to a rate, but not to one that is sampled a little late.
    """

    stretch: NDArray[np.intp]
    lengths: NDArray[np.intp]
    residual_s: Floats
    value_s: Floats
    lower_s: Floats
    upper_s: Floats


def _join(stretches: Sequence[Stretch]) -> _Record:
    lengths = np.array([len(each.value_s) for each in stretches], dtype=np.intp)
    return _Record(
        stretch=np.repeat(np.arange(len(stretches)), lengths),
        lengths=lengths,
        residual_s=np.concatenate([_without_rate(each) for each in stretches]),
        value_s=np.concatenate([each.value_s for each in stretches]),
        lower_s=np.concatenate([each.lower_s for each in stretches]),
        upper_s=np.concatenate([each.upper_s for each in stretches]),
    )


def _without_rate(stretch: Stretch) -> Floats:
    at_s = stretch.steady_s - stretch.steady_s.mean()
    error_s = stretch.value_s - stretch.value_s.mean()
    rate = float((at_s * error_s).sum()) / float(np.square(at_s).sum())
    residual_s: Floats = error_s - rate * at_s
    return residual_s


def _allan(record: _Record, m: int) -> tuple[float, int]:
    """Mean square of the second differences at m spacings, and how many there are."""
    x = record.residual_s
    whole = record.stretch[2 * m :] == record.stretch[: -2 * m]
    differences = (x[2 * m :] - 2 * x[m:-m] + x[: -2 * m])[whole]
    return _mean_square(differences), len(differences)


def _modified(record: _Record, m: int) -> tuple[float, int]:
    """The same of averages over m points."""
    if 3 * m > len(record.residual_s):
        return 0.0, 0
    total = np.concatenate([[0.0], np.cumsum(record.residual_s)])
    whole = record.stretch[3 * m - 1 :] == record.stretch[: len(record.stretch) - 3 * m + 1]
    sums = total[3 * m :] - 3 * total[2 * m : -m] + 3 * total[m : -2 * m] - total[: -3 * m]
    return _mean_square(sums[whole] / m), int(np.count_nonzero(whole))


def _mean_square(values: Floats) -> float:
    # Not by BLAS, whose threads wait for each other on a busy machine: 200 times as long.
    return float(np.square(values).mean()) if len(values) else 0.0


def _mtie(record: _Record, spacing_s: float) -> Iterator[Estimate]:
    """Greatest excursion within any window of m spacings.

    Extremes over windows of powers of two, each made of two of half its size; a window of any size is two
    of those that overlap: O(n) for each doubling.
    """
    points = len(record.value_s)
    extremes = [
        (np.maximum, record.value_s),
        (np.minimum, record.value_s),
        (np.maximum, record.upper_s),
        (np.minimum, record.lower_s),
        (np.maximum, record.lower_s),
        (np.minimum, record.upper_s),
    ]
    width = 1
    for m in FACTORS:
        if m >= int(record.lengths.max()):
            return
        while 2 * width <= m + 1:
            extremes = [(of, of(found[:-width], found[width:])) for of, found in extremes]
            width *= 2
        whole = record.stretch[m:] == record.stretch[:-m]
        windows = int(np.count_nonzero(whole))
        if windows < LEAST_WINDOWS * m:
            continue
        shift = m + 1 - width
        most, least, upper, lower, certain_most, certain_least = (
            of(found[: points - m], found[shift : shift + points - m])[whole] for of, found in extremes
        )
        yield Estimate(
            tau_s=m * spacing_s,
            value=float((most - least).max()),
            lower=max(0.0, float((certain_most - certain_least).max())),
            upper=float((upper - lower).max()),
            terms=windows,
        )
