"""The part of ``runtime.mstats`` that counts collections: its layout, and what it can hold at all.

Source: runtime/mstats.go, ``type mstats struct``, the same from Go 1.19 to 1.27 on 64-bit machines:
last_gc_unix u64, pause_total_ns u64, pause_ns [256]u64, pause_end [256]u64 (Unix ns, by the wall clock),
numgc u32, numforcedgc u32, gc_cpu_fraction f64, last_gc_nanotime u64. Collection number n (from 0) has its
length in pause_ns[n % 256] and its end in pause_end[n % 256]; runtime/mgc.go (gcMarkTermination) writes
last_gc_unix first and numgc last. Only little-endian machines are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from truechimer.errors import DecodeError

RING = 256
_LAYOUT = struct.Struct(f"<QQ{RING}Q{RING}QIIdQ")
SIZE = _LAYOUT.size
NUMGC_OFFSET = 2 * 8 + 2 * RING * 8
COUNT = struct.Struct("<I")
COUNT_LIMIT = 1 << 32
_ENDS_OFFSET = 2 * 8 + RING * 8
_LEAST_NANOTIME = 1 << 16
"""``runtime.MemStats``, which programs keep copies of, is laid out alike, but has EnableGC, DebugGC here."""
_MOST_STEPS_BACK = 8
"""How often the wall clock may have been set back during the last 256 collections."""
_SLACK_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What cannot be exceeded: ``age_ns``, how long the process has been there (asleep or not)."""

    age_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """One consistent state: ``count`` collections (modulo 2³²) paused for ``total_ns``.

    ``pauses_ns`` and ``ends_wall_ns``: the last ones, at most 256, oldest first.
    """

    count: int
    total_ns: int
    pauses_ns: tuple[int, ...]
    ends_wall_ns: tuple[int, ...]


def is_settled(data: bytes | bytearray, offset: int = 0) -> bool:
    """Whether a record at ``offset`` has its cheapest signs: the latest end is also the last collection.

    False in the middle of a write, too. ``data`` must hold ``SIZE`` bytes from there on.
    """
    (count,) = COUNT.unpack_from(data, offset + NUMGC_OFFSET)
    if not count:
        return False
    place = offset + _ENDS_OFFSET + 8 * ((count - 1) % RING)
    return data[place : place + 8] == data[offset : offset + 8]


def decode(data: bytes | bytearray, limits: Limits) -> Record:
    """A record from ``SIZE`` bytes; raises DecodeError for what the runtime cannot have written."""
    if len(data) < SIZE:
        raise DecodeError(f"{len(data)} bytes are no record of {SIZE}")
    values = _LAYOUT.unpack_from(data)
    last_wall_ns, total_ns = values[:2]
    pauses, ends = values[2 : 2 + RING], values[2 + RING : 2 + 2 * RING]
    count, forced, _fraction, nanotime = values[2 + 2 * RING :]
    if not count:
        raise DecodeError("no collection yet")
    if forced > count:
        raise DecodeError(f"{forced} of {count} collections were forced")
    if nanotime < _LEAST_NANOTIME:
        raise DecodeError("a copy for the program (runtime.MemStats), not the runtime's own")
    if ends[(count - 1) % RING] != last_wall_ns:
        raise DecodeError("the latest end is not that of the last collection")
    if count < RING:
        if any(pauses[count:]) or any(ends[count:]):
            raise DecodeError("pauses of collections that were not")
        pauses, ends = pauses[:count], ends[:count]
    else:
        oldest = count % RING
        pauses, ends = pauses[oldest:] + pauses[:oldest], ends[oldest:] + ends[:oldest]
    _check_sums(count, total_ns, pauses, limits)
    _check_ends(ends)
    return Record(count, total_ns, pauses, ends)


def _check_sums(count: int, total_ns: int, pauses: tuple[int, ...], limits: Limits) -> None:
    seen_ns = sum(pauses)
    if seen_ns > total_ns or (count <= RING and seen_ns != total_ns):
        raise DecodeError(f"pauses of {seen_ns} ns in a total of {total_ns} ns")
    if not total_ns or total_ns > limits.age_ns + _SLACK_NS:
        raise DecodeError(f"paused for {total_ns} ns in a life of {limits.age_ns} ns")


def _check_ends(ends: tuple[int, ...]) -> None:
    if not all(ends):
        raise DecodeError("a collection without an end")
    steps_back = sum(map(int.__gt__, ends, ends[1:]))
    if steps_back > _MOST_STEPS_BACK:
        raise DecodeError(f"{steps_back} ends out of order")
