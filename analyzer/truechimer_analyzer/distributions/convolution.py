"""Sums of independent delays: path, pauses of either end, a disk. Never by adding percentiles.

Each component lies on a grid of equal steps, rounded upwards, with an atom at 0 (mostly nothing pauses) and
what never ends at +∞. So a sum is never shorter than the truth, and longer by less than a step a component.
Independence is the caller's claim: of components that come from the same hosts at the same time, replay them
jointly instead; and a round trip timed in user space already contains the pauses of who timed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.distributions.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Component:
    """Probabilities: ``mass[k]`` of a delay of ``k · step_s``, ``endless`` of one that never ends; sum 1."""

    step_s: float
    mass: NDArray[np.float64]
    endless: float = 0.0

    @classmethod
    def of(
        cls,
        delays_s: NDArray[np.float64],
        step_s: float,
        longest_s: float,
        *,
        counts: NDArray[np.float64] | None = None,
        quiet: float = 0.0,
        lost: float = 0.0,
    ) -> Component:
        """From delays, each seen ``counts`` times (once unless told), ``quiet`` that were 0 and ``lost``.

        What is longer than ``longest_s``, inf too, counts as endless: upwards. Raises ValueError for nothing,
        a delay or a count below 0, or a step that is not above 0.
        """
        counts = np.ones(len(delays_s)) if counts is None else counts
        if not (delays_s >= 0).all() or not (counts >= 0).all() or min(quiet, lost) < 0 or not step_s > 0:
            raise ValueError("delays and counts are 0 or more, and the step of a grid is above 0")
        total = float(counts.sum()) + quiet + lost
        if not total > 0:
            raise ValueError("no delay, so no distribution")
        kept = delays_s <= longest_s
        steps = np.ceil(delays_s[kept] / step_s).astype(np.intp)
        # A quotient may be rounded down to the step below the delay.
        steps += steps * step_s < delays_s[kept]
        mass = np.bincount(steps, weights=counts[kept], minlength=1)
        mass[0] += quiet
        return cls(step_s, mass / total, (lost + float(counts[~kept].sum())) / total)

    @classmethod
    def of_histogram(cls, seen: Histogram, step_s: float, longest_s: float) -> Component:
        """From a histogram: each bucket by its upper edge, what was lost as endless."""
        counts = seen.counts.astype(np.float64)
        return cls.of(seen.edges_s, step_s, longest_s, counts=counts, quiet=seen.zero, lost=seen.lost)

    def beyond(self, timeout_s: float) -> float:
        """The probability of taking longer than ``timeout_s``, or for ever."""
        after = np.arange(len(self.mass)) * self.step_s > timeout_s
        return float(self.mass[after].sum()) + self.endless

    def quantile_s(self, q: float) -> float:
        """The smallest multiple of the step that a share ``q`` keeps within; inf where none does."""
        within = np.cumsum(self.mass)
        at = int(np.searchsorted(within, q - 1e-12))
        return at * self.step_s if at < len(within) else np.inf


def convolve(components: Sequence[Component], longest_s: float) -> Component:
    """The sum of independent components of one step; sums longer than ``longest_s`` count as endless.

    Raises ValueError without components, or where their steps differ.
    """
    if len({each.step_s for each in components}) != 1:
        raise ValueError("components are convolved on one grid: give all the same step")
    return reduce(lambda one, other: _pair(one, other, longest_s), components)


def _pair(one: Component, other: Component, longest_s: float) -> Component:
    # By its definition, not by Fourier: no term is negative, so a mass of 1e-12 is right to its last digits.
    mass = np.convolve(one.mass, other.mass)
    kept = int(longest_s / one.step_s) + 1
    cut = float(mass[kept:].sum())
    endless = one.endless + other.endless - one.endless * other.endless + cut
    return Component(one.step_s, mass[:kept], endless)
