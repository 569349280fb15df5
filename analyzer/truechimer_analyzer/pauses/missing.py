"""Pauses that the windows count and no row tells of: too short for one, or lost on the way.

A window says how long its longest was. Where no row near it is that long, a row is missing: it was lost, or
lies before what was asked for. Of what is missing then no more is known than of the longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Looks come later than what they see, and stamps differ by what their clock was corrected by.
EDGE_NS = NS
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Longest:
    """Of windows in any order: their ends (Unix ns) and their longest pause in s, NaN where none is told."""

    end_ns: NDArray[np.int64]
    longest_s: NDArray[np.float64]


def is_row_lost(
    windows: Longest, begin_ns: NDArray[np.int64], total_s: NDArray[np.float64], recorded_from_s: float
) -> bool:
    """Whether a window tells of a longer pause than any row that ended near it, of those to be recorded.

    ``begin_ns`` and ``total_s``: the rows. One within ``EDGE_NS`` of the edge of a window may be of either.
    """
    order = np.argsort(windows.end_ns, kind="stable")
    end_ns, longest_s = windows.end_ns[order], windows.longest_s[order]
    if not len(end_ns):
        return False
    ended_ns = begin_ns + (total_s * NS).astype(np.int64)
    seen_s = np.zeros(len(end_ns))
    for off_ns in (-EDGE_NS, 0, EDGE_NS):
        told_by = np.minimum(np.searchsorted(end_ns, ended_ns + off_ns), len(end_ns) - 1)
        np.maximum.at(seen_s, told_by, total_s)
    return bool(np.any((longest_s >= recorded_from_s) & (seen_s < longest_s * (1 - _ROUNDING))))
