"""What one node said over a stretch of time, as arrays on one axis of time: what its flags are judged by.

A node's stamps jump when its clock is wrong and its bound is lost. So within the newest bound's epoch rows
stand by the steady clock, counted back from that bound's age; those of other epochs by their stamps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import BoundReason, Flag, NtpOutcome
from truechimer_analyzer.clocks.judgement import quiet_rates
from truechimer_analyzer.clocks.nodeclock import NO_BOUND, Bound, Event, Key, named, per_node, status_flag
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

BOUND_FIELDS = (
    "lower_seconds",
    "upper_seconds",
    "frequency_lower_ppm",
    "frequency_upper_ppm",
    "status",
    "reason",
    "servers_rejected",
    "steady_seconds",
    "epoch",
)
SERVER_FIELDS = (
    "outcome",
    "verdict",
    "leap",
    "lower_seconds",
    "upper_seconds",
    "steady_seconds",
    "epoch",
)
NO_FLAG = -1
FLAGS = tuple(Flag)
PASSING = frozenset({BoundReason.STARTING, BoundReason.LEAP, BoundReason.CHECKING})
"""Reasons of an unknown bound that end by themselves within seconds."""

_NOTHING = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class History:
    """Rows of many nodes: bounds (``BOUND_FIELDS``), servers' exchanges (``SERVER_FIELDS``), rates of W."""

    bounds: Columns
    servers: Columns
    rates: Columns
    _bound_rows: Mapping[Key, NDArray[np.intp]]
    _server_rows: Mapping[Key, NDArray[np.intp]]
    _rate_rows: Mapping[Key, NDArray[np.intp]]

    @classmethod
    def of(cls, bounds: Columns, servers: Columns, rates: Columns) -> History:
        """Sort the rows by node."""
        return cls(bounds, servers, rates, per_node(bounds), per_node(servers), per_node(rates))

    def bound_rows(self, key: Key) -> NDArray[np.intp]:
        """The rows of ``bounds`` of one node."""
        return self._bound_rows.get(key, _NOTHING)

    def rate_rows(self, key: Key) -> NDArray[np.intp]:
        """The rows of ``rates`` of one node."""
        return self._rate_rows.get(key, _NOTHING)

    def server_rows(self, key: Key) -> NDArray[np.intp]:
        """The rows of ``servers`` of one node."""
        return self._server_rows.get(key, _NOTHING)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where in time (Unix ns of the answer) a node's rows stand: the newest bound is ``age_s`` old."""

    as_of_ns: int
    bound: Bound
    age_s: float

    def at_ns(
        self, time_ns: NDArray[np.int64], steady_s: NDArray[np.float64], epoch: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """The rows' instants, none later than the answer."""
        same = epoch == self.bound.epoch
        since_s = np.where(same, steady_s - self.bound.steady_s, 0.0)
        newest_ns = self.as_of_ns - round(self.age_s * NS)
        at_ns = np.where(same, newest_ns + np.rint(since_s * NS).astype(np.int64), time_ns)
        return np.minimum(at_ns, self.as_of_ns)

    def of(self, columns: Columns, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """The instants of some rows with ``steady_seconds`` and ``epoch``."""
        fields = columns.fields
        return self.at_ns(columns.time_ns[rows], fields["steady_seconds"][rows], fields["epoch"][rows])

    def of_event(self, event: Event, *, live: bool) -> int:
        """When an event after the bound happened, never before the bound."""
        at_ns = event.received_ns if live else event.time_ns
        if event.epoch == self.bound.epoch:
            at_ns = self.as_of_ns - round((self.age_s - event.steady_s + self.bound.steady_s) * NS)
        return max(self.as_of_ns - round(self.age_s * NS), min(at_ns, self.as_of_ns))


@dataclass(frozen=True, slots=True)
class Told:
    """Bounds in order: when (``at_ns``), stamped when, their intervals, and what flag their status raises.

    ``flag`` counts in ``FLAGS``; ``passing`` marks those that are expected to end by themselves.
    """

    at_ns: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    lower_s: NDArray[np.float64]
    upper_s: NDArray[np.float64]
    raw_lower_ppm: NDArray[np.float64]
    raw_upper_ppm: NDArray[np.float64]
    flag: NDArray[np.intp]
    passing: NDArray[np.bool_]
    status: NDArray[np.float64]
    reason: NDArray[np.float64]

    def with_sample(
        self, at_ns: int, stamp_ns: int, lower_s: float, upper_s: float, flag: int, *, passing: bool
    ) -> Told:
        """One more sample at the end, not earlier than the last; frequencies and status as they were."""
        last = self.at_ns[-1] if len(self.at_ns) else at_ns

        def carried(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.append(values, values[-1] if len(values) else math.nan)

        return Told(
            np.append(self.at_ns, max(at_ns, last)),
            np.append(self.stamp_ns, stamp_ns),
            np.append(self.lower_s, lower_s),
            np.append(self.upper_s, upper_s),
            carried(self.raw_lower_ppm),
            carried(self.raw_upper_ppm),
            np.append(self.flag, flag),
            np.append(self.passing, passing),
            carried(self.status),
            carried(self.reason),
        )


def told(columns: Columns, rows: NDArray[np.intp], axis: Axis) -> Told:
    """A node's bounds, the newest one included wherever its stamp lies."""
    bound, fields = axis.bound, columns.fields
    at_ns = axis.of(columns, rows)
    rows, at_ns = _ascending(rows, at_ns)
    flag, passing = _flags(fields["status"][rows], fields["reason"][rows])
    found = Told(
        at_ns,
        columns.time_ns[rows],
        fields["lower_seconds"][rows],
        fields["upper_seconds"][rows],
        fields["frequency_lower_ppm"][rows],
        fields["frequency_upper_ppm"][rows],
        flag,
        passing,
        fields["status"][rows],
        fields["reason"][rows],
    )
    known = (columns.time_ns[rows] == bound.time_ns) & (columns.received_ns[rows] == bound.received_ns)
    if bound is NO_BOUND or known.any():
        return found
    return _with_newest(found, axis)


def _with_newest(found: Told, axis: Axis) -> Told:
    bound = axis.bound
    before = found.at_ns < axis.as_of_ns - round(axis.age_s * NS)
    flag, passing = _flags(np.array([float(bound.status)]), np.array([float(bound.reason)]))
    return Told(
        np.append(found.at_ns[before], axis.as_of_ns - round(axis.age_s * NS)),
        np.append(found.stamp_ns[before], bound.time_ns),
        np.append(found.lower_s[before], bound.interval.lower),
        np.append(found.upper_s[before], bound.interval.upper),
        np.append(found.raw_lower_ppm[before], bound.raw_ppm.lower),
        np.append(found.raw_upper_ppm[before], bound.raw_ppm.upper),
        np.append(found.flag[before], flag),
        np.append(found.passing[before], passing),
        np.append(found.status[before], float(bound.status)),
        np.append(found.reason[before], float(bound.reason)),
    )


def _flags(
    status: NDArray[np.float64], reason: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Which flag each bound's status raises, and whether its reason passes by itself."""
    pairs, which = np.unique(np.stack((status, reason)), axis=1, return_inverse=True)
    raised = [status_flag(was, why) for was, why in pairs.T.tolist()]
    numbers = np.array([NO_FLAG if flag is None else FLAGS.index(flag) for flag in raised], dtype=np.intp)
    passes = np.array(
        [
            flag is Flag.UNSYNCHRONISED and named(BoundReason, why, BoundReason.NONE) in PASSING
            for flag, why in zip(raised, pairs[1].tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    which = which.reshape(-1)
    return numbers[which], passes[which]


@dataclass(frozen=True, slots=True)
class Ran:
    """Rates of W since its last step, slew or suspend, each over ``interval_s`` up to ``at_ns``.

    ``lower_ppm`` and ``upper_ppm`` bound d(UTC − W)/dt; ``least_s`` and ``most_s`` are UTC − W then.
    """

    at_ns: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    lower_ppm: NDArray[np.float64]
    upper_ppm: NDArray[np.float64]
    least_s: NDArray[np.float64]
    most_s: NDArray[np.float64]
    interval_s: float


def ran(
    columns: Columns, rows: NDArray[np.intp], axis: Axis, bounds: Told, quiet_since_s: float
) -> Ran | None:
    """The frequency of W over time, from its rates against RAW and what was known of RAW then.

    None without a rate since ``quiet_since_s`` (S of what broke W's run last), or without any bound.
    """
    fields = columns.fields
    rows = rows[fields["epoch"][rows] == axis.bound.epoch]
    rows = rows[np.argsort(fields["steady_seconds"][rows], kind="stable")]
    steady_s = fields["steady_seconds"][rows]
    rate_ppm = fields["wall_rate_ppm"][rows]
    kept = quiet_rates(steady_s, rate_ppm, quiet_since_s)
    if not kept.any() or not len(bounds.at_ns):
        return None
    gaps = np.diff(steady_s[kept])
    interval_s = float(np.median(gaps)) if len(gaps) and np.median(gaps) > 0 else 10.0
    width_s = np.nan_to_num(fields["read_width_seconds"][rows])
    # Two readings, each right to half its width.
    error_ppm = (width_s + np.concatenate((width_s[:1], width_s[:-1])))[kept] / 2 / interval_s * 1e6
    rows, rate_ppm = rows[kept], rate_ppm[kept]
    at_ns = axis.of(columns, rows)
    then = np.maximum(np.searchsorted(bounds.at_ns, at_ns, side="right") - 1, 0)
    return Ran(
        at_ns,
        columns.time_ns[rows],
        bounds.raw_lower_ppm[then] - rate_ppm - error_ppm,
        bounds.raw_upper_ppm[then] - rate_ppm + error_ppm,
        bounds.lower_s[then],
        bounds.upper_s[then],
        interval_s,
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """Exchanges with one server in order."""

    at_ns: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    replied: NDArray[np.bool_]
    verdict: NDArray[np.float64]
    leap: NDArray[np.float64]
    lower_s: NDArray[np.float64]
    upper_s: NDArray[np.float64]

    @property
    def poll_s(self) -> float:
        """The usual time between two polls; 0 from fewer than two."""
        gaps = np.diff(self.at_ns) / NS
        between = gaps[gaps > 1.0]
        return float(np.median(between)) if len(between) else 0.0


def heard(columns: Columns, rows: NDArray[np.intp], axis: Axis) -> dict[str, Heard]:
    """A node's servers with their exchanges."""
    names = columns.tags["server"][rows].astype(str)
    answer = {}
    for name in np.unique(names).tolist():
        mine, at_ns = _ascending(rows[names == name], axis.of(columns, rows[names == name]))
        fields = columns.fields
        answer[name] = Heard(
            at_ns,
            columns.time_ns[mine],
            fields["outcome"][mine] == NtpOutcome.REPLY,
            fields["verdict"][mine],
            fields["leap"][mine],
            fields["lower_seconds"][mine],
            fields["upper_seconds"][mine],
        )
    return answer


def _ascending(
    rows: NDArray[np.intp], at_ns: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    order = np.argsort(at_ns, kind="stable")
    return rows[order], at_ns[order]
