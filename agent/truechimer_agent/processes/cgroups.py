"""What the cgroup of a watched process tells: throttling, freezing, pressure; v1 and v2.

Sources: Documentation/admin-guide/cgroup-v2.rst; cgroup-v1/freezer-subsystem.rst; scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer_agent.pauses.counters import parse_frozen, parse_some, parse_throttled
from truechimer_agent.processes.selecting import CGROUP_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from truechimer_agent.processes.openfiles import KernelFile, OpenFiles

MOST_LEVELS = 16


@dataclass(frozen=True, slots=True)
class CgroupGrowth:
    """How much a cgroup's counters grew between two looks, in ns; None: it does not tell.

    ``is_frozen`` is how it stands now. ``throttled_ns`` is summed over CPUs, and the most of the cgroup
    and those above it; ``throttled_before_ns`` is the growth of the look before.
    """

    is_frozen: bool = False
    frozen_ns: int | None = None
    throttled_ns: int | None = None
    throttled_before_ns: int | None = None
    memory_stall_ns: int | None = None
    io_stall_ns: int | None = None


TELLS_NOTHING = CgroupGrowth()


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of one membership, each from the cgroup itself upwards: unified, cpu (v1) and freezer (v1)."""

    unified: tuple[Path, ...] = ()
    cpu: tuple[Path, ...] = ()
    freezer: tuple[Path, ...] = ()


def places_of(membership: Mapping[str, str], root: Path = Path(CGROUP_ROOT)) -> Places:
    """Where the cgroups of a process may be; paths outside this cgroup namespace have no folder here."""
    places = Places()
    for controllers, path in membership.items():
        names = controllers.split(",")
        levels = path.strip("/").split("/") if path.strip("/") else []
        if ".." in levels:
            continue
        if not controllers:
            tops = (root / "unified", root)
            places = replace(places, unified=_upwards(tops, levels))
        elif "cpu" in names:
            places = replace(places, cpu=_upwards((root / controllers, root / "cpu"), levels))
        elif "freezer" in names:
            places = replace(places, freezer=_upwards((root / controllers, root / "freezer"), levels))
    return places


def _upwards(tops: Iterable[Path], levels: list[str]) -> tuple[Path, ...]:
    for top in tops:
        if (top.joinpath(*levels) / "cgroup.procs").exists():
            depths = range(len(levels), max(0, len(levels) - MOST_LEVELS), -1)
            return tuple(top.joinpath(*levels[:depth]) for depth in depths)
    return ()


def parse_v1_frozen(text: bytes) -> bool:
    """``freezer.state``."""
    return text.strip() == b"FROZEN"


def parse_v2_frozen(text: bytes) -> bool:
    """``cgroup.events``."""
    return b"frozen 1" in text.splitlines()


class Cgroup:
    """The cgroups of one membership, kept open; a file that is not there tells nothing."""

    def __init__(self, files: OpenFiles, places: Places) -> None:
        self._files = files
        unified = places.unified[:1]
        self._freezers = [
            *((file, parse_v1_frozen) for file in self._open(places.freezer[:1], "freezer.state")),
            *((file, parse_v2_frozen) for file in self._open(unified, "cgroup.events")),
        ]
        self._frozen = self._open(unified, "cgroup.stat.local")
        # The local file counts what those above it did too.
        self._throttled = self._open(unified, "cpu.stat.local") + self._open(places.cpu, "cpu.stat")
        if not places.cpu and not _tell(self._throttled, parse_throttled):
            self._close(self._throttled)
            self._throttled = self._open(places.unified, "cpu.stat")
        self._memory = self._open(unified, "memory.pressure")
        self._io = self._open(unified, "io.pressure")
        self._tells = bool(self._freezers or self._frozen or self._throttled or self._memory or self._io)
        self._before = self._read()
        self._throttled_before_ns: int | None = None

    def look(self) -> CgroupGrowth:
        """How much its counters grew since the last look."""
        if not self._tells:
            return TELLS_NOTHING
        before, self._before = self._before, self._read()
        throttled = [
            is_now - was
            for was, is_now in zip(before[0], self._before[0], strict=True)
            if was is not None and is_now is not None
        ]
        frozen_ns, memory_ns, io_ns = (
            None if was is None or is_now is None else max(0, is_now - was)
            for was, is_now in zip(before[1], self._before[1], strict=True)
        )
        growth = CgroupGrowth(
            is_frozen=any(_of(file, parse) for file, parse in self._freezers),
            frozen_ns=frozen_ns,
            throttled_ns=max(0, *throttled) if throttled else None,
            throttled_before_ns=self._throttled_before_ns,
            memory_stall_ns=memory_ns,
            io_stall_ns=io_ns,
        )
        self._throttled_before_ns = growth.throttled_ns
        return growth

    def close(self) -> None:
        """Let go of its files."""
        self._close([file for file, _ in self._freezers])
        self._close(self._frozen + self._throttled + self._memory + self._io)

    def _open(self, folders: Iterable[Path], name: str) -> list[KernelFile]:
        files = []
        for folder in folders:
            try:
                files.append(self._files.open(folder / name))
            except OSError:
                continue
        return files

    def _close(self, files: Iterable[KernelFile]) -> None:
        for file in files:
            file.close()

    def _read(self) -> tuple[list[int | None], list[int | None]]:
        return (
            [_counter(file, parse_throttled) for file in self._throttled],
            [
                _counter(files[0], parse) if files else None
                for files, parse in (
                    (self._frozen, parse_frozen),
                    (self._memory, parse_some),
                    (self._io, parse_some),
                )
            ],
        )


def _of(file: KernelFile, parse: Callable[[bytes], bool]) -> bool:
    try:
        return parse(file.read())
    except OSError:
        return False


def _counter(file: KernelFile, parse: Callable[[bytes], tuple[int, ...]]) -> int | None:
    try:
        return parse(file.read())[0]
    except (OSError, ValueError, IndexError):
        return None


def _tell(files: Iterable[KernelFile], parse: Callable[[bytes], tuple[int, ...]]) -> bool:
    return any(_counter(file, parse) is not None for file in files)
