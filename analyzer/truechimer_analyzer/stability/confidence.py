"""How far a deviation can be from the clock's own: kind of noise, equivalent degrees of freedom, limits.

C. Greenhall and W. Riley, "Uncertainty of stability variances based on finite differences" (PTTI 2003) for
the degrees of freedom; W. Riley and C. Greenhall, "Power law noise identification using the lag 1
autocorrelation" (EFTF 2004) for the noise. Both are in NIST SP 1065, 5.4 and 5.5. A clock that a daemon
steers is no power law: there the limits are a guide.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95
NOISES = (2, 1, 0, -1, -2)
"""Exponents of power laws of frequency: white and flicker phase, white, flicker and random-walk frequency."""
LEAST_IDENTIFIABLE = 30
_DIFFERENCES = 2


def identify(error_s: Floats, m: int, before: int | None) -> int | None:
    """The exponent (one of ``NOISES``) of the noise of evenly spaced clock errors at ``m`` spacings.

    Never more than ``before``, that of shorter spacings: told from few points, phase noise that is none would
    make the limits far too narrow. None where fewer than 30 points are left, or nothing varies, all along.
    """
    found = _by_correlation(error_s[::m])
    return found if before is None else before if found is None else min(before, found)


def _by_correlation(thinned: Floats) -> int | None:
    if len(thinned) < LEAST_IDENTIFIABLE:
        return None
    at = np.linspace(-1.0, 1.0, len(thinned))
    left = thinned - np.polynomial.polynomial.polyval(at, np.polynomial.polynomial.polyfit(at, thinned, 2))
    for differenced in range(_DIFFERENCES + 1):
        centred = left - left.mean()
        power = float(np.square(centred).sum())
        if power <= 0:
            return None
        r1 = float((centred[1:] * centred[:-1]).sum()) / power
        delta = r1 / (1 + r1)
        if delta < 0.25 or differenced == _DIFFERENCES:
            return max(min(NOISES), min(max(NOISES), 2 - round(2 * delta) - 2 * differenced))
        left = np.diff(left)
    raise AssertionError("the last round returns")


def pooled_edf(lengths: NDArray[np.intp], m: int, noise: int | None, *, modified: bool) -> float:
    """The degrees of freedom of a variance over stretches of ``lengths`` points, weighed by their terms.

    Exact where every stretch has the same true variance. With the noise unknown, the least of all kinds.
    """
    if noise is None:
        return min(pooled_edf(lengths, m, kind, modified=modified) for kind in NOISES)
    sizes, counts = np.unique(lengths, return_counts=True)
    terms = sizes - (3 * m - 1 if modified else 2 * m)
    total = float((counts * terms)[terms > 0].sum())
    spread = sum(
        count * (term / total) ** 2 / edf(size, m, noise, modified=modified)
        for size, count, term in zip(sizes.tolist(), counts.tolist(), terms.tolist(), strict=True)
        if term > 0
    )
    return 1 / spread if spread else 0.0


@functools.lru_cache(maxsize=4096)
def edf(points: int, m: int, noise: int, *, modified: bool) -> float:
    """The degrees of freedom of the overlapping Allan variance of so many clock errors, or the modified one.

    0 where there is no term.
    """
    modified = modified and m > 1  # the two are the same at one spacing
    filtered, step = (1, m) if modified else (m, 1)
    terms = points - 3 * m + 1 if modified else points - 2 * m
    if terms < 1:
        return 0.0
    lags = min(terms, (_DIFFERENCES + 1) * m)
    if noise <= 0 and not modified:
        # A clock is read at an instant: frequency noise reaches it unfiltered (the paper's F → ∞).
        phase = _structure(np.abs(np.arange(-2 * m, lags + 2 * m + 1)) / m, noise + 2)
    else:
        reach = 2 * m + step
        w = _structure(np.abs(np.arange(-reach, lags + reach + 1)) / m, noise)
        phase = filtered**2 * (2 * w[step:-step] - w[: -2 * step] - w[2 * step :])
    z = (
        6 * phase[2 * m : -2 * m]
        - 4 * (phase[m : -3 * m] + phase[3 * m : -m])
        + phase[: -4 * m]
        + phase[4 * m :]
    )
    lag = np.arange(lags + 1)
    weight = np.where((lag == 0) | (lag == lags), 1.0, 2.0) * (1 - lag / terms)
    return float(terms * z[0] ** 2 / np.sum(weight * z**2))


def limits(value: float, degrees: float) -> tuple[float, float]:
    """Two-sided limits (``CONFIDENCE``) of a deviation by chi-squared."""
    beyond = (1 - CONFIDENCE) / 2
    low, high = chdtri(degrees, beyond), chdtri(degrees, 1 - beyond)
    return value * math.sqrt(degrees / low), value * math.sqrt(degrees / high)


def _structure(t: Floats, noise: int) -> Floats:
    """The generalised autocovariance of clock errors with this noise at lag ``t`` ≥ 0, up to a factor."""
    if noise % 2 == 0:
        power = 3 - noise
        return t**power if power % 4 == 3 else -(t**power)
    logarithm = np.log(t, out=np.zeros_like(t), where=t > 0)
    return t**2 * logarithm if noise == 1 else -(t**4) * logarithm
