"""From exchanges and bounds to constraints at one instant: each aged by what the oscillators can have done.

An exchange says l <= S_b − S_a <= u when S_a was s. Up to the instant, S_a went on by τ, and S_b − S_a
changed by τ (f_a − f_b) / (1 + f_b) for some frequency errors f = d(UTC − S)/dS within the bounds that each
node told: for τ < 0 as well, where the instant lies before the exchange. Of τ only a span is known
(``instant``); the bound takes the worst of it. UTC − S changes by f / (1 + f) of what UTC went on by.

Of every directed pair the tightest bound is kept after ageing; but of a hundred or more, the most extreme
one in a hundred are passed over: one bad stamp in a thousand would otherwise be the tightest for minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    return _joined([*_of_exchanges(cluster, places, at_s), *_of_bounds(cluster, places, at_s)])


def _of_exchanges(cluster: Cluster, places: Places, at_s: float) -> list[Aged]:
    every = cluster.exchanges
    middle_s = at_s - places.offset_s[every.tail] - every.steady_s
    near = np.flatnonzero((np.abs(middle_s) <= READ_S) & np.isfinite(places.offset_s[every.head]))
    middle_s = middle_s[near]
    tail, head = every.tail[near], every.head[near]
    doubt_s = places.doubt_s[tail]
    slow = (1 + cluster.drift_lower[tail]) / (1 + cluster.drift_upper[head]) - 1
    fast = (1 + cluster.drift_upper[tail]) / (1 + cluster.drift_lower[head]) - 1
    least_s, most_s = _products(middle_s - doubt_s, middle_s + doubt_s, slow, fast)
    shift_s = places.offset_s[head] - places.offset_s[tail]
    key = tail * cluster.count + head
    return [
        _tightest(key, tail, head, every.upper_s[near] + most_s + shift_s, most_s, every.row[near], True),
        _tightest(
            key, head, tail, -(every.lower_s[near] + least_s + shift_s), -least_s, every.row[near], False
        ),
    ]


def _of_bounds(cluster: Cluster, places: Places, at_s: float) -> list[Aged]:
    every = cluster.bounds
    earliest_s, latest_s = every.steady_s + every.lower_s, every.steady_s + every.upper_s
    begin_s, end_s = same_count_of_leaps(at_s)
    near = np.flatnonzero(
        (np.abs(at_s - earliest_s) <= READ_S)
        & (earliest_s >= begin_s)
        & (latest_s < end_s)
        & np.isfinite(places.offset_s[every.node])
    )
    node = every.node[near]
    # S went on by UTC's way / (1 + f).
    slow = cluster.drift_lower[node] / (1 + cluster.drift_lower[node])
    fast = cluster.drift_upper[node] / (1 + cluster.drift_upper[node])
    least_s, most_s = _products(at_s - latest_s[near], at_s - earliest_s[near], slow, fast)
    offset_s, row, utc = places.offset_s[node], every.row[near], np.full(len(node), UTC, dtype=np.intp)
    return [
        _tightest(
            node, utc, node, offset_s - every.lower_s[near] - least_s, -least_s, row, False, Kind.BOUND
        ),
        _tightest(node, node, utc, every.upper_s[near] + most_s - offset_s, most_s, row, True, Kind.BOUND),
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
