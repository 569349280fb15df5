"""Beyond the longest delay seen: peaks over a threshold, by the generalised Pareto distribution.

Threshold: the slowest ``PEAKS`` clusters, or a ``DEEPEST_SHARE`` of what the evidence is worth where that is
fewer; refused below ``LEAST_PEAKS``. Each cluster counts by its slowest reply, for a few replies of one event
are no peaks of their own; peaks have the tail of all exceedances (Leadbetter, Statistics & Probability
Letters 12, 1991). The bound is on P(X > T) itself: the timeouts that the profile likelihood does not reject
(Davison and Smith, Journal of the Royal Statistical Society B 52, 1990), the share beyond the threshold
included. Nothing is claimed below 1 in 10 · n_eff, and nothing where the shape is 1 or more: such delays have
no mean, and their next record is of any length.

Extrapolation assumes more than counting does: a mechanism that has not shown itself, as a full collection of
12 s, is in no fit. bench/timeouts_coverage.py shows where that fails, so no advice rests on it unless asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from truechimer_analyzer.timeouts.clusters import design_effect, extremal_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

BASIS = "extrapolated"
ASSUMPTION = "assuming no mechanism that has not shown itself"
PEAKS = 150
LEAST_PEAKS = 30
DEEPEST_SHARE = 0.05
# Never past 1 / (10 · n_eff).
REACH = 10.0
LARGEST_SHAPE = 1.0
# One-sided 95 %: the two-sided 90 % of a parameter.
_REJECTED = float(chi2.ppf(0.90, 1))
_RATIOS = 150
_SHARES = 25
_HALVINGS = 50
_FARTHEST = 1e6


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is extrapolated; ``strictest`` is the least probability that would be, if any."""

    reason: str
    strictest: float | None = None


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """A timeout that is exceeded with at most ``target`` per operation, at 95 %, under ``assumption``."""

    timeout_s: float
    target: float
    shape: float
    peaks: int
    basis: str = BASIS
    assumption: str = ASSUMPTION


@dataclass(frozen=True, slots=True)
class Peaks:
    """Excesses (s, > 0) of independent peaks over ``threshold_s``, which a ``share`` of ``n_eff`` exceeds."""

    threshold_s: float
    excess_s: NDArray[np.float64]
    share: float
    n_eff: float

    @property
    def longest_s(self) -> float:
        """The longest delay seen."""
        return self.threshold_s + float(self.excess_s.max())

    def fit(self) -> tuple[float, float]:
        """Shape ξ and scale σ (s) of the greatest likelihood."""
        ratio, logs = self._ratios()
        shape = logs / len(self.excess_s)
        best = int(np.argmax(self._likelihood(ratio, logs, shape)))
        return float(shape[best]), float(shape[best] / ratio[best])

    def deviance(self, timeout_s: float, probability: float) -> float:
        """How much worse than the best fit P(X > timeout_s) = probability fits: 2 · Δ log likelihood.

        Profiled over the shape and the share beyond the threshold, on a grid. ``timeout_s`` lies above it.
        """
        ratio, logs = self._ratios()
        best = self._likelihood(ratio, logs, logs / len(self.excess_s)).max()
        count = self.share * self.n_eff
        spread = 4 / math.sqrt(count)
        shares = self.share * np.exp(np.linspace(-spread, spread, _SHARES))
        shares = shares[(shares > probability) & (shares < 1)]
        if not len(shares):
            return math.inf
        of_share = _binomial(count, self.n_eff, shares) - _binomial(count, self.n_eff, np.array([self.share]))
        past = np.log1p(np.maximum(ratio * (timeout_s - self.threshold_s), -1 + 1e-15))
        # P = share · (1 + ratio · t)^(−1/ξ) gives the shape that a ratio needs.
        shape = past[:, None] / np.log(shares / probability)
        fits = self._likelihood(ratio[:, None], logs[:, None], shape)
        fits = np.where(ratio[:, None] * (timeout_s - self.threshold_s) > -1, fits, -np.inf)
        return float(2 * (best - (fits + of_share).max()))

    def upper_timeout_s(self, probability: float) -> float:
        """The longest timeout that ``probability`` may exceed, at one-sided 95 %; inf where any may."""
        shape, scale_s = self.fit()
        if probability >= self.share:
            raise ValueError(
                f"{probability:g} lies below the threshold, which a share of {self.share:g} exceeds"
            )
        grown = math.expm1(shape * math.log(self.share / probability)) / shape
        kept = max(scale_s * grown, 1e-12)
        rejected = kept
        while self.deviance(self.threshold_s + rejected, probability) <= _REJECTED:
            kept, rejected = rejected, 2 * rejected
            if rejected > _FARTHEST:
                return math.inf
        for _ in range(_HALVINGS):
            middle = math.sqrt(kept * rejected)
            if rejected / kept < 1.001:
                break
            if self.deviance(self.threshold_s + middle, probability) <= _REJECTED:
                kept = middle
            else:
                rejected = middle
        return self.threshold_s + rejected

    def _ratios(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A grid of ξ/σ, and Σ log(1 + ξ/σ · excess) at each."""
        half = float(np.median(self.excess_s))
        positive = np.geomspace(1e-3, 30.0, _RATIOS) / half
        negative = -np.geomspace(1e-3, 0.98, _RATIOS // 3) / float(self.excess_s.max())
        ratio = np.concatenate([negative, positive])
        return ratio, np.log1p(ratio[:, None] * self.excess_s).sum(axis=1)

    def _likelihood(
        self, ratio: NDArray[np.float64], logs: NDArray[np.float64], shape: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Log likelihood, −inf where shape and ratio do not go together; shapes below −0.5 are irregular."""
        scale_s = shape / ratio
        usable = (scale_s > 0) & (shape > -0.5)
        scale_s, kept = np.where(usable, scale_s, 1.0), np.where(usable, shape, 1.0)
        found = -len(self.excess_s) * np.log(scale_s) - (1 + 1 / kept) * logs
        return np.where(usable, found, -np.inf)


def _binomial(count: float, n_eff: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return count * np.log(shares) + (n_eff - count) * np.log1p(-shares)


def peaks_of(
    rtt_s: NDArray[np.float64],
    time_s: NDArray[np.float64],
    operations: int,
    run_s: float,
    cluster_size: float,
) -> Peaks | None:
    """The peaks of replies in time order; None where fewer than ``LEAST_PEAKS`` are independent.

    ``cluster_size`` is the design effect of the tail; the extremal index counts instead where it says that
    replies come together more closely than that.
    """
    n_eff = operations / cluster_size
    wanted = int(min(PEAKS, DEEPEST_SHARE * n_eff) * cluster_size)
    if wanted < LEAST_PEAKS or wanted >= len(rtt_s):
        return None
    threshold_s = float(np.partition(rtt_s, len(rtt_s) - 1 - wanted)[len(rtt_s) - 1 - wanted])
    slow = np.flatnonzero(rtt_s > threshold_s)
    if len(slow) < LEAST_PEAKS:
        return None
    begins = np.flatnonzero(np.diff(time_s[slow], prepend=-np.inf) > run_s)
    excess_s = np.maximum.reduceat(rtt_s[slow], begins) - threshold_s
    span_s = float(time_s[-1] - time_s[0])
    effect = max(
        cluster_size, design_effect(time_s[slow], run_s, span_s), 1 / max(extremal_index(slow), 1e-9)
    )
    if min(len(begins), len(slow) / effect) < LEAST_PEAKS:
        return None
    return Peaks(threshold_s, excess_s, len(slow) / operations, operations / effect)


def extrapolate(
    peaks: Peaks | None, target: float, deadline_s: float | None = None
) -> Extrapolated | Refusal:
    """The timeout for a probability per operation, or why there is none.

    ``deadline_s`` is how long the probes waited: nothing is said of longer timeouts.
    """
    if peaks is None:
        return Refusal(f"fewer than {LEAST_PEAKS} independent peaks: too few to tell the shape of the tail")
    shape, _ = peaks.fit()
    if shape >= LARGEST_SHAPE:
        return Refusal(f"the tail's shape is {shape:.2f}: such delays have no mean, and no bound on the next")
    strictest = 1 / (REACH * peaks.n_eff)
    if target < strictest:
        return Refusal(
            f"{target:.3g} is further than a tenth of what {peaks.n_eff:.0f} independent operations show",
            strictest,
        )
    if target >= peaks.share:
        return Refusal(
            f"a share of {peaks.share:.3g} lies beyond the threshold: count instead of extrapolating"
        )
    timeout_s = peaks.upper_timeout_s(target)
    if not math.isfinite(timeout_s):
        return Refusal("the fit leaves the timeout open upwards: any length may be exceeded that often")
    if timeout_s < peaks.longest_s:
        return Refusal(
            f"the fit says {timeout_s:.3g} s, and {peaks.longest_s:.3g} s were seen: two mechanisms, one fit"
        )
    if deadline_s is not None and timeout_s > deadline_s:
        return Refusal(f"it takes {timeout_s:.3g} s, and no probe waited longer than {deadline_s:g} s")
    return Extrapolated(timeout_s, target, shape, len(peaks.excess_s))
