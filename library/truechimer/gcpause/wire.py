r"""What programs write to RUNTIME_DIR/pauses.sock: lines of text on a stream (docs/gcpause.md).

::

    H 1 RUNTIME NAME SINCE_NS              first: who tells, connected since when
    P START_NS DURATION_NS                 one pause
    S START_NS PAUSES TOTAL_NS MAX_NS       pauses since START_NS that are not told singly

Fields are parted by one space, lines end with ``\n``. Times are CLOCK_MONOTONIC in ns. Imported by
programs: nothing heavy is imported here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from truechimer.errors import DecodeError

VERSION = 1
SOCKET_NAME = "pauses.sock"
LONGEST_LINE_BYTES = 1024
"""Its end included; what this version writes stays below 160."""
RUNTIMES = ("cpython", "node", "process")

_NAME = re.compile(r"[A-Za-z0-9_.:@/+-]{1,64}", re.ASCII)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.:@/+-]+", re.ASCII)
_NUMBER = re.compile(rb"[0-9]{1,19}", re.ASCII)
_LONGEST_NAME = 64
_HELLO_FIELDS, _PAUSE_FIELDS, _SUM_FIELDS = 5, 3, 5
_RESERVED_NAMES = ("host",)
_SHOWN_BYTES = 60


class Hello(NamedTuple):
    """The first line of a connection; ``since_mono_ns``: from then on every pause is told."""

    runtime: str
    name: str
    since_mono_ns: int


class Pause(NamedTuple):
    """One pause."""

    start_mono_ns: int
    duration_ns: int


class Sum(NamedTuple):
    """``pauses`` ≥ 1 of them since ``start_mono_ns``, ``total_ns`` long together, the longest ``max_ns``."""

    start_mono_ns: int
    pauses: int
    total_ns: int
    max_ns: int


Record = Hello | Pause | Sum


def plain_name(text: str) -> str:
    """A name that may be told: what may not be in one becomes ``_``, its end is cut off."""
    name = _NOT_IN_NAMES.sub("_", text)[:_LONGEST_NAME] or "_"
    return f"{name}_" if name in _RESERVED_NAMES else name


def encode(record: Record) -> bytes:
    """The record's line with its end."""
    if isinstance(record, Hello):
        text = f"H {VERSION} {record.runtime} {record.name} {record.since_mono_ns}\n"
    elif isinstance(record, Pause):
        text = f"P {record.start_mono_ns} {record.duration_ns}\n"
    else:
        text = f"S {record.start_mono_ns} {record.pauses} {record.total_ns} {record.max_ns}\n"
    return text.encode()


def decode(line: bytes) -> Record:
    """A line without its end. Raises DecodeError for anything that :func:`encode` does not write."""
    fields = line.split(b" ") if len(line) < LONGEST_LINE_BYTES else []
    kind = fields[0] if fields else b""
    if kind == b"P" and len(fields) == _PAUSE_FIELDS:
        return Pause(_number(fields[1]), _number(fields[2]))
    if kind == b"S" and len(fields) == _SUM_FIELDS:
        return _sum(fields)
    if kind == b"H" and len(fields) == _HELLO_FIELDS:
        return _hello(fields)
    raise DecodeError(f"not a record of version {VERSION}: {line[:_SHOWN_BYTES]!r} ({len(line)} bytes)")


def _hello(fields: list[bytes]) -> Hello:
    if _number(fields[1]) != VERSION:
        raise DecodeError(f"version {fields[1][:_SHOWN_BYTES]!r}: this agent understands {VERSION}")
    try:
        runtime, name = fields[2].decode("ascii"), fields[3].decode("ascii")
    except UnicodeDecodeError:
        raise DecodeError(f"not in ASCII: {fields[2:4]!r:.200}") from None
    if runtime not in RUNTIMES:
        raise DecodeError(f"runtime {runtime[:_SHOWN_BYTES]!r}: known are {', '.join(RUNTIMES)}")
    if not _NAME.fullmatch(name) or name in _RESERVED_NAMES:
        raise DecodeError(f"not a name: {name[:_SHOWN_BYTES]!r}")
    return Hello(runtime, name, _number(fields[4]))


def _sum(fields: list[bytes]) -> Sum:
    start, count, total, longest = (_number(field) for field in fields[1:])
    if count < 1 or not longest <= total <= longest * count:
        raise DecodeError(f"not a sum: {count} pauses, {total} ns, the longest {longest} ns")
    return Sum(start, count, total, longest)


def _number(field: bytes) -> int:
    if not _NUMBER.fullmatch(field) or (value := int(field)) >= 2**63:
        raise DecodeError(f"not a number: {field[:_SHOWN_BYTES]!r}")
    return value


class Lines:
    """Cuts a stream into lines; holds one unfinished line at most."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` ends, without their ends. Raises DecodeError when one is too long."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max((len(self._rest), *(len(line) for line in lines))) >= LONGEST_LINE_BYTES:
            self._rest = b""
            raise DecodeError(f"a line of {LONGEST_LINE_BYTES} bytes or more")
        return lines
