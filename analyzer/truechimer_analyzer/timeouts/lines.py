"""A path's probes in the order of their sending, and how often it was probed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Operations

_BURST = 0.25
_PAUSED_GAPS = 20.0


@dataclass(frozen=True, slots=True)
class Line:
    """One path's probes in the order of their sending; a delay of inf is a loss."""

    sent_s: NDArray[np.float64]
    delay_s: NDArray[np.float64]
    path: int
    gap_s: float


def lines_of(every: Operations) -> list[Line]:
    """The paths of which all is listed that were answered twice."""
    lost_s = np.concatenate([every.lost_s, every.unreachable_s])
    sent_s = np.concatenate([every.time_s, lost_s])
    delay_s = np.concatenate([every.rtt_s, np.full(len(lost_s), np.inf)])
    path = np.concatenate([every.path, every.lost_path, every.unreachable_path])
    order = np.lexsort((sent_s, path))
    sent_s, delay_s = sent_s[order], delay_s[order]
    ends = np.cumsum(np.bincount(path, minlength=len(every.paths)))
    found = []
    begin = 0
    for index, end in enumerate(ends.tolist()):
        line = line_of(sent_s[begin:end], delay_s[begin:end], index)
        begin = end
        if line is not None:
            found.append(line)
    return found


def line_of(sent_s: NDArray[np.float64], delay_s: NDArray[np.float64], path: int) -> Line | None:
    """One path's probes, ascending by ``sent_s``; None where fewer than two were answered."""
    if np.count_nonzero(np.isfinite(delay_s)) < 2:
        return None
    apart_s = np.diff(sent_s)
    gap_s = _usual_gap_s(apart_s)
    if gap_s <= 0:
        return None
    # Of a burst the first stands for a heartbeat: the others say nothing of another moment.
    first = np.append(True, apart_s >= _BURST * gap_s)
    if first.all():
        return Line(sent_s, delay_s, path, gap_s)
    return Line(sent_s[first], delay_s[first], path, gap_s)


def _usual_gap_s(gaps_s: NDArray[np.float64]) -> float:
    """The median gap; of bursts the one that half of the time lies in or in shorter ones: what is between."""
    gaps_s = np.sort(gaps_s[gaps_s > 0])
    if not len(gaps_s):
        return 0.0
    # When nobody probed for long is no gap of the schedule's.
    gaps_s = gaps_s[gaps_s <= _PAUSED_GAPS * gaps_s[int(0.9 * (len(gaps_s) - 1))]]
    passed_s = np.cumsum(gaps_s)
    between_s = float(gaps_s[int(np.searchsorted(passed_s, passed_s[-1] / 2))])
    # They are in order: what numpy's would do once more.
    middle = len(gaps_s) // 2
    median_s = float(gaps_s[middle] + gaps_s[(len(gaps_s) - 1) // 2]) / 2
    return between_s if median_s < _BURST * between_s else median_s
