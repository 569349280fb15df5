"""A JVM's stops and heap, read from outside without its help: one pread a poll."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.hotspot import place
from truechimer_agent.hotspot.counters import NS, Counters
from truechimer_agent.hotspot.perfdata import HEADER_BYTES, MAX_BYTES, parse, parse_header
from truechimer_agent.hotspot.stops import StopFinder
from truechimer_agent.processes.procfiles import parse_stat
from truechimer_agent.processes.runtimes import ProcessGone, StillLooking

if TYPE_CHECKING:
    from truechimer.readings import Reading
    from truechimer_agent.hotspot.counters import Sample
    from truechimer_agent.processes.runtimes import Polled, Target

_MAX_STAT_BYTES = 4096
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STARTING_NS = 60 * NS
"""So long a JVM may show its data before all counters are there (a slow start of a big heap)."""
_EXEC_TEXT = "libjvm.so"


class HotspotReader:
    """Polls one JVM. ``block`` is its file or its memory, which begins at ``address`` there."""

    def __init__(self, target: Target, block: int, address: int, alive: int) -> None:
        self._target = target
        self._block = block
        self._address = address
        self._alive = alive
        self._counters: Counters | None = None
        self._last: Sample | None = None
        self._finder = StopFinder()

    def poll(self, reading: Reading, steady_ns: int) -> Polled:
        """See RuntimeReader.poll. Raises StillLooking while the JVM starts."""
        target = self._target
        age_ns = reading.boot_ns - target.start_ticks * NS // _TICKS_PER_S
        try:
            counters = self._counters or self._found()
            sample = counters.sample(self._read(counters.start, counters.end))
        except DecodeError as error:
            self._check_alive()
            if self._counters is None and age_ns < _STARTING_NS:
                raise StillLooking(f"the JVM in process {target.pid} is starting: {error}") from error
            # What it says next may be told in other places: nothing of it can be compared.
            self._counters = self._last = None
            self._finder = StopFinder()
            raise CollectFailure(f"process {target.pid} is no HotSpot JVM, or damaged: {error}") from error
        except OSError as error:
            self._check_alive()
            raise place.gone_or_lacking(target, error, "the performance data") from error
        # Counters that moved are alive.
        if sample is self._last:
            self._check_alive()
        self._last = sample
        return self._finder.saw(sample, reading.mono_ns, steady_ns, age_ns)

    def close(self) -> None:
        """Let go of the files."""
        block, alive, self._block, self._alive = self._block, self._alive, -1, -1
        for file in (block, alive):
            if file >= 0:
                os.close(file)

    def _found(self) -> Counters:
        """Where the counters are. Raises StillLooking, DecodeError, OSError."""
        header = parse_header(self._read(0, HEADER_BYTES))
        if not header.is_accessible:
            raise StillLooking(f"the JVM in process {self._target.pid} is starting")
        block = self._read(0, min(header.used, MAX_BYTES))
        self._counters = Counters(parse(block), block)
        return self._counters

    def _read(self, start: int, end: int) -> bytes:
        block = os.pread(self._block, end - start, self._address + start)
        if len(block) != end - start:
            raise DecodeError(f"only {len(block)} bytes of performance data at {start}, not {end - start}")
        return block

    def _check_alive(self) -> None:
        # The open file is of this process for ever: a pid used again is another's. A zombie has no memory.
        try:
            is_alive = not os.pread(self._alive, 64, 0).startswith(b"0 ")
        except ProcessLookupError:
            is_alive = False
        if not is_alive:
            raise ProcessGone(f"process {self._target.pid} ended")


def open_runtime(target: Target, *, scan: bool) -> HotspotReader:
    """A reader for the JVM in ``target``.

    With ``scan`` a JVM that shares no file is read through its memory (/proc/PID/mem). Raises Lacking when
    the process is no JVM, shares nothing, or may not be read; ProcessGone; CollectFailure.
    """
    path = target.proc / str(target.pid)
    opened: list[int] = []
    try:
        process = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.append(process)
        alive = os.open("statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
        opened.append(alive)
        if _start_ticks(process) != target.start_ticks:
            raise ProcessGone(f"pid {target.pid} is another process's now")
        maps = place.read_maps(process)
        mapped = place.parse_mapped(maps)
        if mapped is not None and not (mapped.is_deleted and scan):
            block, address = place.open_file(target, process, mapped, os.fstat(process).st_uid), 0
        else:
            block, address = _memory(target, process, maps, mapped, scan=scan)
        opened.remove(alive)
        return HotspotReader(target, block, address, alive)
    except OSError as error:
        raise place.gone_or_lacking(target, error, "the maps and files") from error
    finally:
        for file in opened:
            os.close(file)


def _memory(
    target: Target, process: int, maps: str, mapped: place.Mapped | None, *, scan: bool
) -> tuple[int, int]:
    if mapped is None and _EXEC_TEXT not in maps:
        if not maps:
            raise ProcessGone(f"process {target.pid} has no memory any more")
        raise Lacking(
            f"process {target.pid} is no HotSpot JVM: it has not loaded {_EXEC_TEXT}",
            hint="name the JVM's own process, not its launcher or wrapper",
        )
    if not scan:
        raise Lacking(
            place.hidden(target, process),
            hint="start the JVM without it, or allow looking for the data in its memory: scan = true",
        )
    memory = os.open("mem", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    address = mapped.address if mapped else place.find_in_memory(memory, place.parse_anonymous(maps))
    if address is None:
        os.close(memory)
        raise Lacking(
            f"{place.hidden(target, process)}, and none was found in its memory",
            hint="with -XX:-UsePerfData there is none: start the JVM without it",
        )
    return memory, address


def _start_ticks(process: int) -> int:
    text = place.read_whole("stat", _MAX_STAT_BYTES, folder=process)
    try:
        return parse_stat(text).start_ticks
    except (IndexError, ValueError) as error:
        raise CollectFailure(f"cannot read a process's stat: {text[:80]!r}") from error
