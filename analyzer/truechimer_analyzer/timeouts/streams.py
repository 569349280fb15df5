"""Each path's operations in the order in which they were made: what detectors are replayed on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors import Heartbeats, Requests, every_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.collecting import Probed
    from truechimer_analyzer.timeouts.operations import Operations

# The most probed paths; more of them tell no more of a detector, and take longer.
MOST_PATHS = 64
_MOST_OPERATIONS = 1_000_000
_LEAST_OPERATIONS = 2
_USUAL = 0.99


@dataclass(frozen=True)
class Stream:
    """One path: ``time_s`` (n,), ascending Unix seconds, and ``rtt_s`` (n,), NaN where the reply was lost."""

    time_s: NDArray[np.float64]
    rtt_s: NDArray[np.float64]

    @classmethod
    def of(cls, probed: Probed) -> list[Stream]:
        """Those of one path that were answered or lost; none of fewer than two."""
        replied, lost, _ = probed.rows()
        kept = replied | lost
        if np.count_nonzero(kept) < _LEAST_OPERATIONS:
            return []
        return [cls(probed.time_s[kept], np.where(replied, probed.rtt_s, np.nan)[kept])]

    @cached_property
    def requests(self) -> Requests:
        """Its probes as requests."""
        return Requests(self.time_s, self.rtt_s)

    @cached_property
    def interval_s(self) -> float:
        """The mean time from one probe to the next, but for the longest hundredth: probing may have paused.

        Not the median, which is next to nothing where several probes are sent at once.
        """
        gaps_s = np.diff(self.time_s)
        return float(gaps_s[gaps_s <= np.quantile(gaps_s, _USUAL)].mean()) or 1.0

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """Its replies as heartbeats, the i-th sent at i · ``interval_s``: as if probing had never paused."""
        return every_interval(self.rtt_s, self.interval_s)

    def rows(self, since_s: float, until_s: float) -> slice:
        """Those of [since_s, until_s)."""
        first, last = np.searchsorted(self.time_s, [since_s, until_s]).tolist()
        return slice(first, last)


def streams(of: Operations) -> list[Stream]:
    """The paths with the most operations, each with two at least."""
    counts = of.by_path
    time_s = np.concatenate([of.time_s, of.lost_s])
    rtt_s = np.concatenate([of.rtt_s, np.full(len(of.lost_s), np.nan)])
    path = np.concatenate([of.path, of.lost_path])
    order = np.lexsort((time_s, path))
    time_s, rtt_s = time_s[order], rtt_s[order]
    ends = np.cumsum(counts)
    parts = [
        slice(ends[index] - counts[index], ends[index])
        for index in _chosen(counts)
        if counts[index] >= _LEAST_OPERATIONS
    ]
    return [Stream(time_s[rows], rtt_s[rows]) for rows in parts]


class Chosen:
    """Takes one path after the other, and keeps those that :func:`streams` would."""

    def __init__(self) -> None:
        self._streams: list[Stream] = []

    def add(self, probed: Probed) -> None:
        """The next path."""
        self._streams.extend(Stream.of(probed))
        # What is not chosen now is not when there are more.
        chosen = _chosen(np.array([len(each.time_s) for each in self._streams], dtype=np.intp))
        self._streams = [self._streams[index] for index in sorted(chosen)]

    def streams(self) -> list[Stream]:
        """The longest first."""
        return sorted(self._streams, key=lambda each: -len(each.time_s))


def _chosen(counts: NDArray[np.intp]) -> list[int]:
    """The longest first: so many paths, or so many operations, one path at least."""
    order = np.argsort(-counts, kind="stable")[:MOST_PATHS]
    if not len(order):
        return []
    some = int(np.searchsorted(np.cumsum(counts[order]), _MOST_OPERATIONS, side="right"))
    return [int(index) for index in order[: max(1, some)]]
