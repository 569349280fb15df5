"""Closed intervals of integer ns, and what a majority of them agrees on.

Sources: K. Marzullo, "Maintaining the Time in a Distributed System" (1984); RFC 5905 section 11.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PPB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """All values v with ``lower_ns`` ≤ v ≤ ``upper_ns``."""

    lower_ns: int
    upper_ns: int

    @property
    def width_ns(self) -> int:
        """Upper − lower."""
        return self.upper_ns - self.lower_ns

    @property
    def middle_ns(self) -> int:
        """The midpoint, rounded down."""
        return (self.lower_ns + self.upper_ns) // 2

    def moved(self, by_ns: int) -> Interval:
        """All values, ``by_ns`` greater."""
        return Interval(self.lower_ns + by_ns, self.upper_ns + by_ns)

    def meets(self, other: Interval) -> bool:
        """Whether both share a point."""
        return self.lower_ns <= other.upper_ns and other.lower_ns <= self.upper_ns


@dataclass(frozen=True, slots=True)
class Drift:
    """Bounds of d(UTC − S)/dS in ppb: the oscillator's frequency error."""

    lower_ppb: int
    upper_ppb: int

    def widened(self, by_ppb: int) -> Drift:
        """As much less certain on either side."""
        return Drift(self.lower_ppb - by_ppb, self.upper_ppb + by_ppb)

    def lower_after(self, lower_ns: int, elapsed_ns: int) -> int:
        """A lower bound ``elapsed_ns`` ≥ 0 later, rounded outwards."""
        return lower_ns + (self.lower_ppb * elapsed_ns) // PPB

    def upper_after(self, upper_ns: int, elapsed_ns: int) -> int:
        """An upper bound ``elapsed_ns`` ≥ 0 later, rounded outwards."""
        return upper_ns - (-self.upper_ppb * elapsed_ns) // PPB

    def age(self, interval: Interval, elapsed_ns: int) -> Interval:
        """An interval ``elapsed_ns`` ≥ 0 later, rounded outwards."""
        return Interval(
            self.lower_after(interval.lower_ns, elapsed_ns), self.upper_after(interval.upper_ns, elapsed_ns)
        )


def agreed(intervals: Sequence[Interval], needed: int) -> Interval | None:
    """The smallest interval that contains every point which lies in at least ``needed`` intervals.

    None when no point does. ``needed`` ≥ 1.
    """
    if needed < 1:
        raise ValueError("at least one interval must hold the point")
    edges = sorted([(i.lower_ns, 0) for i in intervals] + [(i.upper_ns, 1) for i in intervals])
    depth = 0
    lower: int | None = None
    upper = 0
    for at_ns, closes in edges:
        if closes:
            if depth >= needed:
                upper = at_ns
            depth -= 1
        else:
            depth += 1
            if depth >= needed and lower is None:
                lower = at_ns
    return None if lower is None else Interval(lower, upper)


def largest_minority(servers: int) -> int:
    """How many of so many servers may lie with the others still a majority: ⌈n/2⌉ − 1."""
    return max(0, (servers + 1) // 2 - 1)
