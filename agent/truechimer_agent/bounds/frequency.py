"""The oscillator's frequency error, bounded from the majority's own intervals.

d(UTC − S)/dS is taken to lie within ±``max_drift_ppm`` until it has been measured. Two intervals at s_i
and s_j bound its mean between them; the bound holds on for the future once widened by the wander.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.bounds.intervals import PPB, Drift, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = 64
LEAST_SPACING_NS = 2_000_000_000
MOST_SPACING_NS = 64_000_000_000
"""Points stand closer while there are few; a window of KEPT such spacings is the longest."""
LONGEST_NS = KEPT * MOST_SPACING_NS


@dataclass(frozen=True, slots=True)
class _Point:
    steady_ns: int
    interval: Interval


class Frequency:
    """The hull of what the kept intervals allow, widened by the wander.

    ``wander_ppb`` bounds the peak-to-peak change over window and horizon. The margin grows with the time
    since the last measurement, by as much again for every window that has passed.
    """

    def __init__(self, max_drift_ppb: int, wander_ppb: int) -> None:
        self._max_ppb = max_drift_ppb
        self._wander_ppb = wander_ppb
        self._points: list[_Point] = []
        self._spacing_ns = LEAST_SPACING_NS
        self._hull: tuple[int, int] | None = None

    def forget(self) -> None:
        """Begin anew: another epoch of S."""
        self._points.clear()
        self._spacing_ns = LEAST_SPACING_NS
        self._hull = None

    def move(self, by_ns: int) -> None:
        """A leap second: UTC's label is ``by_ns`` later from now on."""
        self._points = [_Point(point.steady_ns, point.interval.moved(by_ns)) for point in self._points]

    def add(self, steady_ns: int, interval: Interval) -> None:
        """Take the majority's interval of UTC − S at S = ``steady_ns``."""
        if self._points and steady_ns - self._points[-1].steady_ns < self._spacing_ns:
            return
        if len(self._points) >= KEPT:
            self._make_room()
        old = 0
        while len(self._points) - old > 2 and steady_ns - self._points[old].steady_ns > LONGEST_NS:
            old += 1
        if old:
            del self._points[:old]
            self._work_out()
        point = _Point(steady_ns, interval)
        if self._points:
            self._hull = self._narrowed(self._hull or (-self._max_ppb, self._max_ppb), point, self._points)
        self._points.append(point)

    def _make_room(self) -> None:
        if self._spacing_ns < MOST_SPACING_NS:
            del self._points[1::2]
            self._spacing_ns *= 2
        else:
            del self._points[0]
        self._work_out()

    def _work_out(self) -> None:
        self._hull = (-self._max_ppb, self._max_ppb)
        for late in range(1, len(self._points)):
            self._hull = self._narrowed(self._hull, self._points[late], self._points[:late])

    @staticmethod
    def _narrowed(hull: tuple[int, int], newer: _Point, older_ones: Sequence[_Point]) -> tuple[int, int]:
        """The hull after every pair of ``newer`` with an older point; empty when lower > upper."""
        lower, upper = hull
        for older in older_ones:
            span_ns = newer.steady_ns - older.steady_ns
            least = (newer.interval.lower_ns - older.interval.upper_ns) * PPB // span_ns
            most = -((older.interval.lower_ns - newer.interval.upper_ns) * PPB // span_ns)
            lower = max(lower, least)
            upper = min(upper, most)
        return lower, upper

    def at(self, steady_ns: int) -> Drift:
        """The bound that holds for ageing up to S = ``steady_ns``."""
        if self._hull is None:
            return Drift(-self._max_ppb, self._max_ppb)
        lower, upper = self._hull
        newest = self._points[-1].steady_ns
        window_ns = max(newest - self._points[0].steady_ns, 1)
        windows = 1 + max(0, steady_ns - newest) // window_ns
        # A window longer than the longest is one with a gap: the frequency wandered all the while.
        wander_ppb = self._wander_ppb * max(1, -(-window_ns // LONGEST_NS))
        margin = max(wander_ppb, lower - upper) * windows
        lower, upper = min(lower, upper) - margin, max(lower, upper) + margin
        return Drift(max(lower, -self._max_ppb), min(upper, self._max_ppb))
