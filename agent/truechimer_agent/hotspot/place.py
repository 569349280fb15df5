"""Where a JVM's performance data is, found from outside: its file, or its place in the JVM's memory.

The process says itself which file it has mapped, so that one left behind by another JVM with the same pid
is never taken for its own. Below /proc/PID/root no link is followed: what is there is the process's to make.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.hotspot.perfdata import HEADER_BYTES, MAGIC, MAX_BYTES, parse_header
from truechimer_agent.processes.runtimes import ProcessGone

if TYPE_CHECKING:
    from truechimer_agent.processes.runtimes import Target

_MAPPED = re.compile(r"/(hsperfdata_[^/]+)/([0-9]+)( \(deleted\))?")
_MAX_MAPS_BYTES = 16 << 20
_MAX_TEXT_BYTES = 1 << 16
_PAGE = 4096
_CHUNK = 1 << 20
_MAX_LOOKED_BYTES = 64 << 20
_MAX_MAP_BYTES = 8 << 20
"""Of each map the first and the last so many bytes: the block is small, but may lie beside others."""
_HIDING = ("-XX:+PerfDisableSharedMem", "-XX:-UsePerfData")
_BOTH = " or ".join(_HIDING)


@dataclass(frozen=True, slots=True)
class Mapped:
    """The process's own performance data file: its folder in /tmp and its pid there; or only an address."""

    folder: str
    name: str
    is_deleted: bool
    address: int


def gone_or_lacking(target: Target, error: OSError, what: str) -> Exception:
    """What an OSError about a process means."""
    if isinstance(error, PermissionError):
        return Lacking(
            f"may not read {what} of process {target.pid}: {error.strerror}",
            hint="run the agent as root, or as the JVM's user",
        )
    if isinstance(error, (FileNotFoundError, ProcessLookupError)):
        return ProcessGone(f"process {target.pid} is gone")
    return CollectFailure(f"cannot read {what} of process {target.pid}: {error.strerror}")


def read_whole(path: str, limit: int, *, folder: int | None = None) -> bytes:
    """At most ``limit`` bytes. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        parts = []
        while limit > 0 and (part := os.read(file, min(limit, _CHUNK))):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        os.close(file)


def parse_mapped(maps: str) -> Mapped | None:
    """The file that /proc/PID/maps shows as the performance data; None when there is none."""
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or not fields[1].startswith("rw") or int(fields[2], 16) != 0:
            continue
        found = re.search(_MAPPED.pattern + r"\Z", fields[5])
        if found is not None:
            return Mapped(found[1], found[2], found[3] is not None, int(fields[0].split("-")[0], 16))
    return None


def parse_anonymous(maps: str) -> list[tuple[int, int]]:
    """First and last address of every private map that may be written and is of no file."""
    found = []
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if fields[1:2] == ["rw-p"] and len(fields) == 5 and fields[4] == "0":
            first, last = (int(address, 16) for address in fields[0].split("-"))
            found.append((first, last))
    return found


def open_file(target: Target, process: int, mapped: Mapped, uid: int) -> int:
    """The file, opened for reading; ``process`` is the open /proc/PID, ``uid`` its user's.

    Raises Lacking, CollectFailure when what is there cannot be HotSpot's, OSError.
    """
    path = f"/tmp/{mapped.folder}/{mapped.name}"  # noqa: S108 - HotSpot's only place
    opened = [os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)]
    try:
        for folder in ("tmp", mapped.folder):
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened.append(os.open(folder, flags, dir_fd=opened[-1]))
        opened.append(os.open(mapped.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=opened[-1]))
        status = os.fstat(opened[-1])
        if not stat.S_ISREG(status.st_mode):
            raise CollectFailure(f"{path} of process {target.pid} is no regular file")
        if status.st_uid != uid:
            raise CollectFailure(f"{path} belongs to user {status.st_uid}, process {target.pid} to {uid}")
        if not HEADER_BYTES <= status.st_size <= MAX_BYTES:
            raise CollectFailure(f"{path} of process {target.pid} has {status.st_size} bytes")
        return os.open(f"/proc/self/fd/{opened[-1]}", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Lacking(
            f"process {target.pid} has mapped {path}, which is not there any more (or behind a link)",
            hint="keep the cleaner of /tmp off hsperfdata_*, or allow scan = true",
        ) from error
    finally:
        for file in opened:
            os.close(file)


def find_in_memory(memory: int, maps: list[tuple[int, int]]) -> int | None:
    """Where a page begins with a header; looks at a bounded part, small maps first."""
    left = _MAX_LOOKED_BYTES
    for first, last in sorted(maps, key=lambda one: one[1] - one[0]):
        for begin, end in _ends(first, last):
            at = begin
            while at < end and left > 0:
                try:
                    chunk = os.pread(memory, min(_CHUNK, end - at), at)
                except OSError:
                    break
                if not chunk:
                    break
                left -= len(chunk)
                for place in range(0, len(chunk), _PAGE):
                    if chunk.startswith(MAGIC, place) and _is_header(chunk[place : place + HEADER_BYTES]):
                        return at + place
                at += len(chunk)
    return None


def _is_header(block: bytes) -> bool:
    try:
        parse_header(block)
    except DecodeError:
        return False
    return True


def _ends(first: int, last: int) -> list[tuple[int, int]]:
    if last - first <= 2 * _MAX_MAP_BYTES:
        return [(first, last)]
    return [(first, first + _MAX_MAP_BYTES), (last - _MAX_MAP_BYTES, last)]


def hidden(target: Target, process: int) -> str:
    """Which option hides the data, by the command line where it says so."""
    arguments = read_whole("cmdline", _MAX_TEXT_BYTES, folder=process).split(b"\0")
    given = [option for option in _HIDING if option.encode() in arguments]
    return f"process {target.pid} shares no performance data: {given[0] if given else _BOTH} hides it"


def read_maps(process: int) -> str:
    """/proc/PID/maps. Raises OSError, CollectFailure when there is far too much."""
    maps = read_whole("maps", _MAX_MAPS_BYTES, folder=process)
    if len(maps) == _MAX_MAPS_BYTES:
        raise CollectFailure(f"a process with more than {_MAX_MAPS_BYTES} bytes of maps")
    return maps.decode(errors="replace")
