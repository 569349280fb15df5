"""What a node's wall clock did, W − S, while S ran through a span: for certain between two values.

An agent reads its clocks four times a second and tells every 10 s the least and the greatest W − S that it
read, since when, and the longest time between two looks. So W − S in a span lies within the hull of the
summaries that cover it, widened by what W can do between two looks and yet be back: by half of the fastest
slew times the longest gap. That is the kernel's 500 ppm, or as much as the summary itself shows where W was
slewed faster; the 10 % that the kernel allows at most where W was stepped. A step needs no more: the kernel
tells the agent of it at once, which then looks, so that the least or the greatest has it.

Not seen is what was undone before anybody looked: a step and its reverse within a millisecond, or a slew
faster than 500 ppm there and back within one gap. Gaps longer than ``MOST_GAP_S`` (the agent stood still) are
taken as not watched for that reason.
Where nobody looked (the agent was away, a summary got lost) nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.stores import Columns

MOST_GAP_S = 1.0
"""Four looks: whatever delays one for longer leaves its summary without a word on W."""
SLOWEST = 500e-6
FASTEST = 0.1
"""What the kernel slews by at most: by its frequency, and by its tick besides."""
_TOUCH_S = 1e-6
"""S of today in a float is right to a quarter of a microsecond."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Spans of S from ``begin_s`` to ``end_s``, in order, in which W − S stayed within [least, most]."""

    begin_s: Floats
    end_s: Floats
    least_s: Floats
    most_s: Floats

    @classmethod
    def of(cls, clocks: Columns, rows: Indexes) -> Watch:
        """From a node's summaries, of one epoch, ascending in S."""
        fields = clocks.fields
        least_s, most_s = (fields[f"wall_minus_steady_seconds_{end}"][rows] for end in ("min", "max"))
        gap_s, observed_s = fields["gap_seconds_max"][rows], fields["observed_seconds"][rows]
        known = np.isfinite(least_s) & np.isfinite(most_s) & (observed_s >= 0) & (gap_s <= MOST_GAP_S)
        least_s, most_s, gap_s = least_s[known], most_s[known], gap_s[known]
        end_s = fields["steady_seconds"][rows][known]
        begin_s = end_s - observed_s[known]
        slack_s = np.clip(most_s - least_s, SLOWEST, FASTEST) * gap_s / 2
        return cls(begin_s, end_s, least_s - slack_s, most_s + slack_s)

    @property
    def until_s(self) -> float:
        """S up to which W is told; NaN when it never was."""
        return float(self.end_s[-1]) if len(self.end_s) else float("nan")

    def during(self, begin_s: float, end_s: float) -> tuple[float, float] | None:
        """The hull of W − S over a span of S; None where a part of it was not watched."""
        touched = np.flatnonzero((self.begin_s <= end_s + _TOUCH_S) & (self.end_s >= begin_s - _TOUCH_S))
        if not len(touched):
            return None
        first, last = touched[0], touched[-1]
        unbroken = self.begin_s[first + 1 : last + 1] <= self.end_s[first:last] + _TOUCH_S
        if self.begin_s[first] > begin_s or self.end_s[last] < end_s or not unbroken.all():
            return None
        return float(self.least_s[first : last + 1].min()), float(self.most_s[first : last + 1].max())
