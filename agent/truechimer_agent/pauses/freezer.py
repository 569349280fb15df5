"""When a process's cgroup was frozen, seen from its files: for v1, and kernels that do not count it.

A process frozen by cgroup v1 keeps no trace of it: its sleep is continued as if nothing had been. But every
write to ``freezer.state`` (v1) and every change of ``cgroup.events`` (v2) is an inotify event; one that was
watched by somebody who ran meanwhile also tells from when to when.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections import deque
from pathlib import Path

from truechimer_agent.pauses.counters import MOUNTS, lineage

IN_MODIFY = 2
READ_BYTES = 65536
REMEMBERED = 256


def freezer_folder(membership: str) -> str | None:
    """The folder of a process's v1 freezer by its ``/proc/P/cgroup``; None when there is none."""
    for line in membership.splitlines():
        _number, controllers, path = line.split(":", 2)
        if "freezer" in controllers.split(",") and "/.." not in path:
            return f"{MOUNTS}/{controllers}{path.rstrip('/')}"
    return None


def unified_folders(membership: str) -> list[str]:
    """Where a process's v2 cgroup may be."""
    for line in membership.splitlines():
        if line.startswith("0::") and "/.." not in line:
            path = line[3:].rstrip("/")
            return [f"{MOUNTS}{path}", f"{MOUNTS}/unified{path}"]
    return []


def is_frozen(text: str) -> bool:
    """Whether ``freezer.state`` or ``cgroup.events`` says so."""
    return text.startswith(("FROZEN", "FREEZING")) or "\nfrozen 1" in f"\n{text}"


class FreezerWatch:
    """Watches the freezer of one process. Times are CLOCK_MONOTONIC in ns, given by the caller."""

    def __init__(self) -> None:
        self._fd = -1
        self._membership: str | None = None
        self._states: list[Path] = []
        self._since_ns: int | None = None
        self._touched: deque[int] = deque(maxlen=REMEMBERED)
        self._frozen: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def fileno(self) -> int:
        """The descriptor to poll; -1 while nothing is watched."""
        return self._fd

    def follow(self, membership: str, now_ns: int) -> bool:
        """Watch the groups of a process by its ``/proc/P/cgroup``; whether they are others than before.

        Raises OSError when the kernel has no inotify to give. A group that cannot be frozen is not watched.
        """
        if membership == self._membership:
            return False
        self.close()
        self._membership = membership
        watched: list[Path] = []
        self._states = []
        if (folder := freezer_folder(membership)) is not None:
            self._states.append(Path(folder, "freezer.state"))
            watched += [Path(group, "freezer.state") for group in lineage(folder)]
        for unified in unified_folders(membership):
            events = Path(unified, "cgroup.events")
            self._states.append(events)
            watched.append(events)
        watched = [path for path in watched if path.exists()]
        self._states = [path for path in self._states if path.exists()]
        if watched:
            self._watch(watched)
            self._note_state(now_ns)
        return True

    def _watch(self, paths: list[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        for path in paths:
            libc.inotify_add_watch(self._fd, os.fsencode(path), IN_MODIFY)

    def take(self, now_ns: int) -> None:
        """Read what was told until now."""
        if self._fd < 0:
            return
        try:
            told = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        if told:
            self._touched.append(now_ns)
            self._note_state(now_ns)

    def _note_state(self, now_ns: int) -> None:
        text = ""
        for path in self._states:
            with contextlib.suppress(OSError):
                text += path.read_text() + "\n"
        frozen = any(is_frozen(line) for line in text.splitlines())
        if frozen and self._since_ns is None:
            self._since_ns = now_ns
        elif not frozen and self._since_ns is not None:
            self._frozen.append((self._since_ns, now_ns))
            self._since_ns = None

    def was_touched(self, start_ns: int, end_ns: int) -> bool:
        """Whether somebody switched the freezer then."""
        return any(start_ns <= each <= end_ns for each in self._touched)

    def frozen_ns(self, start_ns: int, end_ns: int) -> int:
        """How much of a stretch it was seen frozen."""
        stretches = list(self._frozen)
        if self._since_ns is not None:
            stretches.append((self._since_ns, end_ns))
        return sum(max(0, min(end, end_ns) - max(start, start_ns)) for start, end in stretches)

    def close(self) -> None:
        """Let go of the descriptor; what was seen is kept."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._membership = None
        self._since_ns = None
