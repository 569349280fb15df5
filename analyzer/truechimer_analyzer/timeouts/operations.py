"""Operations: which waited how long, which were lost, which found no way, and what they are as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.distributions import Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.listing import Listed, Unlisted


@dataclass(frozen=True, slots=True)
class Path:
    """One direction that operations take; each DSCP class is one of its own."""

    cluster: str
    node: str
    peer: str
    via: str
    dscp: int = 0

    def __str__(self) -> str:
        class_ = f"/dscp{self.dscp}" if self.dscp else ""
        return f"path:{self.node}>{self.peer}/{self.via}{class_}"


@dataclass(frozen=True, slots=True)
class Operations:
    """Probes of one kind, as operations that either got a reply or were lost.

    ``rtt_s``, ``time_s`` (Unix seconds) and ``path`` (index into ``paths``) have one row per reply, in
    time order; ``lost_s`` the times of the lost ones, ``lost_path`` their paths. Refusals and
    unreachability answer at once, own stalls are the prober's fault: they are counted in ``others`` and
    are no operations. ``unreachable_s`` and ``unreachable_path`` are when and where there was no way: at
    once an answer to a request, and a loss to whoever waits for a heartbeat. ``unlisted``: replies that are
    only counted, because they were quick.
    """

    paths: tuple[Path, ...]
    rtt_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    path: NDArray[np.intp]
    lost_s: NDArray[np.float64]
    lost_path: NDArray[np.intp]
    others: dict[str, int]
    unreachable_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    unreachable_path: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    unlisted: Unlisted | None = None

    @classmethod
    def answered(cls, paths: tuple[Path, ...], listed: Listed) -> Operations:
        """Of which none was lost."""
        nothing = np.zeros(0)
        return cls(
            paths,
            listed.lasted_s,
            listed.time_s,
            listed.path,
            nothing,
            nothing.astype(np.intp),
            {},
            unlisted=listed.unlisted,
        )

    @property
    def replies(self) -> int:
        """Operations that got a reply, those that are not listed too."""
        return len(self.rtt_s) + (0 if self.unlisted is None else self.unlisted.count)

    @property
    def count(self) -> int:
        """Operations: replies and losses."""
        return self.replies + len(self.lost_s)

    @property
    def by_path(self) -> NDArray[np.intp]:
        """Operations of each path."""
        counts = np.bincount(self.path, minlength=len(self.paths))
        counts = counts + np.bincount(self.lost_path, minlength=len(self.paths))
        return (counts if self.unlisted is None else counts + self.unlisted.by_path).astype(np.intp)

    @property
    def span_s(self) -> float:
        """From the first operation to the last."""
        first_s, last_s = self._ends_s()
        return max(0.0, float(last_s.max() - first_s.min())) if self.count else 0.0

    @property
    def rate_hz(self) -> float | None:
        """How often one path was probed, by the median path; None from single probes."""
        first_s, last_s = self._ends_s()
        probed = last_s > first_s
        rates = (self.by_path[probed] - 1) / (last_s - first_s)[probed]
        return float(np.median(rates)) if len(rates) else None

    @property
    def delays(self) -> Histogram:
        """Every reply, counted in buckets of 1 %."""
        if self.unlisted is None:
            return Histogram.of(self.rtt_s)
        return reduce(Histogram.merged, self.unlisted.delays)

    @property
    def median_s(self) -> float:
        """The median reply; to 1 % where not all are listed."""
        return float(np.median(self.rtt_s)) if self.unlisted is None else self.delays.quantile_s(0.5)

    def percentile_s(self, share: float) -> float:
        """What that share of all operations keeps within; a lost one never ends: inf where it reaches these.

        To 1 %, upwards, where not all replies are listed.
        """
        rank = max(1, math.ceil(share * self.count))
        if rank > self.replies:
            return math.inf
        if self.unlisted is None:
            return float(np.partition(self.rtt_s, rank - 1)[rank - 1])
        return self.delays.quantile_s(rank / self.replies)

    def longer(self, timeout_s: float) -> int:
        """How many replies took longer; at most, to 1 % of the timeout, where not all are listed."""
        if self.unlisted is None or timeout_s >= self.unlisted.quick_s:
            return int(np.count_nonzero(self.rtt_s > timeout_s))
        return self.delays.beyond(timeout_s)[1]

    def before(self, edge_s: float) -> Operations:
        """Those before ``edge_s``; where not all are listed that is an edge of the parts of the time."""
        replies, lost, unreachable = (
            each < edge_s for each in (self.time_s, self.lost_s, self.unreachable_s)
        )
        return Operations(
            self.paths,
            self.rtt_s[replies],
            self.time_s[replies],
            self.path[replies],
            self.lost_s[lost],
            self.lost_path[lost],
            self.others,
            self.unreachable_s[unreachable],
            self.unreachable_path[unreachable],
            None if self.unlisted is None else self.unlisted.before(edge_s),
        )

    def _ends_s(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When each path's first and last operation began; inf and −inf of none."""
        first_s, last_s = np.full(len(self.paths), np.inf), np.full(len(self.paths), -np.inf)
        for times_s, path in ((self.time_s, self.path), (self.lost_s, self.lost_path)):
            np.minimum.at(first_s, path, times_s)
            np.maximum.at(last_s, path, times_s)
        if self.unlisted is not None:
            np.minimum(first_s, self.unlisted.first_s, out=first_s)
            np.maximum(last_s, self.unlisted.last_s, out=last_s)
        return first_s, last_s
