"""More operations than fit into memory: the slowest of each part of the time are listed, the others counted.

Timeouts are about the slowest. So that the past can be judged by what followed it, they are kept of each part
apart: the slowest of any number of first parts are among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from truechimer_analyzer.distributions import Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR_S = 3600.0
# Of each part so many and one: the tail is looked at to that depth.
LISTED = 20_001
# Cut back when so many times as many have come together.
_SPARE = 4
# How far apart a path's operations are is told by so many of them.
_GAPS_FROM = 10_000


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Operations that got a reply and are only counted, because as many slower ones of their part are listed.

    ``by_part`` (paths, parts): how many of each path began in each part of the time, between ``edges_s``
    (parts + 1,). ``firsts_s`` and ``lasts_s`` (paths, parts): when the first and the last of them did, listed
    or not; inf and −inf of none, or where that is not known. ``longest_s`` (paths,): the longest of a path
    that is not listed, 0 of none. ``by_hour`` (hours,): how many in each hour since ``first_hour`` (hours
    since 1970), None where it is not known. ``delays``: of each path all replies, the listed ones too; empty
    where they were not counted. ``gap_s``: how far apart operations of one path are, the median over all
    operations.
    """

    by_part: NDArray[np.intp]
    edges_s: NDArray[np.float64]
    firsts_s: NDArray[np.float64]
    lasts_s: NDArray[np.float64]
    longest_s: NDArray[np.float64]
    gap_s: float
    by_hour: NDArray[np.intp] | None = None
    first_hour: int = 0
    delays: tuple[Histogram, ...] = ()

    @classmethod
    def alike(cls, counts: NDArray[np.intp], length_s: float) -> Unlisted:
        """Of each path so many that lasted ``length_s`` and began as far apart, nobody knows when."""
        nowhere = np.full((len(counts), 1), np.inf)
        edges_s = np.array([-np.inf, np.inf])
        longest_s = np.where(counts > 0, length_s, 0.0)
        return cls(counts[:, np.newaxis], edges_s, nowhere, -nowhere, longest_s, length_s)

    @property
    def by_path(self) -> NDArray[np.intp]:
        """How many of each path."""
        return np.asarray(self.by_part.sum(axis=1), dtype=np.intp)

    @property
    def first_s(self) -> NDArray[np.float64]:
        """When the first of each path began, listed or not."""
        return np.asarray(self.firsts_s.min(axis=1, initial=np.inf))

    @property
    def last_s(self) -> NDArray[np.float64]:
        """When the last of each path began, listed or not."""
        return np.asarray(self.lasts_s.max(axis=1, initial=-np.inf))

    @property
    def count(self) -> int:
        """How many."""
        return int(self.by_part.sum())

    @property
    def quick_s(self) -> float:
        """All that took longer are listed."""
        return float(self.longest_s.max(initial=0.0))

    def before(self, edge_s: float) -> Unlisted:
        """Those of the parts that end by ``edge_s``, one of ``edges_s``; of their hours nothing is known."""
        parts = int(np.searchsorted(self.edges_s, edge_s, side="left"))
        return Unlisted(
            self.by_part[:, :parts],
            self.edges_s[: parts + 1],
            self.firsts_s[:, :parts],
            self.lasts_s[:, :parts],
            self.longest_s,
            self.gap_s,
        )

    def numbers(self, time_s: NDArray[np.float64]) -> NDArray[np.intp]:
        """How many of all paths' operations began before each time, by the hours that they are counted in."""
        assert self.by_hour is not None
        edges_s = (self.first_hour + np.arange(len(self.by_hour) + 1)) * HOUR_S
        passed = np.concatenate([[0], np.cumsum(self.by_hour)])
        return np.asarray(np.interp(time_s, edges_s, passed), dtype=np.intp)


class Listed(NamedTuple):
    """How long each listed one took, when it began (ascending), its path (n,); and those not listed."""

    lasted_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    path: NDArray[np.intp]
    unlisted: Unlisted | None


class Listing:
    """Takes the operations of one path after the other. ``keep`` None lists all."""

    def __init__(self, edges_s: NDArray[np.float64], keep: int | None, *, count_delays: bool = False) -> None:
        """``edges_s`` (parts + 1,) ascend; what began outside of them is of the nearest part and hour."""
        parts = len(edges_s) - 1
        self._edges_s = edges_s
        self._keep = keep
        self._first_hour = int(edges_s[0] // HOUR_S)
        self._hours = int(edges_s[-1] // HOUR_S) - self._first_hour + 1
        self._by_hour = np.zeros(self._hours, dtype=np.intp)
        self._parts = [_Part() for _ in range(parts)]
        self._by_part: list[list[int]] = []
        self._ends: list[list[tuple[float, float]]] = []
        self._gaps: list[tuple[float, int]] = []
        self._delays: list[Histogram] | None = [] if count_delays else None

    def add(self, time_s: NDArray[np.float64], lasted_s: NDArray[np.float64]) -> None:
        """The replies of the next path: when they began, how long they took."""
        if (time_s[1:] < time_s[:-1]).any():
            order = np.argsort(time_s, kind="stable")
            time_s, lasted_s = time_s[order], lasted_s[order]
        path = len(self._by_part)
        cuts = [0, *np.searchsorted(time_s, self._edges_s[1:-1]).tolist(), len(time_s)]
        self._by_part.append(np.diff(cuts).tolist())
        self._ends.append(
            [
                (float(time_s[begin]), float(time_s[end - 1])) if begin < end else (np.inf, -np.inf)
                for begin, end in pairwise(cuts)
            ]
        )
        if len(time_s) > 1:
            some = time_s[1:] - time_s[:-1]
            some = some[:: -(-len(some) // _GAPS_FROM)]
            self._gaps.append((float(np.median(some)), len(time_s) - 1))
        hours_s = (self._first_hour + np.arange(1, self._hours)) * HOUR_S
        self._by_hour += np.diff([0, *np.searchsorted(time_s, hours_s).tolist(), len(time_s)])
        if self._delays is not None:
            self._delays.append(Histogram.of(lasted_s))
        for part, (begin, end) in zip(self._parts, pairwise(cuts), strict=True):
            part.add(path, time_s[begin:end], lasted_s[begin:end], self._keep)

    def listed(self) -> Listed:
        """The listed ones, by when they began; and the others, if any."""
        if self._keep is not None:
            for part in self._parts:
                part.cut(self._keep)
        columns = [part.columns() for part in self._parts]
        lasted_s = np.concatenate([column[0] for column in columns])
        time_s = np.concatenate([column[1] for column in columns])
        path = np.concatenate([column[2] for column in columns]).astype(np.intp)
        order = np.argsort(time_s, kind="stable")
        lasted_s, time_s, path = lasted_s[order], time_s[order], path[order]
        return Listed(lasted_s, time_s, path, self._unlisted(time_s, path))

    def _unlisted(self, time_s: NDArray[np.float64], path: NDArray[np.intp]) -> Unlisted | None:
        paths = len(self._by_part)
        by_part = np.array(self._by_part, dtype=np.intp).reshape(paths, len(self._parts))
        part = np.searchsorted(self._edges_s[1:-1], time_s, side="right")
        np.subtract.at(by_part, (path, part), 1)
        if not by_part.any():
            return None
        longest_s = np.zeros(paths)
        for each in self._parts:
            for index, most_s in each.longest_s.items():
                longest_s[index] = max(longest_s[index], most_s)
        hours = np.clip((time_s // HOUR_S).astype(np.intp) - self._first_hour, 0, self._hours - 1)
        ends_s = np.array(self._ends, dtype=np.float64).reshape(paths, len(self._parts), 2)
        return Unlisted(
            by_part,
            self._edges_s,
            ends_s[:, :, 0],
            ends_s[:, :, 1],
            longest_s,
            self._gap_s(),
            self._by_hour - np.bincount(hours, minlength=self._hours),
            self._first_hour,
            tuple(self._delays or ()),
        )

    def _gap_s(self) -> float:
        """The median over all operations, each taken to be as far from the one before as its path's are."""
        if not self._gaps:
            return 0.0
        gap_s, count = (np.array(each) for each in zip(*sorted(self._gaps), strict=True))
        passed = np.cumsum(count)
        return float(gap_s[np.searchsorted(passed, passed[-1] / 2)])


class _Part:
    """The slowest so far of one part of the time."""

    def __init__(self) -> None:
        self._lasted_s: list[NDArray[np.float64]] = []
        self._time_s: list[NDArray[np.float64]] = []
        self._path: list[NDArray[np.int32]] = []
        self._floor_s = -np.inf
        self._held = 0
        self.longest_s: dict[int, float] = {}

    def add(
        self, path: int, time_s: NDArray[np.float64], lasted_s: NDArray[np.float64], keep: int | None
    ) -> None:
        slow = np.flatnonzero(lasted_s > self._floor_s)
        if len(slow) < len(lasted_s):
            self._left_out(path, float(np.max(lasted_s, where=lasted_s <= self._floor_s, initial=0.0)))
        self._append(lasted_s[slow], time_s[slow], np.full(len(slow), path, dtype=np.int32))
        if keep is not None and self._held > _SPARE * keep:
            self.cut(keep)

    def cut(self, keep: int) -> None:
        """Leave out all but the ``keep`` slowest."""
        if self._held <= keep:
            return
        lasted_s, time_s, path = self.columns()
        order = np.argpartition(lasted_s, len(lasted_s) - keep)
        quick, slow = order[: len(lasted_s) - keep], np.sort(order[len(lasted_s) - keep :])
        self._floor_s = float(lasted_s[slow].min())
        quick = quick[np.argsort(path[quick], kind="stable")]
        begins = np.flatnonzero(np.diff(path[quick], prepend=-1))
        for index, most_s in zip(
            path[quick][begins].tolist(), np.maximum.reduceat(lasted_s[quick], begins).tolist(), strict=True
        ):
            self._left_out(index, most_s)
        for column in (self._lasted_s, self._time_s, self._path):
            column.clear()
        self._held = 0
        self._append(lasted_s[slow], time_s[slow], path[slow])

    def columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
        """What is kept: how long it took, when it began, its path."""
        return (
            np.concatenate([np.zeros(0), *self._lasted_s]),
            np.concatenate([np.zeros(0), *self._time_s]),
            np.concatenate([np.zeros(0, dtype=np.int32), *self._path]),
        )

    def _append(
        self, lasted_s: NDArray[np.float64], time_s: NDArray[np.float64], path: NDArray[np.int32]
    ) -> None:
        self._lasted_s.append(lasted_s)
        self._time_s.append(time_s)
        self._path.append(path)
        self._held += len(lasted_s)

    def _left_out(self, path: int, lasted_s: float) -> None:
        self.longest_s[path] = max(self.longest_s.get(path, 0.0), lasted_s)
