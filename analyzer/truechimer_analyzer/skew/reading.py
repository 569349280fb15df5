"""What agents told, sorted by cluster and node: the evidence that skew is proven from.

A node is known by what it sends and by what its peers' probes say of it. Only what was measured in its
*present epoch* counts: the epoch of the newest thing it said of its clock, because that is what its wall
clock is told against; of a node that sends nothing itself, the epoch that its newest reply carried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import BoundStatus, ProbeOutcome, Via
from truechimer_analyzer.window import groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.stores import Columns

CLOCK_FIELDS = (
    "wall_minus_steady_seconds_min",
    "wall_minus_steady_seconds_max",
    "observed_seconds",
    "gap_seconds_max",
    "steady_seconds",
    "epoch",
)
BOUND_FIELDS = (
    "lower_seconds",
    "upper_seconds",
    "frequency_lower_ppm",
    "frequency_upper_ppm",
    "wall_minus_steady_seconds",
    "status",
    "steady_seconds",
    "epoch",
)
EXCHANGE_FIELDS = (
    "outcome",
    "rtt_seconds",
    "lower_seconds",
    "upper_seconds",
    "peer_epoch",
    "steady_seconds",
    "epoch",
)
READ_S = 240.0
"""So far back evidence is read. With 1 ppm between two oscillators an exchange is worth 0.1 ms less after
100 s, with the 1000 ppm of two that nobody has measured after 0.1 s: what is older never is the tightest."""
MAX_DRIFT = 500e-6
"""Of an oscillator of which no bound is told, as the agents' default has it."""

_NO_ROWS = np.zeros(0, dtype=np.intp)
_TRUSTED = (BoundStatus.SYNCHRONIZED, BoundStatus.HOLDOVER)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows of a store, one Columns per measurement with the fields above; of exchanges only ``via=stamp``.

    ``heard_ns``: when anything last arrived from each (cluster, node) that is known.
    """

    clocks: Columns
    bounds: Columns
    exchanges: Columns
    heard_ns: Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Replies between nodes in their present epochs: S_head − S_tail in [lower, upper] at S_tail = steady.

    Seconds; ``row`` is the place in the evidence's ``exchanges``.
    """

    tail: Indexes
    head: Indexes
    steady_s: Floats
    lower_s: Floats
    upper_s: Floats
    row: Indexes


@dataclass(frozen=True, slots=True)
class Bounds:
    """UTC − S in [lower, upper] at S = steady, as nodes proved it by their own servers; by node, then S."""

    node: Indexes
    steady_s: Floats
    lower_s: Floats
    upper_s: Floats
    row: Indexes


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster's evidence. Nodes are numbered from 1 (``names[0]`` is UTC); arrays have an entry each.

    ``drift_lower`` and ``drift_upper`` bound d(UTC − S)/dS as fractions. ``clocks`` are rows of
    the evidence per node, of its present epoch, ascending in S: summaries of W − S.
    ``heard_ns`` and ``told_ns``: when anything, and when a summary, last arrived; 0: never.
    """

    name: str
    names: tuple[str, ...]
    epoch: Floats
    drift_lower: Floats
    drift_upper: Floats
    clocks: tuple[Indexes, ...]
    bounds: Bounds
    exchanges: Exchanges
    heard_ns: NDArray[np.int64]
    told_ns: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many nodes, UTC among them."""
        return len(self.names)


def clusters(evidence: Evidence) -> list[Cluster]:
    """Every cluster that the evidence names, in order."""
    by_cluster = {
        columns.measurement: _by_cluster(columns)
        for columns in (evidence.clocks, evidence.bounds, evidence.exchanges)
    }
    names = {key[0] for key in evidence.heard_ns}.union(*by_cluster.values())
    return [
        _cluster(name, evidence, {each: found.get(name, _NO_ROWS) for each, found in by_cluster.items()})
        for name in sorted(names)
    ]


def has_exchanges(evidence: Evidence) -> bool:
    """Whether any peer answered any probe."""
    return bool((evidence.exchanges.fields["outcome"] == ProbeOutcome.REPLY).any())


def is_stamp(columns: Columns) -> NDArray[np.bool_]:
    """Which rows of truechimer_rtt are of the mesh."""
    found: NDArray[np.bool_] = columns.tags["via"] == Via.STAMP.value
    return found


def _by_cluster(columns: Columns) -> dict[str, Indexes]:
    return {name: rows for (name,), rows in groups(columns.tags["cluster"])}


def _cluster(name: str, evidence: Evidence, rows: Mapping[str, Indexes]) -> Cluster:
    clock_rows = _per_node(evidence.clocks, rows["truechimer_clock"])
    bound_rows = _per_node(evidence.bounds, rows["truechimer_bound"])
    replies = rows["truechimer_rtt"][
        evidence.exchanges.fields["outcome"][rows["truechimer_rtt"]] == ProbeOutcome.REPLY
    ]
    senders = evidence.exchanges.tags["node"][replies]
    peers = evidence.exchanges.tags["peer"][replies]
    heard = {key[1]: at_ns for key, at_ns in evidence.heard_ns.items() if key[0] == name}
    names = ("UTC", *sorted({*heard, *clock_rows, *bound_rows, *senders.tolist(), *peers.tolist()}))
    number = {each: index for index, each in enumerate(names) if index}
    tail, head = _numbered(senders, number), _numbered(peers, number)
    epoch = np.full(len(names), np.nan)
    for each, index in number.items():
        epoch[index] = _present(evidence.clocks, clock_rows.get(each, _NO_ROWS))
        if math.isnan(epoch[index]):
            epoch[index] = _present(evidence.bounds, bound_rows.get(each, _NO_ROWS))
    _told_by_peers(epoch, head, evidence.exchanges, replies)
    drift_lower, drift_upper = np.full(len(names), -MAX_DRIFT), np.full(len(names), MAX_DRIFT)
    clocks: list[Indexes] = [_NO_ROWS]
    trusted: list[tuple[int, Indexes]] = []
    heard_ns, told_ns = np.zeros((2, len(names)), dtype=np.int64)
    for each, index in number.items():
        clocks.append(_ascending(evidence.clocks, clock_rows.get(each, _NO_ROWS), epoch[index]))
        mine = _ascending(evidence.bounds, bound_rows.get(each, _NO_ROWS), epoch[index])
        drift = _drift(evidence.bounds, mine)
        if drift is not None:
            drift_lower[index], drift_upper[index] = drift
        trusted.append((index, _trusted(evidence.bounds, mine)))
        if len(clocks[index]):
            told_ns[index] = evidence.clocks.received_ns[clocks[index]].max()
        heard_ns[index] = max(heard.get(each, 0), told_ns[index])
    return Cluster(
        name=name,
        names=names,
        epoch=epoch,
        drift_lower=drift_lower,
        drift_upper=drift_upper,
        clocks=tuple(clocks),
        bounds=_bounds(evidence.bounds, trusted),
        exchanges=_exchanges(evidence.exchanges, replies, tail, head, epoch),
        heard_ns=heard_ns,
        told_ns=told_ns,
    )


def _per_node(columns: Columns, rows: Indexes) -> dict[str, Indexes]:
    return {name: rows[mine] for (name,), mine in groups(columns.tags["node"][rows])}


def _numbered(names: NDArray[np.object_], number: Mapping[str, int]) -> Indexes:
    return np.fromiter((number[name] for name in names.tolist()), dtype=np.intp, count=len(names))


def _present(columns: Columns, rows: Indexes) -> float:
    """The epoch of the newest row; by arrival first: stamps are made by clocks that may have been stepped."""
    epoch, steady_s = columns.fields["epoch"][rows], columns.fields["steady_seconds"][rows]
    known = np.isfinite(epoch) & np.isfinite(steady_s)
    if not known.any():
        return math.nan
    order = np.lexsort((steady_s[known], epoch[known], columns.received_ns[rows][known]))
    return float(epoch[known][order[-1]])


def _told_by_peers(epoch: Floats, head: Indexes, columns: Columns, rows: Indexes) -> None:
    """Fill in the epochs of nodes that send nothing themselves, from the newest reply of each."""
    peer_epoch = columns.fields["peer_epoch"][rows]
    unknown = np.isnan(epoch[head]) & np.isfinite(peer_epoch)
    order = np.lexsort((columns.time_ns[rows][unknown], columns.received_ns[rows][unknown]))
    epoch[head[unknown][order]] = peer_epoch[unknown][order]


def _ascending(columns: Columns, rows: Indexes, epoch: float) -> Indexes:
    """Those of one epoch, by S."""
    fields = columns.fields
    rows = rows[(fields["epoch"][rows] == epoch) & np.isfinite(fields["steady_seconds"][rows])]
    return rows[np.argsort(fields["steady_seconds"][rows], kind="stable")]


def _drift(columns: Columns, rows: Indexes) -> tuple[float, float] | None:
    """The frequency bounds last told in the epoch, as fractions.

    They hold for the past in which they were measured, and for some time to come.
    """
    lower, upper = (columns.fields[f"frequency_{end}_ppm"][rows] for end in ("lower", "upper"))
    known = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper))
    return (float(lower[known[-1]]) * 1e-6, float(upper[known[-1]]) * 1e-6) if len(known) else None


def _trusted(columns: Columns, rows: Indexes) -> Indexes:
    """The bounds since the last one that had to be withheld: who withholds one doubts those before."""
    fields = columns.fields
    good = np.isin(fields["status"][rows], _TRUSTED) & np.isfinite(
        fields["lower_seconds"][rows]
        + fields["upper_seconds"][rows]
        + fields["wall_minus_steady_seconds"][rows]
    )
    withheld = np.flatnonzero(~good)
    return rows[withheld[-1] + 1 :] if len(withheld) else rows


def _bounds(columns: Columns, trusted: Iterable[tuple[int, Indexes]]) -> Bounds:
    pairs = [(np.full(len(rows), node, dtype=np.intp), rows) for node, rows in trusted]
    node = np.concatenate([_NO_ROWS, *(nodes for nodes, _ in pairs)])
    row = np.concatenate([_NO_ROWS, *(rows for _, rows in pairs)])
    wall_s = columns.fields["wall_minus_steady_seconds"][row]
    lower_s, upper_s = (columns.fields[f"{end}_seconds"][row] + wall_s for end in ("lower", "upper"))
    return Bounds(
        node,
        columns.fields["steady_seconds"][row],
        _lowered(lower_s, wall_s),
        _raised(upper_s, wall_s),
        row,
    )


def _exchanges(columns: Columns, rows: Indexes, tail: Indexes, head: Indexes, epoch: Floats) -> Exchanges:
    fields = {name: columns.fields[name][rows] for name in EXCHANGE_FIELDS}
    keep = (fields["epoch"] == epoch[tail]) & (fields["peer_epoch"] == epoch[head]) & (tail != head)
    keep &= np.isfinite(fields["lower_seconds"] + fields["upper_seconds"] + fields["steady_seconds"])
    lower_s, upper_s = fields["lower_seconds"][keep], fields["upper_seconds"][keep]
    return Exchanges(
        tail[keep],
        head[keep],
        fields["steady_seconds"][keep],
        _lowered(lower_s, lower_s),
        _raised(upper_s, upper_s),
        rows[keep],
    )


def _lowered(values: Floats, like: Floats) -> Floats:
    """A lower end, less what floats of that size lose: S of two hosts may be years apart."""
    return values - np.spacing(np.abs(like)) - np.spacing(np.abs(values))


def _raised(values: Floats, like: Floats) -> Floats:
    return values + np.spacing(np.abs(like)) + np.spacing(np.abs(values))
