"""Whole series out of a table that is in the order of arrival: some series at a time, each a scan of it.

Rows come back with a hash of their tags in place of the tags themselves: to make a string of each would take
longer than all the rest, and several times the memory.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from truechimer_analyzer.stores import Series, StoreFailed
from truechimer_analyzer.stores.embedded.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb
    from numpy.typing import NDArray

    from truechimer.samples import Measurement
    from truechimer_analyzer.stores import Tally

# ruff: noqa: S608 - names come from the declared measurements, values only as parameters

ROWS_AT_ONCE = 8_000_000


def batches(of: Sequence[Tally]) -> Iterator[list[Tally]]:
    """Neighbours that are read in one scan: with ``ROWS_AT_ONCE`` at most, one at least."""
    batch: list[Tally] = []
    rows = 0
    for each in of:
        if batch and rows + each.rows > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(each)
        rows += each.rows
    if batch:
        yield batch


def fetch(
    measurement: Measurement,
    fields: Sequence[str],
    present: set[str],
    by: Sequence[str],
    batch: Sequence[Tally],
    since_ns: int,
    until_ns: int,
    cursor: duckdb.DuckDBPyConnection,
) -> list[Series]:
    """The series of one batch, in its order."""
    values = ", ".join(f"coalesce({quoted(tag)}, '')" for tag in by)
    code = f"hash({values})"
    codes = _codes(batch, by, cursor)
    columns = ["time_ns", f"{code} AS series"]
    columns += [f"{_number(measurement, name, present)} AS {quoted('f_' + name)}" for name in fields]
    sql = (
        f"SELECT {', '.join(columns)} FROM {quoted(measurement.name)}"
        f" WHERE {code} IN ({', '.join('?' * len(codes))}) AND time_ns >= ? AND time_ns < ?"
    )
    got = cursor.execute(sql, [*codes.tolist(), since_ns, until_ns]).fetchnumpy()
    by_code = np.argsort(codes)
    number = by_code[np.searchsorted(codes[by_code], got.pop("series"))]
    # Few values: a stable sort of small numbers is one of their digits.
    number = number.astype(np.uint16 if len(batch) < 1 << 16 else np.int64)
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number, minlength=len(batch))).tolist()
    del number
    return [
        _series(each.key, got, order[begin:end], fields)
        for each, (begin, end) in zip(batch, pairwise([0, *ends]), strict=True)
    ]


def _codes(
    batch: Sequence[Tally], by: Sequence[str], cursor: duckdb.DuckDBPyConnection
) -> NDArray[np.uint64]:
    tags = {f"tag{n}": np.array([each.key[n] for each in batch], dtype=object) for n in range(len(by))}
    tags["number"] = np.arange(len(batch))
    cursor.register("wanted", tags)
    try:
        sql = f"SELECT hash({', '.join(f'tag{n}' for n in range(len(by)))}) FROM wanted ORDER BY number"
        codes = np.array([row[0] for row in cursor.execute(sql).fetchall()], dtype=np.uint64)
    finally:
        cursor.unregister("wanted")
    if len(np.unique(codes)) < len(codes):
        raise StoreFailed("two series have one hash: ask for fewer nodes at a time")
    return codes


def _series(
    key: tuple[str, ...], got: dict[str, NDArray[Any]], rows: NDArray[np.intp], fields: Sequence[str]
) -> Series:
    time_ns = np.asarray(got["time_ns"], dtype=np.int64)[rows]
    if (time_ns[1:] < time_ns[:-1]).any():
        # What was sent again, or by a clock that was set back, is stored late.
        by_time = np.argsort(time_ns, kind="stable")
        time_ns, rows = time_ns[by_time], rows[by_time]
    values = {name: np.asarray(got["f_" + name])[rows].astype(np.float64) for name in fields}
    return Series(key, time_ns, values)


def _number(measurement: Measurement, name: str, present: set[str]) -> str:
    if name not in present:
        return "'NaN'::FLOAT"
    field = measurement.field(name)
    # A code is exact in half the room.
    kind = "DOUBLE" if field is None or field.codes is None else "FLOAT"
    return f"coalesce(CAST({quoted(name)} AS {kind}), 'NaN'::{kind})"
