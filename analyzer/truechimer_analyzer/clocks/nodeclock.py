"""What is known of one node's clock: what was read, what is held against it, what is answered."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar

from truechimer.codes import BoundReason, BoundStatus, Flag, Judgement, State
from truechimer_analyzer.clocks.judgement import NOTHING, Interval
from truechimer_analyzer.window import groups, iso, number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    import numpy as np
    from numpy.typing import NDArray

    from truechimer_analyzer.clocks.past import History
    from truechimer_analyzer.clocks.stepcause import Witnesses
    from truechimer_analyzer.stores import Columns

BOUND_FIELDS = (
    "lower_seconds",
    "upper_seconds",
    "frequency_lower_ppm",
    "frequency_upper_ppm",
    "status",
    "reason",
    "servers_used",
    "servers_rejected",
    "steady_seconds",
    "epoch",
)
SERVER_FIELDS = (
    "outcome",
    "offset_seconds",
    "delay_seconds",
    "lower_seconds",
    "upper_seconds",
    "stratum",
    "leap",
    "verdict",
    "reason",
    "reach",
)
CLOCK_FIELDS = ("wall_rate_ppm", "read_width_seconds", "steady_seconds", "epoch")
EVENT_FIELDS = ("size_seconds", "steady_seconds", "epoch")
KERNEL_FIELDS = ("leap", "synchronized", "maxerror_seconds")

EVENTS_SHOWN = 50

Key = tuple[str, ...]
Code = TypeVar("Code", bound=IntEnum)


@dataclass(frozen=True, slots=True)
class Bound:
    """The newest bound of a node as it was sent."""

    interval: Interval
    raw_ppm: Interval
    status: BoundStatus
    reason: BoundReason
    steady_s: float
    epoch: float
    time_ns: int
    received_ns: int
    used: float
    rejected: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a node's clock."""

    kind: str
    size_s: float
    steady_s: float
    epoch: float
    time_ns: int
    received_ns: int

    def document(self) -> dict[str, object]:
        """As an answer shows it."""
        return {"kind": self.kind, "at": iso(self.time_ns), "size_s": number(self.size_s)}


NO_BOUND = Bound(
    NOTHING,
    NOTHING,
    BoundStatus.UNKNOWN,
    BoundReason.NONE,
    math.nan,
    math.nan,
    0,
    0,
    math.nan,
    math.nan,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read, one Columns per measurement with the ``…_FIELDS`` above.

    ``bounds``, ``kernel``: the newest row per node; ``servers``: per node and server; ``rates``: the
    last ``RATE_WINDOW_S``; ``events``: the whole window, and back to before the oldest of ``bounds``;
    only those since ``events_since_ns`` are shown. ``seen_ns``: when anything last arrived from
    (cluster, node), by the receiver's clock. ``recent``: every node's last minutes, ``long``: more, of
    ``long_keys``; ``witnesses``: of nodes that were stepped.
    """

    bounds: Columns
    servers: Columns
    rates: Columns
    events: Columns
    kernel: Columns
    seen_ns: Mapping[Key, int]
    events_since_ns: int
    recent: History
    long: History | None
    long_keys: AbstractSet[Key]
    witnesses: Mapping[Key, Witnesses]


@dataclass(frozen=True, slots=True)
class Raised:
    """One flag of a node: since when (Unix ns, None unknown) and by what evidence.

    ``clears_ns``: when it is taken back if nothing changes; None while its condition may hold.
    """

    flag: Flag
    since_ns: int | None
    evidence: dict[str, object]
    clears_ns: int | None = None

    def document(self) -> dict[str, object]:
        """As an answer shows it."""
        return {
            "flag": self.flag.value,
            "since": None if self.since_ns is None else iso(self.since_ns),
            "evidence": self.evidence,
            "clears_at": None if self.clears_ns is None else iso(self.clears_ns),
        }


@dataclass(frozen=True, slots=True)
class Pending:
    """A flag whose condition holds, but not yet for long enough: raised at ``due_ns`` if nothing changes."""

    flag: Flag
    since_ns: int
    due_ns: int
    evidence: dict[str, object]

    def document(self) -> dict[str, object]:
        """As an answer shows it."""
        return {
            "flag": self.flag.value,
            "since": iso(self.since_ns),
            "due": iso(self.due_ns),
            "evidence": self.evidence,
        }


@dataclass(frozen=True, slots=True)
class NodeClock:
    """What is known of one node's clock, as of one instant."""

    key: Key
    interval: Interval
    frequency: Interval
    judgement: Judgement
    status: BoundStatus
    reason: BoundReason
    flags: tuple[Raised, ...]
    pending: tuple[Pending, ...]
    servers: tuple[dict[str, object], ...]
    events: tuple[dict[str, object], ...]
    last_seen_s: float | None
    bound_age_s: float | None
    servers_used: int | None
    servers_rejected: int | None
    history: tuple[dict[str, object], ...] = field(default=())
    daemon: dict[str, object] | None = None

    @property
    def state(self) -> State:
        """The worst of the flags that are states; ok without any."""
        raised = {raised.flag.value for raised in self.flags}
        return next((state for state in State if state.value in raised), State.OK)

    def document(self) -> dict[str, object]:
        """As the contract's ``clocks`` has a node. Frequency is d(UTC − W)/dt: positive, W runs slow."""
        known, measured = self.interval.known, self.frequency.known
        return {
            "cluster": self.key[0],
            "node": self.key[1],
            "state": self.state.value,
            "judgement": self.judgement.value,
            "offset_s": self.interval.middle if known else None,
            "lower_s": number(self.interval.lower),
            "upper_s": number(self.interval.upper),
            "half_width_s": (self.interval.upper - self.interval.lower) / 2 if known else None,
            "frequency_ppm": self.frequency.middle if measured else None,
            "frequency_lower_ppm": number(self.frequency.lower),
            "frequency_upper_ppm": number(self.frequency.upper),
            "status": self.status.name.lower(),
            "reason": None if self.reason is BoundReason.NONE else self.reason.name.lower(),
            "flags": [raised.document() for raised in self.flags],
            "pending": [pending.document() for pending in self.pending],
            "servers": list(self.servers),
            "servers_used": self.servers_used,
            "servers_rejected": self.servers_rejected,
            "events": list(self.events),
            "daemon": self.daemon,
            "last_seen_s": self.last_seen_s,
            "bound_age_s": self.bound_age_s,
            **({"history": list(self.history)} if self.history else {}),
        }


def status_flag(status: float, reason: float) -> Flag | None:
    """Which flag a bound's status and reason raise; None when they are fine."""
    was = named(BoundStatus, status, BoundStatus.UNKNOWN)
    why = named(BoundReason, reason, BoundReason.NONE)
    if was is BoundStatus.DISRUPTED or why is BoundReason.DISRUPTED:
        return Flag.DISRUPTED
    if why is BoundReason.NO_MAJORITY:
        return Flag.NO_MAJORITY
    if why is BoundReason.SOURCES_BLOCKED or (was is BoundStatus.HOLDOVER and why is BoundReason.NO_REPLY):
        return Flag.SOURCES_BLOCKED
    return None if was is BoundStatus.SYNCHRONIZED else Flag.UNSYNCHRONISED


def named(codes: type[Code], value: float, unknown: Code) -> Code:
    """A code by its number; ``unknown`` for NaN, infinities and numbers of a newer schema."""
    try:
        return codes(int(value))
    except (ValueError, OverflowError):
        return unknown


def per_node(columns: Columns, rows: NDArray[np.intp] | None = None) -> dict[Key, NDArray[np.intp]]:
    """The rows of each (cluster, node); only of ``rows`` where they are given."""
    if rows is None:
        return dict(groups(columns.tags["cluster"], columns.tags["node"]))
    found = groups(columns.tags["cluster"][rows], columns.tags["node"][rows])
    return {key: rows[mine] for key, mine in found}


def whole(value: float) -> int | None:
    """A count or code as an integer; None where there is none."""
    return int(value) if math.isfinite(value) else None
