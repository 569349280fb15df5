"""What the windows of a source say of the whole, whatever became of single pauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.pauses import plausible
from truechimer_analyzer.pauses.missing import Longest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

WINDOW_FIELDS = tuple(field.name for field in MEASUREMENTS["truechimer_pause_window"].fields)


@dataclass(frozen=True, slots=True)
class Told:
    """Sums and extremes over the windows, in s; None for what none of them tells.

    ``recorded_from_s`` is the highest threshold: below it some of the time nothing was recorded.
    """

    count: float
    total_s: float
    longest_s: float | None
    longest_upper_s: float | None
    threshold_s: float | None
    recorded_from_s: float | None
    interval_s: float | None
    worst_lateness_s: float | None
    has_uppers: bool
    longest: Longest


def told_by(windows: Columns, rows: NDArray[np.intp]) -> Told:
    """What those rows of truechimer_pause_window (``WINDOW_FIELDS``) say together."""
    fields = {name: plausible.seconds(windows.fields[name][rows]) for name in WINDOW_FIELDS}
    counts, longest_s = plausible.counts(windows.fields["count"][rows]), fields["max_seconds"]
    paused = counts > 0
    upper_s = fields["max_upper_seconds"]
    # A window without an upper figure of its own saw each of its pauses singly.
    upper_s = np.where(np.isfinite(upper_s), np.fmax(upper_s, longest_s), longest_s)
    return Told(
        count=float(np.nansum(counts)),
        total_s=float(np.nansum(fields["total_seconds"])),
        longest_s=greatest(longest_s[paused]),
        longest_upper_s=greatest(upper_s[paused]),
        threshold_s=_last_finite(fields["threshold_seconds"]),
        recorded_from_s=greatest(fields["threshold_seconds"]),
        interval_s=_last_finite(fields["interval_seconds"]),
        worst_lateness_s=greatest(longest_s),
        has_uppers=bool(np.isfinite(fields["max_upper_seconds"]).any()),
        longest=Longest(windows.time_ns[rows], np.where(paused, longest_s, np.nan)),
    )


def greatest(values: NDArray[np.float64]) -> float | None:
    """The greatest that is told; None when none is."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else None


def _last_finite(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None
