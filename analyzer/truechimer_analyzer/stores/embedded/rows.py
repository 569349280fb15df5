"""Samples to columns to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.stores.embedded.tables import quoted, tag_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from numpy.typing import NDArray

    from truechimer.samples import Field, Measurement, Sample
    from truechimer_analyzer.stores import Batch


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """One sample of each identity (measurement, tags, time): the last given wins, the order is kept."""
    return list(
        {
            (sample.measurement, sample.time_ns, frozenset(sample.tags.items())): sample for sample in samples
        }.values()
    )


def insert(connection: duckdb.DuckDBPyConnection, batches: Sequence[Batch], received_ns: int) -> list[int]:
    """Insert batches and their hashes in the running transaction; returns the rows of each."""
    counts: list[int] = []
    by_measurement: dict[str, list[Sample]] = {}
    for batch in batches:
        samples = distinct(batch.samples)
        counts.append(len(samples))
        for sample in samples:
            by_measurement.setdefault(sample.measurement, []).append(sample)
    for name, samples in by_measurement.items():
        columns = to_columns(MEASUREMENTS[name], samples, received_ns)
        _insert_columns(connection, name, columns)
    if batches:
        _insert_columns(
            connection,
            "batches",
            {
                "prefix": np.array([int.from_bytes(b.identity[:8], "big") for b in batches], dtype=np.uint64),
                "sha256": np.array([b.identity.hex() for b in batches], dtype=object),
                "received_ns": np.full(len(batches), received_ns, dtype=np.int64),
                "count": np.array(counts, dtype=np.int64),
            },
            expressions={"sha256": "unhex(sha256)"},
        )
    return counts


def to_columns(
    measurement: Measurement, samples: Sequence[Sample], received_ns: int
) -> dict[str, NDArray[Any]]:
    """Times int64, tags str or None, floats masked where absent, integers likewise (exact to 64 bits)."""
    columns: dict[str, NDArray[Any]] = {
        "time_ns": np.array([sample.time_ns for sample in samples], dtype=np.int64),
        "received_ns": np.full(len(samples), received_ns, dtype=np.int64),
    }
    for tag in tag_names(measurement):
        columns[tag] = np.array([sample.tags.get(tag) for sample in samples], dtype=object)
    for field in measurement.fields:
        values = [sample.fields.get(field.name) for sample in samples]
        if any(value is not None for value in values):
            columns[field.name] = _field_column(field, values)
    return columns


def _field_column(field: Field, values: list[float | int | None]) -> NDArray[Any]:
    kind = np.float64 if field.kind == "float" else np.int64
    filled = np.array([0 if value is None else value for value in values], dtype=kind)
    absent = np.array([value is None for value in values])
    return np.ma.masked_array(filled, mask=absent) if absent.any() else filled


def _insert_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, NDArray[Any]],
    expressions: dict[str, str] | None = None,
) -> None:
    names = ", ".join(quoted(name) for name in columns)
    values = ", ".join((expressions or {}).get(name, quoted(name)) for name in columns)
    connection.register("incoming", columns)
    try:
        connection.execute(
            f"INSERT INTO {quoted(table)} ({names}) SELECT {values} FROM incoming"  # noqa: S608 - declared names
        )
    finally:
        connection.unregister("incoming")
