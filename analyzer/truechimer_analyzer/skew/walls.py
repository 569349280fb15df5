"""What a node's wall clock did, W − S, while S ran through a span: for certain between two values.

An agent reads its clocks four times a second and tells every 10 s the least and the greatest W − S that it
read. Summaries follow each other without a gap: each begins with the reading that the last one ended with.
So W − S in a span lies within the hull of all summaries that touch the span, widened by what W can do
between two readings and yet be back: by half of the fastest slew times the time between them. That is the
kernel's 500 ppm, or as much as the summary itself shows where W was slewed faster; the 10 % that the kernel
allows at most where W was stepped. A step needs no more: the kernel tells the agent of it at once, which then
reads, so that the least or the greatest has it. (Two steps within that millisecond are one to it.)

Where nobody looked (the agent was away, a summary got lost) nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.stores import Columns

LOOK_S = 0.25
SUMMARY_S = 10.0
UNBROKEN_S = 12.0
"""Summaries that end so far apart, and no start of the agent between them, are of one unbroken watch."""
WATCHED_S = 9.5
"""A summary is of forty readings: behind a gap it reaches back so far at least."""
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
    def of(cls, clocks: Columns, rows: Indexes, events: Columns, starts: Indexes) -> Watch:
        """From a node's summaries and its agent's starts, of one epoch, ascending in S."""
        fields = clocks.fields
        least_s, most_s = (fields[f"wall_minus_steady_seconds_{end}"][rows] for end in ("min", "max"))
        known = np.isfinite(least_s) & np.isfinite(most_s)
        rows, least_s, most_s = rows[known], least_s[known], most_s[known]
        end_s = fields["steady_seconds"][rows]
        width_s = np.nan_to_num(fields["read_width_seconds"][rows])
        before_s = np.concatenate((end_s[:1], end_s[:-1]))
        # Of the first nobody knows whether its epoch began within it.
        begin_s = np.where(end_s - before_s <= UNBROKEN_S, before_s, end_s - WATCHED_S)
        started_s = events.fields["steady_seconds"][starts]
        last = np.searchsorted(started_s, end_s, side="right") - 1
        if len(started_s):
            began_s = np.where(last >= 0, started_s[np.maximum(last, 0)], -np.inf)
            begin_s = np.minimum(np.maximum(begin_s, began_s), end_s)
        unseen_s = (LOOK_S + np.maximum(0.0, end_s - begin_s - SUMMARY_S)) / 2
        slew = np.clip(most_s - least_s, SLOWEST, FASTEST)
        slack_s = slew * unseen_s + np.maximum(width_s, np.concatenate((width_s[:1], width_s[:-1])))
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
