"""The tables of the embedded store, derived from the declared measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.errors import UserError
from truechimer.samples import COMMON_TAGS, MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truechimer.samples import Measurement

TIMES = ("time_ns", "received_ns")
_SQL_TYPES = {"float": "DOUBLE", "int": "BIGINT"}
BOOKKEEPING = (
    "CREATE TABLE IF NOT EXISTS meta (key VARCHAR NOT NULL, value VARCHAR NOT NULL)",
    # prefix is the first 8 bytes of the hash: a scan over it finds a known batch without an index, whose
    # upkeep would cost several times the insert.
    """CREATE TABLE IF NOT EXISTS batches
    (prefix UBIGINT NOT NULL, sha256 BLOB NOT NULL, received_ns BIGINT NOT NULL, count BIGINT NOT NULL)""",
)


def quoted(name: str) -> str:
    """A name from the declaration as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def tag_names(measurement: Measurement) -> tuple[str, ...]:
    """cluster, zone, node and the measurement's own tags."""
    return (*COMMON_TAGS, *measurement.tags)


def columns_of(measurement: Measurement) -> Iterator[tuple[str, str]]:
    """(name, SQL type) of every column, in the table's order."""
    for name in TIMES:
        yield name, "BIGINT"
    for tag in tag_names(measurement):
        yield tag, "VARCHAR"
    for field in measurement.fields:
        yield field.name, _SQL_TYPES[field.kind]


def create_statement(measurement: Measurement) -> str:
    """The table of a measurement."""
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns_of(measurement))
    return f"CREATE TABLE IF NOT EXISTS {quoted(measurement.name)} ({columns})"


def known_measurement(name: str) -> Measurement:
    """Look a measurement up; UserError when there is none."""
    measurement = MEASUREMENTS.get(name)
    if measurement is None:
        raise UserError(f"unknown measurement {name!r}", hint=f"known: {', '.join(MEASUREMENTS)}")
    return measurement


def known_fields(measurement: Measurement, names: Iterable[str]) -> tuple[str, ...]:
    """The fields asked for, each once; UserError naming the first that does not exist."""
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if measurement.field(name) is None:
            known = ", ".join(field.name for field in measurement.fields)
            raise UserError(f"{measurement.name} has no field {name!r}", hint=f"known: {known}")
    return wanted


def known_tags(measurement: Measurement, names: Iterable[str]) -> tuple[str, ...]:
    """The tags asked for; UserError naming the first that does not exist."""
    wanted = tuple(names)
    for name in wanted:
        if name not in tag_names(measurement):
            known = ", ".join(tag_names(measurement))
            raise UserError(f"{measurement.name} has no tag {name!r}", hint=f"known: {known}")
    return wanted
