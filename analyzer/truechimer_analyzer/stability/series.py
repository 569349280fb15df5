"""The records of a node whose stability is told, taken from what its agent sent.

``wall_minus_steady``: W − S as read, the clock that a daemon steers against the raw oscillator.
``utc_minus_steady``: UTC − S, the middle of its bound: the raw oscillator left alone, whatever W does.
``utc_minus_wall``: UTC − W, the middle of its bound: the steered clock against true time.

UTC is known to within the bound's half width only; what is smaller, and short τ above all, shows how the
bound was made as much as the clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import BoundStatus, EventKind
from truechimer_analyzer.stability.stretches import SPACING_S, TOLERANCE_S, Break, Cut, Points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

CLOCK_FIELDS = (
    "wall_minus_steady_seconds",
    "wall_rate_ppm",
    "read_width_seconds",
    "steady_seconds",
    "epoch",
)
BOUND_FIELDS = (
    "lower_seconds",
    "upper_seconds",
    "wall_minus_steady_seconds",
    "status",
    "steady_seconds",
    "epoch",
)
EVENT_FIELDS = ("steady_seconds", "epoch")
RECORDS = ("wall_minus_steady", "utc_minus_steady", "utc_minus_wall")

_ENDS = {
    EventKind.STEP: Break.STEP,
    EventKind.LEAP: Break.EPOCH,
    EventKind.SUSPEND: Break.EPOCH,
    EventKind.CLOCKSOURCE: Break.EPOCH,
    EventKind.VM_RESTORE: Break.EPOCH,
    EventKind.AGENT_START: Break.RESTART,
}
"""A slew is the clock's own way, so it counts; while the agent is away anything may happen unseen."""
# Half of the least step that the agent tells: W − S that its own rate does not explain.
_UNEXPLAINED_S = 5e-6
# Of a bound so much wider than most (right after a start) the middle is no reading.
_TOO_WIDE = 4.0
# No oscillator is worse (``max_drift_ppm``): what moves UTC − S by more is no drift.
_WORST_RATE = 500e-6


def wall_minus_steady(clock: Columns, rows: Rows) -> Points:
    """W − S of a node's rows (``CLOCK_FIELDS``)."""
    field = {name: values[rows] for name, values in clock.fields.items()}
    value_s = field["wall_minus_steady_seconds"]
    half_s = np.nan_to_num(field["read_width_seconds"]) / 2
    return Points(field["epoch"], field["steady_seconds"], value_s, value_s - half_s, value_s + half_s)


def utc_minus_steady(bounds: Columns, rows: Rows) -> Points:
    """UTC − S of a node's bounds (``BOUND_FIELDS``), of those that count for ``utc_minus_wall``."""
    wall = utc_minus_wall(bounds, rows)
    steady_s = bounds.fields["wall_minus_steady_seconds"][rows]
    return Points(
        wall.epoch, wall.steady_s, wall.value_s + steady_s, wall.lower_s + steady_s, wall.upper_s + steady_s
    )


def utc_minus_wall(bounds: Columns, rows: Rows) -> Points:
    """UTC − W of a node's bounds; only those that servers stood for then, and that have settled."""
    field = {name: values[rows] for name, values in bounds.fields.items()}
    width_s = field["upper_seconds"] - field["lower_seconds"]
    known = (field["status"] == BoundStatus.SYNCHRONIZED) & np.isfinite(width_s)
    if known.any():
        known &= width_s <= _TOO_WIDE * float(np.median(width_s[known]))
    lower_s = np.where(known, field["lower_seconds"], np.nan)
    upper_s = np.where(known, field["upper_seconds"], np.nan)
    return Points(field["epoch"], field["steady_seconds"], (lower_s + upper_s) / 2, lower_s, upper_s)


def cuts(events: Columns, rows: Rows) -> list[Cut]:
    """Where a node's events end stretches."""
    kinds = events.tags["kind"][rows].tolist()
    epochs, steady_s = (events.fields[name][rows].tolist() for name in ("epoch", "steady_seconds"))
    return [
        Cut(epoch, at_s, _ENDS[EventKind(kind)])
        for kind, epoch, at_s in zip(kinds, epochs, steady_s, strict=True)
        if kind in _ENDS and math.isfinite(at_s) and math.isfinite(epoch)
    ]


def unexplained(clock: Columns, rows: Rows) -> list[Cut]:
    """Steps that W − S shows and no event told (a spool that was full): the rate leaves steps out."""
    steady_s, epoch = clock.fields["steady_seconds"][rows], clock.fields["epoch"][rows]
    order = np.lexsort((steady_s, epoch))
    steady_s, epoch = steady_s[order], epoch[order]
    value_s = clock.fields["wall_minus_steady_seconds"][rows][order]
    rate = clock.fields["wall_rate_ppm"][rows][order] * 1e-6
    elapsed_s = np.diff(steady_s)
    with np.errstate(invalid="ignore"):
        left_s = np.abs(np.diff(value_s) - rate[1:] * elapsed_s)
    # Over a gap the rate is not of the whole time, and the gap ends a stretch anyway.
    whole = (np.diff(epoch) == 0) & (elapsed_s <= SPACING_S + TOLERANCE_S)
    stepped = np.flatnonzero(whole & (left_s > _UNEXPLAINED_S))
    return _between(epoch, steady_s, stepped, Break.STEP)


def impossible(utc_minus_steady: Points) -> list[Cut]:
    """Jumps of UTC − S that no oscillator makes: a leap second, a pause of the whole machine."""
    of = utc_minus_steady
    rows = np.flatnonzero(np.isfinite(of.value_s))
    rows = rows[np.lexsort((of.steady_s[rows], of.epoch[rows]))]
    epoch, steady_s, lower_s, upper_s = (
        column[rows] for column in (of.epoch, of.steady_s, of.lower_s, of.upper_s)
    )
    moved_s = np.maximum(lower_s[1:] - upper_s[:-1], lower_s[:-1] - upper_s[1:])
    jumped = (np.diff(epoch) == 0) & (moved_s > _WORST_RATE * np.diff(steady_s))
    return _between(epoch, steady_s, np.flatnonzero(jumped), Break.EPOCH)


def _between(epoch: Floats, steady_s: Floats, rows: Rows, why: Break) -> list[Cut]:
    """Two cuts for what happened after each row and at the latest at the next.

    Another record may have a point between the two.
    """
    return [
        Cut(float(epoch[at]), where_s, why)
        for at in rows.tolist()
        for where_s in (float(np.nextafter(steady_s[at], np.inf)), float(steady_s[at + 1]))
    ]


def without_steps(found: Sequence[Cut]) -> list[Cut]:
    """For records in which W does not take part."""
    return [cut for cut in found if cut.why is not Break.STEP]
