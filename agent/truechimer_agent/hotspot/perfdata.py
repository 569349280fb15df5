"""HotSpot's performance data: what /tmp/hsperfdata_USER/PID holds. Sans-IO; every field is checked.

Source: OpenJDK, src/hotspot/share/runtime/perfMemory.hpp (PerfDataPrologue, PerfDataEntry, version 2.0).
A running JVM appends entries and never moves one, so offsets hold for its life.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\xca\xfe\xc0\xc0"
MAX_BYTES = 1 << 20
"""PerfDataMemorySize is 32 KiB unless somebody asked for more."""
HEADER_BYTES = 32
_MAJOR = 2
_MAX_NAME_BYTES = 512
_LONG = ord("J")
_TEXT = ord("B")
_LONG_BYTES = 8


@dataclass(frozen=True, slots=True)
class Header:
    """The prologue; ``order`` is ``<`` or ``>`` for struct."""

    order: str
    is_accessible: bool
    used: int
    entries_at: int
    entries: int


@dataclass(frozen=True, slots=True)
class PerfData:
    """Where each counter is: offsets of 8-byte integers; texts (names, versions, options) by value."""

    header: Header
    longs: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def parse_header(block: bytes) -> Header:
    """The first 32 bytes, checked against each other. Raises DecodeError."""
    if len(block) < HEADER_BYTES:
        raise DecodeError(f"performance data has at least {HEADER_BYTES} bytes, this has {len(block)}")
    if block[:4] != MAGIC:
        raise DecodeError(f"no performance data: it begins with {block[:4].hex()}")
    order, major, _, accessible = block[4:8]
    if order > 1 or accessible > 1:
        raise DecodeError(f"performance data with byte order {order} and access flag {accessible}")
    if major != _MAJOR:
        raise DecodeError(f"performance data of version {major}, this agent reads {_MAJOR}")
    mark = "<" if order == 1 else ">"
    (used,) = struct.unpack_from(mark + "i", block, 8)
    entries_at, entries = struct.unpack_from(mark + "ii", block, 24)
    if accessible and not HEADER_BYTES <= entries_at <= used <= MAX_BYTES:
        raise DecodeError(f"performance data of {used} bytes whose entries begin at {entries_at}")
    if not 0 <= entries <= MAX_BYTES // _EntryLayout.size:
        raise DecodeError(f"performance data with {entries} entries")
    return Header(mark, accessible == 1, used, entries_at, entries)


class _EntryLayout:
    """Length, name's offset, vector's length; type, flags, units, variability; data's offset."""

    form = "iiiBBBBi"
    size = 20


def parse(block: bytes) -> PerfData:
    """All entries of a block (the whole file); none of one that is not accessible yet.

    Raises DecodeError for anything that HotSpot does not write.
    """
    header = parse_header(block)
    if not header.is_accessible:
        return PerfData(header)
    if header.used > len(block):
        raise DecodeError(f"performance data that uses {header.used} of {len(block)} bytes")
    entry = struct.Struct(header.order + _EntryLayout.form)
    longs: dict[str, int] = {}
    texts: dict[str, str] = {}
    at = header.entries_at
    for _ in range(header.entries):
        if at + entry.size > header.used:
            raise DecodeError(f"an entry at {at} goes beyond the {header.used} bytes used")
        length, name_at, vector, kind, _, _, _, data_at = entry.unpack_from(block, at)
        end = at + length
        if length < entry.size or end > header.used:
            raise DecodeError(f"an entry at {at} of {length} bytes, {header.used} are used")
        name = _name(block, at, name_at, end)
        if name in longs or name in texts:
            raise DecodeError(f"two entries named {name}")
        size = vector or _LONG_BYTES
        if vector < 0 or data_at < entry.size or at + data_at + size > end:
            raise DecodeError(f"{name}: {size} bytes of data at {data_at} of an entry of {length}")
        if kind == _LONG and vector == 0:
            longs[name] = at + data_at
        elif kind == _TEXT and vector:
            data = block[at + data_at : at + data_at + vector]
            texts[name] = data.partition(b"\0")[0].decode(errors="replace")
        at = end
    return PerfData(header, longs, texts)


def _name(block: bytes, at: int, name_at: int, end: int) -> str:
    start = at + name_at
    if name_at < _EntryLayout.size or start >= end:
        raise DecodeError(f"an entry at {at} whose name is at {name_at}")
    stop = block.find(b"\0", start, min(end, start + _MAX_NAME_BYTES))
    if stop <= start:
        raise DecodeError(f"an entry at {at} without an end of its name, or without a name")
    name = block[start:stop]
    if not name.isascii():
        raise DecodeError(f"an entry at {at} whose name is not ASCII")
    return name.decode("ascii")
