"""Lengths of pauses of which some are known as sums only, and what may be said of them all the same.

A row stands for one pause, or for ``pauses`` of them that were not seen singly and last ``total_s``
together. Of such a sum only this is known: its mean is no longer than its longest, and no pause of it is
longer than ``cap_s``. So counts and times beyond a length have a lower and an upper figure; they agree
where every pause was seen singly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# (name, quantile, pauses that it takes): at least one lies beyond its own rank.
QUANTILES = (
    ("p50_s", 0.5, 2),
    ("p90_s", 0.9, 10),
    ("p99_s", 0.99, 100),
    ("p999_s", 0.999, 1000),
    ("p9999_s", 0.9999, 10_000),
)
CURVE_POINTS = 60
_HALVINGS = 60
# Of a ratio of lengths, where rounding may fall on either side of a whole number.
_ROUNDING = 1e-9
_SHORTEST_S = 1e-12


@dataclass(frozen=True, slots=True)
class Lengths:
    """Rows of pauses: seconds and counts, one array each, all > 0.

    ``interval_s`` > 0 says that a meter found them by a deadline missed: each is known short by the part of
    the interval that was left when it began, anything from 0 to ``interval_s``. 0: they are whole.
    """

    total_s: NDArray[np.float64]
    pauses: NDArray[np.float64]
    cap_s: NDArray[np.float64]
    interval_s: float = 0.0
    counts_at_most: bool = False
    """The counts of sums are no more than the most: there may be one pause in each."""

    @classmethod
    def of(
        cls,
        total_s: NDArray[np.float64],
        pauses: NDArray[np.float64] | None = None,
        cap_s: float | NDArray[np.float64] = np.inf,
        interval_s: float = 0.0,
        *,
        counts_at_most: bool = False,
    ) -> Lengths:
        """Rows with a cap for sums: no pause is longer than its row's sum, nor than ``cap_s``."""
        counts = np.ones(len(total_s)) if pauses is None else np.maximum(1.0, pauses)
        mean_s = total_s / counts
        cap_s = np.maximum(mean_s, np.minimum(total_s, cap_s))
        return cls(total_s, counts, cap_s, interval_s, counts_at_most)

    @property
    def mean_s(self) -> NDArray[np.float64]:
        """A single pause's length; of a sum its mean, which its longest is no shorter than."""
        return self.total_s / self.pauses

    @property
    def count(self) -> float:
        """How many pauses these are."""
        return float(self.pauses.sum())

    def where(self, kept: NDArray[np.bool_]) -> Lengths:
        """Some of the rows."""
        return replace(self, total_s=self.total_s[kept], pauses=self.pauses[kept], cap_s=self.cap_s[kept])

    def with_sum(self, total_s: float, pauses: float, cap_s: float) -> Lengths:
        """These and one sum more."""
        more = Lengths.of(np.array([total_s]), np.array([pauses]), cap_s)
        return replace(
            self,
            total_s=np.append(self.total_s, more.total_s),
            pauses=np.append(self.pauses, more.pauses),
            cap_s=np.append(self.cap_s, more.cap_s),
        )

    def longest_s(self) -> tuple[float, float] | None:
        """The longest is no shorter than the first and no longer than the second; None without pauses."""
        if not len(self.total_s):
            return None
        return float(self.mean_s.max()), float(self.cap_s.max()) + self.interval_s

    def beyond_s(self, x_s: float) -> float:
        """Σ max(0, length − x): the time in which an arrival has more than ``x_s`` of a pause before it.

        Of pauses that a meter found, the scheduled deadlines that were late by more than ``x_s``, those
        slept through included, times their interval: the part that the meter did not see is made up for
        without bias, because a pause begins anywhere between two deadlines. Of a sum the least that it can
        be (all alike, by convexity).
        """
        single = self.pauses == 1
        left_s = np.maximum(0.0, self.mean_s - x_s)
        if self.interval_s > 0:
            late = np.ceil(left_s / self.interval_s - _ROUNDING)
            left_s = np.where(single, late * self.interval_s, left_s)
        return float((left_s * self.pauses).sum())

    def beyond_upper_s(self, x_s: float) -> float:
        """As :meth:`beyond_s`; of a sum the most: as many as there is room for are as long as the cap."""
        single = self.pauses == 1
        seen = self.where(single).beyond_s(x_s)
        total_s, cap_s = self._whole_s(~single)
        full = np.floor(total_s / cap_s + _ROUNDING)
        rest_s = np.maximum(0.0, total_s - full * cap_s)
        most_s = full * np.maximum(0.0, cap_s - x_s) + np.maximum(0.0, rest_s - x_s)
        return seen + float(most_s.sum())

    def _whole_s(self, sums: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums and caps with all that a meter may not have seen of their pauses."""
        return self.total_s[sums] + self.pauses[sums] * self.interval_s, self.cap_s[sums] + self.interval_s

    def longer_than(self, x_s: float) -> tuple[float, float]:
        """How many pauses are longer than ``x_s``: at least, at most.

        A pause that a meter found may have been longer by up to the interval; a sum holds at least one
        that reaches its mean, and no more than fit into it.
        """
        single = self.pauses == 1
        least = np.count_nonzero(self.mean_s > x_s)
        most = np.count_nonzero(self.total_s[single] + self.interval_s > x_s)
        return float(least), float(most + self._fitting(x_s).sum())

    def _fitting(self, x_s: float) -> NDArray[np.float64]:
        """Of each sum: how many longer than ``x_s`` fit into it."""
        sums = self.pauses > 1
        total_s, cap_s = self._whole_s(sums)
        fitting = self.pauses[sums]
        if x_s > 0:
            fitting = np.minimum(fitting, np.floor(total_s / max(x_s, _SHORTEST_S) + _ROUNDING))
        return np.where(cap_s > x_s, fitting, 0.0)

    def quantiles(self) -> dict[str, float | None]:
        """The ``QUANTILES``, sums taken as pauses of their mean; None where too few support one."""
        order = np.argsort(self.mean_s, kind="stable")
        ascending, ranks = self.mean_s[order], np.cumsum(self.pauses[order])
        found: dict[str, float | None] = {}
        for name, quantile, least in QUANTILES:
            if self.count < least:
                found[name] = None
                continue
            rank = min(len(ascending) - 1, int(np.searchsorted(ranks, quantile * self.count - _ROUNDING)))
            found[name] = float(ascending[rank])
        return found

    def quantiles_upper(self) -> dict[str, float | None]:
        """As long as each quantile may be, whatever the pauses of the sums are."""
        return {
            name: self._upper_quantile(1 - quantile) if self.count >= least else None
            for name, quantile, least in QUANTILES
        }

    def _upper_quantile(self, share: float) -> float:
        low_s, high_s = 0.0, float(self.cap_s.max()) + self.interval_s
        singles = float(np.count_nonzero(self.pauses == 1))
        for _ in range(_HALVINGS):
            middle_s = (low_s + high_s) / 2
            count = self.count
            if self.counts_at_most:
                # The fewest that there may be when as many as can be are that long.
                count = singles + float(np.maximum(1.0, self._fitting(middle_s)).sum())
            if self.longer_than(middle_s)[1] <= share * count + _ROUNDING:
                high_s = middle_s
            else:
                low_s = middle_s
        return high_s

    def curve(self) -> list[dict[str, float]]:
        """At most ``CURVE_POINTS`` of the share of pauses longer than a length; sums as their mean.

        The last point is the longest, drawn at half a pause because the logarithm has no zero.
        """
        if not len(self.total_s):
            return []
        order = np.argsort(-self.mean_s, kind="stable")
        falling, through = self.mean_s[order], np.cumsum(self.pauses[order])
        count = float(through[-1])
        points: list[dict[str, float]] = []
        for beyond in np.geomspace(count, 1.0, CURVE_POINTS - 1):
            row = min(len(falling) - 1, int(np.searchsorted(through, beyond + _ROUNDING, side="right")))
            point = {"exceedance": float(beyond) / count, "duration_s": float(falling[row])}
            if not points or point["duration_s"] > points[-1]["duration_s"]:
                points.append(point)
        return [*points, {"exceedance": 0.5 / count, "duration_s": float(falling[0])}]
