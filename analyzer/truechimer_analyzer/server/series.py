"""``/api/v1/series``: any measurement's fields over time, thinned to what a picture can show."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import UserError
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.stores import AGGREGATES
from truechimer_analyzer.window import NS, groups, iso, parse_window

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Aggregate, Columns, Store
    from truechimer_analyzer.window import Window

DEFAULT_POINTS = 1000
MOST_POINTS = 20_000
_OPTIONS = frozenset(
    {"measurement", "fields", "node", "cluster", "since", "from", "to", "points", "agg", "format"}
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checked query."""

    measurement: str
    fields: Mapping[str, Aggregate]
    window: Window
    points: int
    node: str | None
    cluster: str | None
    tags: Mapping[str, str]


def series(options: Mapping[str, str], store: Store) -> tuple[dict[str, object], Columns]:
    """The document and the columns that it was made from. Raises UserError for wrong options."""
    wanted = parse(options, store.now_ns())
    columns = query(wanted, store)
    document: dict[str, object] = {
        "measurement": wanted.measurement,
        "from": iso(wanted.window.since_ns),
        "as_of": iso(wanted.window.as_of_ns),
        "aggregates": dict(wanted.fields),
        "series": [
            {
                "tags": {
                    name: str(values[rows[0]]) for name, values in columns.tags.items() if values[rows[0]]
                },
                "time_s": [float(time_ns) / NS for time_ns in columns.time_ns[rows]],
                "fields": {name: values[rows] for name, values in columns.fields.items()},
            }
            for rows in _by_series(columns)
        ],
    }
    return document, columns


def parse(options: Mapping[str, str], now_ns: int) -> Wanted:
    """Options to a query; UserError names what is wrong."""
    for name in options:
        if name not in _OPTIONS and not name.startswith("tag."):
            raise UserError(
                f"series has no option {name!r}", hint=f"known: {', '.join(sorted(_OPTIONS))}, tag.NAME"
            )
    given = {name: value.strip() for name, value in options.items() if value.strip()}
    measurement = MEASUREMENTS.get(given.get("measurement", ""))
    if measurement is None:
        raise UserError(
            f"measurement={given.get('measurement', '')!r} is not known",
            hint=f"known: {', '.join(MEASUREMENTS)}",
        )
    names = [part.strip() for part in given.get("fields", "").split(",") if part.strip()]
    aggregate = _aggregate(given.get("agg"))
    return Wanted(
        measurement=measurement.name,
        fields={
            name: aggregate or default_aggregate(name)
            for name in names or [field.name for field in measurement.fields]
        },
        window=parse_window(given, now_ns),
        points=_points(given.get("points")),
        node=given.get("node"),
        cluster=given.get("cluster"),
        tags={name[4:]: value for name, value in given.items() if name.startswith("tag.")},
    )


def query(wanted: Wanted, store: Store) -> Columns:
    """Every row where there are few, else at most about ``points`` buckets per series."""
    window = wanted.window
    nodes = None if wanted.node is None else [wanted.node]
    rows = store.count(
        wanted.measurement,
        window.since_ns,
        window.until_ns,
        nodes=nodes,
        cluster=wanted.cluster,
        tags=wanted.tags,
    )
    width_ns = 1 if rows <= wanted.points else -(-(window.as_of_ns - window.since_ns) // wanted.points)
    return store.buckets(
        wanted.measurement,
        wanted.fields,
        window.since_ns,
        window.until_ns,
        width_ns=width_ns,
        nodes=nodes,
        cluster=wanted.cluster,
        tags=wanted.tags,
    )


def default_aggregate(field: str) -> Aggregate:
    """How a field is thinned so that its extremes stay visible: bounds by their outer ends."""
    if field.endswith("_min") or field.startswith(("lower", "frequency_lower")):
        return "min"
    if field.endswith("_max") or field.startswith(("upper", "max_", "frequency_upper")):
        return "max"
    if field.endswith("_total") or field in {"status", "reason", "outcome", "verdict", "leap", "epoch"}:
        return "last"
    return "avg"


def to_csv(columns: Columns) -> str:
    """One row per point: time, tags, fields."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["time", "time_ns", *columns.tags, *columns.fields])
    for row in range(len(columns)):
        numbers = [float(values[row]) for values in columns.fields.values()]
        writer.writerow(
            [
                iso(int(columns.time_ns[row])),
                int(columns.time_ns[row]),
                *(_cell(str(values[row])) for values in columns.tags.values()),
                *("" if math.isnan(number) else repr(number) for number in numbers),
            ]
        )
    return text.getvalue()


def _cell(text: str) -> str:
    # A leading = + - @ of foreign text would be run as a formula by spreadsheets.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def _by_series(columns: Columns) -> list[NDArray[np.intp]]:
    return [rows for _, rows in groups(*columns.tags.values())]


def _aggregate(text: str | None) -> Aggregate | None:
    if text is None:
        return None
    for aggregate in AGGREGATES:
        if aggregate == text:
            return aggregate
    raise UserError(f"agg={text!r} is not known", hint=f"one of {', '.join(AGGREGATES)}")


def _points(text: str | None) -> int:
    if text is None:
        return DEFAULT_POINTS
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= MOST_POINTS:
        raise UserError(f"points={text!r} is no number from 1 to {MOST_POINTS}")
    return int(text)
