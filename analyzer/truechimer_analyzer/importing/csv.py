"""Tables with a header: a time, and a round trip or the length of a pause."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from truechimer.codes import Cause
from truechimer_analyzer.importing.found import (
    NS,
    Found,
    Line,
    Note,
    OtherFormat,
    Probe,
    Stop,
    decimal,
    is_length,
    is_time,
    refuse,
)
from truechimer_analyzer.importing.watching import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_NAMED_S = {**UNITS_S, "ns": 1e-9}
# At the end of a name, set apart by whatever people set it apart with.
_UNIT = re.compile(r"(?:^|[_ .(\[])(ns|us|ms|s)[)\]]?\Z")
TIME = "time"
ROUND_TRIP, PAUSE = "rtt_s", "duration_s"
_SEPARATORS = ",;\t"

Kind = Literal["rtt", "pauses"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns hold what. None: ``time``, ``rtt_s`` or ``duration_s``, and the unit of the name's end.

    ``kind`` None: pauses in a column whose name begins with ``duration`` or ``pause``, else round trips.
    """

    time: str | None = None
    value: str | None = None
    unit: str | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class _Columns:
    separator: str
    time: int
    value: int
    unit_s: float
    kind: Kind
    note: Note | None


def parse(lines: Iterable[Line], layout: Layout) -> Iterator[Found]:
    """Probes or stops of a table. Times are Unix seconds or ISO 8601 (UTC unless they say otherwise).

    An empty round trip is a lost probe. A pause begins at its time, and somebody looked from the first row
    to the last. Raises OtherFormat when the header lacks a column.
    """
    columns: _Columns | None = None
    windows: Windows | None = None
    for line in lines:
        if line.why is not None:
            yield refuse(line, line.why)
        elif not line.text.strip():
            continue
        elif columns is None:
            columns = _header(line, layout)
            if columns.note is not None:
                yield columns.note
        else:
            found = _row(line, columns)
            if isinstance(found, Stop):
                windows = windows or Windows(found.time_ns)
                yield from windows.stopped(found.time_ns, found.duration_s)
            yield found
    if windows is not None:
        yield from windows.end()


def _header(line: Line, layout: Layout) -> _Columns:
    separator = max(_SEPARATORS, key=line.text.count)
    names = [name.strip() for name in _split(line.text, separator)]
    value_name = layout.value
    if value_name is None:
        wanted = {"rtt": (ROUND_TRIP,), "pauses": (PAUSE,), None: (ROUND_TRIP, PAUSE)}[layout.kind]
        value_name = next((name for name in wanted if name in names), wanted[0])
    time_name = layout.time or TIME
    for name, option in ((time_name, "--time-column"), (value_name, "--value-column")):
        if name not in names:
            known = ", ".join(names)[:200]
            raise OtherFormat(
                f"the table has no column {name!r} in its header (line {line.number})",
                hint=f"name the column with {option}; the header is: {known}",
            )
    is_pause = value_name.lower().startswith(("duration", "pause"))
    kind: Kind = layout.kind or ("pauses" if is_pause else "rtt")
    named = _UNIT.search(value_name)
    told = layout.unit or (None if named is None else named.group(1))
    note = None
    if told is None:
        note = Note(f"column {value_name!r} is taken to be in seconds: --unit ms or us says otherwise")
    return _Columns(
        separator, names.index(time_name), names.index(value_name), _NAMED_S[told or "s"], kind, note
    )


def _row(line: Line, columns: _Columns) -> Found:
    try:
        cells = _split(line.text, columns.separator)
        time_text, text = cells[columns.time].strip(), cells[columns.value].strip()
    except IndexError:
        return refuse(line, "fewer columns than the header")
    except csv.Error as error:
        return refuse(line, f"no row of a table: {error}")
    time_ns = time_of(time_text)
    if time_ns is None:
        return refuse(line, "its time is neither Unix seconds nor ISO 8601 of the years 1970 to 2255")
    if not text and columns.kind == "rtt":
        return Probe(time_ns, None)
    number = _number(text, columns.separator)
    seconds = number * columns.unit_s
    if not is_length(seconds):
        return refuse(line, "its value is no length of time")
    if columns.kind == "rtt":
        return Probe(time_ns, seconds)
    return Stop(time_ns, seconds, Cause.UNKNOWN.value)


def _number(text: str, separator: str) -> float:
    if separator == "," and "," in text:
        return math.nan
    return decimal(text)


def _split(text: str, separator: str) -> list[str]:
    if '"' not in text:
        return text.split(separator)
    return next(csv.reader([text], delimiter=separator, strict=True), [])


def time_of(text: str) -> int | None:
    """Unix seconds or ISO 8601 as Unix ns; None for what is no time."""
    seconds = decimal(text) if "," not in text else math.nan
    if math.isnan(seconds):
        try:
            moment = datetime.fromisoformat(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    return round(seconds * NS) if math.isfinite(seconds) and is_time(seconds * NS) else None
