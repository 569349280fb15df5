"""Which of HotSpot's counters tell of stops and of the heap, and one reading of them. Sans-IO.

Source: OpenJDK, services/runtimeService.cpp, gc/shared/collectorCounters.cpp and generationCounters.cpp;
compared with the logs of JDK 17 and 25 (bench/hotspot.py).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError

if TYPE_CHECKING:
    from truechimer_agent.hotspot.perfdata import PerfData

NS = 1_000_000_000
_FREQUENCY = "sun.os.hrt.frequency"
_SAFEPOINTS = (
    "sun.rt.safepoints",
    "sun.rt.safepointSyncTime",
    "sun.rt.safepointTime",
    "sun.rt.applicationTime",
)
_OLD_USED = "sun.gc.generation.1.space.0.used"
_OLD_LIMIT = "sun.gc.generation.1.maxCapacity"
_COLLECTOR = ("invocations", "time", "lastEntryTime", "lastExitTime")
_COLLECTORS = 4
_MAX_FREQUENCY = 1_000_000_000_000
_SYNC_APART_SINCE = 13
"""Until JDK 12 safepointTime holds the time to the safepoint too."""
PAUSING = frozenset(
    {
        "G1 young collection pauses",
        "G1 full collection pauses",
        "G1 concurrent cycle pauses",
        "G1 incremental collections",
        "G1 stop-the-world full collections",
        "G1 stop-the-world phases",
        "Parallel young collection pauses",
        "Parallel full collection pauses",
        "PSScavenge",
        "PSParallelCompact",
        "Serial young collection pauses",
        "Serial full collection pauses",
        "Copy",
        "MSC",
        "PCopy",
        "CMS stop-the-world phases",
        "Z concurrent cycle pauses",
        "ZGC minor collection pauses",
        "ZGC major collection pauses",
    }
)
"""Collectors that count only what they do inside safepoints, by sun.gc.collector.N.name.

Shenandoah's spans its concurrent phases too: its invocations show a cycle at most.
"""


@dataclass(frozen=True, slots=True)
class Collections:
    """One collector's own account, in ns of the JVM's ticks. ``is_pausing``: all of it was in safepoints."""

    is_pausing: bool
    begun: int
    time_ns: int
    entry_ns: int
    exit_ns: int

    @property
    def is_running(self) -> bool:
        """A collection has begun and not ended."""
        return self.entry_ns > self.exit_ns

    @property
    def ended(self) -> int:
        """Collections that have ended."""
        return self.begun - self.is_running


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading; all times are sums in ns since the JVM began.

    ``safepoints`` counts those begun, ``sync_ns`` moves when all threads have stopped, ``ended_ns`` (and
    with it ``total_ns``, sync included) when a safepoint ends, ``running_ns`` when the next one begins.
    """

    safepoints: int
    sync_ns: int
    ended_ns: int
    total_ns: int
    running_ns: int
    collections: tuple[Collections, ...]
    old_used: int | None
    old_limit: int | None

    @property
    def told_ns(self) -> int:
        """What the JVM has accounted for: its age at the latest event of a safepoint, from a fixed start."""
        return self.total_ns + self.running_ns


class Counters:
    """Where the counters of one JVM are: ``start`` to ``end`` of its block holds them all."""

    def __init__(self, data: PerfData, block: bytes) -> None:
        """``block`` holds the frequency. Raises DecodeError without a counter that every HotSpot has."""
        missing = [name for name in (*_SAFEPOINTS, _FREQUENCY) if name not in data.longs]
        if missing:
            raise DecodeError(f"performance data without {', '.join(missing)}")
        (frequency,) = struct.unpack_from(data.header.order + "q", block, data.longs[_FREQUENCY])
        if not 1 <= frequency <= _MAX_FREQUENCY:
            raise DecodeError(f"ticks of {frequency} Hz")
        self._frequency = frequency
        version = major_version(data.texts.get("java.property.java.version", ""))
        self._is_sync_apart = version is None or version >= _SYNC_APART_SINCE
        names = list(_SAFEPOINTS)
        self._pausing: list[bool] = []
        for number in range(_COLLECTORS):
            prefix = f"sun.gc.collector.{number}."
            fields = [prefix + name for name in _COLLECTOR]
            if all(name in data.longs for name in fields):
                names += fields
                self._pausing.append(data.texts.get(prefix + "name") in PAUSING)
        self._has_old = _OLD_USED in data.longs and _OLD_LIMIT in data.longs
        if self._has_old:
            names += [_OLD_USED, _OLD_LIMIT]
        offsets = [data.longs[name] for name in names]
        self.start = min(offsets)
        self.end = max(offsets) + 8
        self._unpack, places = _unpacker(data.header.order, [offset - self.start for offset in offsets])
        self._pick = itemgetter(*places)
        self._last: Sample | None = None
        self._last_block = b""

    def sample(self, block: bytes) -> Sample:
        """The reading in bytes ``start`` to ``end``. Raises DecodeError for values below 0."""
        # A JVM at rest costs next to nothing, and its sample is the same object.
        if self._last is None or block != self._last_block:
            self._last = self._decoded(block)
            self._last_block = block
        return self._last

    def _decoded(self, block: bytes) -> Sample:
        values: tuple[int, ...] = self._pick(self._unpack.unpack(block))
        if min(values) < 0:
            raise DecodeError(f"a counter at {min(values)}")
        safepoints, sync, ended, running = values[0], *map(self._ns, values[1:4])
        total = sync + ended if self._is_sync_apart else ended
        collections = []
        for place, is_pausing in enumerate(self._pausing):
            at = 4 + 4 * place
            collections.append(Collections(is_pausing, values[at], *map(self._ns, values[at + 1 : at + 4])))
        old_used, old_limit = values[-2:] if self._has_old else (None, None)
        return Sample(
            safepoints, sync, ended, total, running, tuple(collections), old_used, old_limit or None
        )

    def _ns(self, ticks: int) -> int:
        return ticks if self._frequency == NS else ticks * NS // self._frequency


def _unpacker(order: str, offsets: list[int]) -> tuple[struct.Struct, list[int]]:
    """One struct for all 8-byte integers at ``offsets``, and where in it each is."""
    form = order
    at = 0
    places = {}
    for place, offset in enumerate(sorted(set(offsets))):
        if offset < at:
            raise DecodeError("counters that overlap")
        form += f"{offset - at}xq"
        at = offset + 8
        places[offset] = place
    return struct.Struct(form), [places[offset] for offset in offsets]


def major_version(version: str) -> int | None:
    """17 of ``17.0.15``, 8 of ``1.8.0_151``; None when it is no version."""
    found = re.match(r"(?:1\.)?([0-9]{1,3})(?![0-9])", version, re.ASCII)
    return None if found is None else int(found[1])
