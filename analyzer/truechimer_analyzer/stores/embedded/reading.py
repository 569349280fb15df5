"""Queries of the embedded store: SQL text and its parameters, and columns from what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from truechimer_analyzer.stores import Columns, Distribution
from truechimer_analyzer.stores.embedded.tables import known_tags, quoted, tag_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray

    from truechimer.samples import Measurement
    from truechimer_analyzer.stores import Aggregate

# ruff: noqa: S608 - names come from the declared measurements, values only as parameters

_SQL_AGGREGATES: Mapping[Aggregate, str] = {
    "min": "min({0})",
    "max": "max({0})",
    "avg": "avg({0})",
    "sum": "sum({0})",
    "last": "arg_max({0}, time_ns)",
}


@dataclass(slots=True)
class Condition:
    """What rows must fulfil, as SQL with its parameters."""

    terms: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def add(self, term: str, *values: object) -> None:
        """One more term; a ? in it for each value."""
        self.terms.append(term)
        self.values.extend(values)

    @property
    def sql(self) -> str:
        """The WHERE clause, empty without terms."""
        return f" WHERE {' AND '.join(self.terms)}" if self.terms else ""


def condition(
    measurement: Measurement,
    nodes: Sequence[str] | None,
    cluster: str | None,
    tags: Mapping[str, str] | None,
) -> Condition:
    """Rows of these nodes, this cluster and these tags; UserError for a tag that does not exist."""
    wanted = Condition()
    if nodes is not None:
        wanted.add("list_contains(?::VARCHAR[], node)", list(nodes))
    if cluster is not None:
        wanted.add("cluster = ?", cluster)
    for tag in known_tags(measurement, tags or ()):
        wanted.add(f"coalesce({quoted(tag)}, '') = ?", (tags or {})[tag])
    return wanted


def select_rows(
    measurement: Measurement, fields: Sequence[str], present: set[str], tail: str, condition: Condition
) -> tuple[str, list[object]]:
    """Times, tags and fields of rows; fields that the file lacks (read-only, older) are NaN."""
    columns = ["time_ns", "received_ns", *_tags(measurement)]
    columns += [f"{_number(name, present)} AS {quoted('f_' + name)}" for name in fields]
    sql = f"SELECT {', '.join(columns)} FROM {quoted(measurement.name)}{condition.sql} {tail}"
    return sql, condition.values


def select_buckets(
    measurement: Measurement,
    fields: Mapping[str, Aggregate],
    present: set[str],
    width_ns: int,
    condition: Condition,
) -> tuple[str, list[object]]:
    """One row per series and ``width_ns`` of time."""
    tags = ", ".join(quoted(tag) for tag in tag_names(measurement))
    columns = ["max(time_ns) AS time_ns", "max(received_ns) AS received_ns", *_tags(measurement)]
    for name, aggregate in fields.items():
        value = quoted(name) if name in present else "NULL::DOUBLE"
        thinned = _SQL_AGGREGATES[aggregate].format(value)
        columns.append(f"coalesce(CAST({thinned} AS DOUBLE), 'NaN'::DOUBLE) AS {quoted('f_' + name)}")
    sql = (
        f"SELECT {', '.join(columns)} FROM {quoted(measurement.name)}{condition.sql}"
        f" GROUP BY {tags}, time_ns // {int(width_ns)} ORDER BY {tags}, 1"
    )
    return sql, condition.values


def select_tally(
    measurement: Measurement, by: Sequence[str], condition: Condition
) -> tuple[str, list[object]]:
    """Each series' tags, rows, first and last time."""
    tags = ", ".join(f"coalesce({quoted(tag)}, '')" for tag in by)
    sql = (
        f"SELECT {tags}, count(*), min(time_ns), max(time_ns) FROM {quoted(measurement.name)}{condition.sql}"
        f" GROUP BY {tags} ORDER BY {tags}"
    )
    return sql, condition.values


def select_distribution(
    measurement: Measurement,
    name: str,
    group_by: Sequence[str],
    quantiles: Sequence[float],
    condition: Condition,
) -> tuple[str, list[object]]:
    """Count, missing, least, mean, greatest and quantiles (observed values) per group."""
    groups = [f"coalesce({quoted(tag)}, '')" for tag in group_by]
    value = quoted(name)
    points = ", ".join(repr(float(q)) for q in quantiles)
    figures = [
        f"count({value})",
        f"count(*) - count({value})",
        f"min({value})",
        f"avg({value})",
        f"max({value})",
        f"quantile_disc({value}, [{points}])" if quantiles else "[]",
    ]
    by = f" GROUP BY {', '.join(groups)} ORDER BY {', '.join(groups)}" if groups else ""
    sql = f"SELECT {', '.join(groups + figures)} FROM {quoted(measurement.name)}{condition.sql}{by}"
    return sql, condition.values


def to_columns(measurement: Measurement, fields: Sequence[str], cursor: duckdb.DuckDBPyConnection) -> Columns:
    """The result of ``select_rows`` or ``select_buckets``."""
    got: dict[str, NDArray[Any]] = cursor.fetchnumpy()
    return Columns(
        measurement=measurement.name,
        time_ns=np.asarray(got["time_ns"], dtype=np.int64),
        received_ns=np.asarray(got["received_ns"], dtype=np.int64),
        tags={tag: np.asarray(got["t_" + tag], dtype=object) for tag in tag_names(measurement)},
        fields={name: np.asarray(got["f_" + name], dtype=np.float64) for name in fields},
    )


def no_rows(measurement: Measurement, fields: Sequence[str]) -> Columns:
    """Columns of length 0."""
    return Columns(
        measurement=measurement.name,
        time_ns=np.zeros(0, dtype=np.int64),
        received_ns=np.zeros(0, dtype=np.int64),
        tags={tag: np.zeros(0, dtype=object) for tag in tag_names(measurement)},
        fields={name: np.zeros(0) for name in fields},
    )


def to_distribution(row: Sequence[Any], groups: int, quantiles: Sequence[float]) -> Distribution:
    """One row of ``select_distribution``."""
    count, missing, least, mean, greatest, points = row[groups:]
    nan = float("nan")
    values = points or [None] * len(quantiles)
    return Distribution(
        group=tuple(str(value) for value in row[:groups]),
        count=int(count),
        missing=int(missing),
        min=nan if least is None else float(least),
        mean=nan if mean is None else float(mean),
        max=nan if greatest is None else float(greatest),
        quantiles={q: nan if v is None else float(v) for q, v in zip(quantiles, values, strict=True)},
    )


def _tags(measurement: Measurement) -> list[str]:
    return [f"coalesce({quoted(tag)}, '') AS {quoted('t_' + tag)}" for tag in tag_names(measurement)]


def _number(name: str, present: set[str]) -> str:
    if name not in present:
        return "'NaN'::DOUBLE"
    return f"coalesce(CAST({quoted(name)} AS DOUBLE), 'NaN'::DOUBLE)"
