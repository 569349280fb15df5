"""From exchanges and bounds to constraints at one instant: each aged by what the oscillators can have done.

An exchange says l <= S_b − S_a <= u when S_a was s. Up to the instant, S_a went on by τ, and S_b − S_a
changed by τ (f_a − f_b) / (1 + f_b) for some frequency errors f = d(UTC − S)/dS within the bounds that each
node told: for τ < 0 as well, where the instant lies before the exchange. Of τ only a span is known
(``instant``); the bound takes the worst of it. UTC − S changes by f / (1 + f) of what UTC went on by.

Of every directed pair the tightest bound is kept after ageing; but of a hundred or more, the most extreme
one in a hundred are passed over: one bad stamp in a thousand would otherwise be the tightest for minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC as ZONE
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.constraints import UTC, Constraints
from truechimer_analyzer.skew.reading import READ_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.skew.instant import Places
    from truechimer_analyzer.skew.reading import Cluster

PASSED_OVER = 100
"""One in so many is passed over."""
REACH_S = 2 * READ_S
GROSS_S = 0.25
"""A contradiction of a few times this moves no place further than its doubt, and is left to ``aged``."""
LEAP_MONTHS = (1, 7)
"""Leap seconds are inserted at the end of June and December (all 27 so far)."""


class Kind(IntEnum):
    """What a constraint was taken from."""

    EXCHANGE = 0
    BOUND = 1


@dataclass(frozen=True, slots=True)
class Aged:
    """Constraints in order: y[head] − y[tail] <= weight, y = S + offset − UTC at the instant, y[0] = 0.

    ``kind`` and ``row`` say which row of the evidence each was taken from, ``widened_s`` by how much ageing
    made it looser; ``upper`` which end of the row's interval it is.
    """

    tail: Indexes
    head: Indexes
    weight_s: Floats
    kind: NDArray[np.int8]
    row: Indexes
    upper: NDArray[np.bool_]
    widened_s: Floats

    def constraints(self, count: int) -> Constraints:
        """For the engine; a constraint's ``index`` is its place here."""
        return Constraints.of(count, self.tail, self.head, self.weight_s)


def aged(cluster: Cluster, places: Places, at_s: float) -> Aged:
    """Everything that a cluster's evidence says of the instant UTC = ``at_s``."""
    exchanges, bounds = cluster.exchanges, cluster.bounds
    since_s = at_s - places.offset_s[exchanges.tail] - exchanges.steady_s
    doubt_s = places.doubt_s[exchanges.tail]
    latest_s, earliest_s = bounds.steady_s + bounds.upper_s, bounds.steady_s + bounds.lower_s
    begin_s, end_s = same_count_of_leaps(at_s)
    near = (np.abs(at_s - earliest_s) <= READ_S) & (earliest_s >= begin_s) & (latest_s < end_s)
    return _joined(
        [
            *_of_exchanges(
                cluster, places.offset_s, since_s - doubt_s, since_s + doubt_s, np.abs(since_s) <= READ_S
            ),
            *_of_bounds(cluster, places.offset_s, at_s - latest_s, at_s - earliest_s, near),
        ]
    )


def whenever(cluster: Cluster, places: Places, at_s: float) -> Aged:
    """What the evidence says of any instant within ``REACH_S`` of it, wherever that lies in whose S.

    Looser than ``aged`` by ``GROSS_S`` and the ageing; but places are only taken off, and may be anything.
    ``at_s`` only tells on which side of a leap second the instant lies.
    """
    exchanges, bounds = cluster.exchanges, cluster.bounds
    begin_s, end_s = same_count_of_leaps(at_s)
    near = (bounds.steady_s + bounds.lower_s >= begin_s) & (bounds.steady_s + bounds.upper_s < end_s)
    reach_s, reach_too_s = (np.full(len(each.row), REACH_S) for each in (exchanges, bounds))
    every = np.ones(len(exchanges.row), dtype=np.bool_)
    found = _joined(
        [
            *_of_exchanges(cluster, places.offset_s, -reach_s, reach_s, every),
            *_of_bounds(cluster, places.offset_s, -reach_too_s, reach_too_s, near),
        ]
    )
    return replace(found, weight_s=found.weight_s + GROSS_S, widened_s=found.widened_s + GROSS_S)


def _of_exchanges(
    cluster: Cluster, offset_s: Floats, begin_s: Floats, end_s: Floats, near: NDArray[np.bool_]
) -> list[Aged]:
    """Those that are ``near``, aged by some S of the tail's between ``begin_s`` and ``end_s``."""
    every = cluster.exchanges
    rows = np.flatnonzero(near & np.isfinite(offset_s[every.tail]) & np.isfinite(offset_s[every.head]))
    tail, head, row = every.tail[rows], every.head[rows], every.row[rows]
    slow = (1 + cluster.drift_lower[tail]) / (1 + cluster.drift_upper[head]) - 1
    fast = (1 + cluster.drift_upper[tail]) / (1 + cluster.drift_lower[head]) - 1
    least_s, most_s = _products(begin_s[rows], end_s[rows], slow, fast)
    shift_s = offset_s[head] - offset_s[tail]
    upper_s, lower_s = every.upper_s[rows] + most_s + shift_s, every.lower_s[rows] + least_s + shift_s
    key = tail * cluster.count + head
    return [
        _tightest(key, tail, head, upper_s, most_s, row, True),
        _tightest(key, head, tail, -lower_s, -least_s, row, False),
    ]


def _of_bounds(
    cluster: Cluster, offset_s: Floats, begin_s: Floats, end_s: Floats, near: NDArray[np.bool_]
) -> list[Aged]:
    """Those that are ``near``, aged by some UTC between ``begin_s`` and ``end_s``."""
    every = cluster.bounds
    rows = np.flatnonzero(near & np.isfinite(offset_s[every.node]))
    node, row = every.node[rows], every.row[rows]
    # S went on by UTC's way / (1 + f).
    slow = cluster.drift_lower[node] / (1 + cluster.drift_lower[node])
    fast = cluster.drift_upper[node] / (1 + cluster.drift_upper[node])
    least_s, most_s = _products(begin_s[rows], end_s[rows], slow, fast)
    upper_s, lower_s = every.upper_s[rows] + most_s, every.lower_s[rows] + least_s
    utc = np.full(len(node), UTC, dtype=np.intp)
    return [
        _tightest(node, utc, node, offset_s[node] - lower_s, -least_s, row, False, Kind.BOUND),
        _tightest(node, node, utc, upper_s - offset_s[node], most_s, row, True, Kind.BOUND),
    ]


def same_count_of_leaps(at_s: float) -> tuple[float, float]:
    """The half year (from, to; Unix s) around an instant: a bound of UTC is not aged across its ends."""
    moment = datetime.fromtimestamp(at_s, tz=ZONE)
    month = LEAP_MONTHS[0] if moment.month < LEAP_MONTHS[1] else LEAP_MONTHS[1]
    begin = datetime(moment.year, month, 1, tzinfo=ZONE)
    end = (
        begin.replace(month=LEAP_MONTHS[1])
        if month == LEAP_MONTHS[0]
        else begin.replace(year=moment.year + 1, month=LEAP_MONTHS[0])
    )
    return begin.timestamp(), end.timestamp()


def _products(begin_s: Floats, end_s: Floats, slow: Floats, fast: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest τ f for τ in [begin, end] and f in [slow, fast]."""
    every = np.stack((begin_s * slow, begin_s * fast, end_s * slow, end_s * fast))
    return every.min(axis=0), every.max(axis=0)


def _tightest(
    key: Indexes,
    tail: Indexes,
    head: Indexes,
    weight_s: Floats,
    widened_s: Floats,
    row: Indexes,
    upper: bool,
    kind: Kind = Kind.EXCHANGE,
) -> Aged:
    """Of equal keys the tightest that is not passed over."""
    order = np.lexsort((weight_s, key))
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    lengths = np.diff(first, append=len(order))
    over = lengths // PASSED_OVER if kind is Kind.EXCHANGE else 0
    kept = order[first + over]
    return Aged(
        tail[kept],
        head[kept],
        weight_s[kept],
        np.full(len(kept), kind, dtype=np.int8),
        row[kept],
        np.full(len(kept), upper),
        widened_s[kept],
    )


def _joined(parts: list[Aged]) -> Aged:
    return Aged(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("tail", "head", "weight_s", "kind", "row", "upper", "widened_s")
        )
    )
