"""A record of a clock's error cut into stretches in which nothing is missing and nothing happened.

Points are never moved and never made up. What cannot be told from the clock (a gap, a step, another epoch
of S, an agent that was away) ends a stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SPACING_S = 10.0
"""Clocks are summarised and bounds shipped at this interval."""
TOLERANCE_S = 1.0
"""A round that comes late by less keeps its place; what it is late by counts (see ``_without_rate``)."""
LEAST_POINTS = 3
"""Fewer have no second difference."""


class Break(StrEnum):
    """Why a stretch ended; the first that applies is told."""

    STEP = "step"
    EPOCH = "epoch"
    RESTART = "restart"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Points:
    """A clock's error at instants of S, in any order; a point stands in ``lower_s``…``upper_s``."""

    epoch: Floats
    steady_s: Floats
    value_s: Floats
    lower_s: Floats
    upper_s: Floats


@dataclass(frozen=True, slots=True)
class Cut:
    """Something happened after the last point before S = ``steady_s``, and at the latest then."""

    epoch: float
    steady_s: float
    why: Break


@dataclass(frozen=True, slots=True)
class Stretch:
    """Points of one epoch, ``SPACING_S`` apart within ``TOLERANCE_S``."""

    steady_s: Floats
    value_s: Floats
    lower_s: Floats
    upper_s: Floats

    @property
    def span_s(self) -> float:
        """From the first point to the last."""
        return float(self.steady_s[-1] - self.steady_s[0])


def divide(points: Points, cuts: Sequence[Cut]) -> tuple[list[Stretch], dict[Break, int]]:
    """The stretches of at least ``LEAST_POINTS`` points, and what lies between them."""
    points = _in_order(points)
    why = _ends(points, cuts)
    stretches: list[Stretch] = []
    breaks: dict[Break, int] = {}
    last: int | None = None
    for rows in _even(points.steady_s, sorted(why)):
        if len(rows) < LEAST_POINTS:
            continue
        if last is not None:
            between = {why[at] for at in range(last + 1, int(rows[0]) + 1) if at in why} or {Break.GAP}
            reason = min(between, key=list(Break).index)
            breaks[reason] = breaks.get(reason, 0) + 1
        last = int(rows[-1])
        stretches.append(
            Stretch(points.steady_s[rows], points.value_s[rows], points.lower_s[rows], points.upper_s[rows])
        )
    return stretches, breaks


def _in_order(points: Points) -> Points:
    """By epoch and S, each instant once, complete points only."""
    columns = (points.epoch, points.steady_s, points.value_s, points.lower_s, points.upper_s)
    rows = np.flatnonzero(np.logical_and.reduce([np.isfinite(column) for column in columns]))
    rows = rows[np.lexsort((points.steady_s[rows], points.epoch[rows]))]
    again = np.zeros(len(rows), dtype=np.bool_)
    again[1:] = (np.diff(points.steady_s[rows]) == 0) & (np.diff(points.epoch[rows]) == 0)
    rows = rows[~again]
    return Points(*(column[rows] for column in columns))


def _ends(points: Points, cuts: Sequence[Cut]) -> dict[int, Break]:
    """The rows that begin something new, and why."""
    why: dict[int, Break] = {int(row): Break.EPOCH for row in np.flatnonzero(np.diff(points.epoch) != 0) + 1}
    for cut in sorted(cuts, key=lambda cut: list(Break).index(cut.why), reverse=True):
        begin, end = (int(np.searchsorted(points.epoch, cut.epoch, side)) for side in ("left", "right"))
        row = begin + int(np.searchsorted(points.steady_s[begin:end], cut.steady_s, "left"))
        if begin < row < end:
            why[row] = cut.why
    return why


def _even(steady_s: Floats, begins: Sequence[int]) -> Iterator[NDArray[np.intp]]:
    """Rows that follow each other at ``SPACING_S``, within what ``begins`` divides; others are left out.

    A point out of turn (a bound shipped at once) is passed over: from each point the one nearest to
    ``SPACING_S`` later is the next.
    """
    for begin, end in zip([0, *begins], [*begins, len(steady_s)], strict=True):
        at_s = steady_s[begin:end]
        late_s = np.diff(at_s) - SPACING_S
        if not len(late_s) or np.abs(late_s).max() <= TOLERANCE_S:
            yield np.arange(begin, end)
            continue
        after = np.minimum(np.searchsorted(at_s, at_s + SPACING_S), len(at_s) - 1)
        before = np.maximum(after - 1, 0)
        wanted_s = at_s + SPACING_S
        nearest = np.where(wanted_s - at_s[before] <= at_s[after] - wanted_s, before, after)
        follows = np.where(np.abs(at_s[nearest] - wanted_s) <= TOLERANCE_S, nearest, -1).tolist()
        row = 0
        while row < len(at_s):
            chain = [row]
            while follows[chain[-1]] >= 0:
                chain.append(follows[chain[-1]])
            yield np.array(chain, dtype=np.intp) + begin
            row = chain[-1] + 1
