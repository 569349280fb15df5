"""Small kernel files read again and again: kept open as far as there are descriptors to spare."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES = 4096
SHARE = 0.5
"""Of the descriptors that this process may have, how many the watch keeps open at most."""
MOST_KEPT = 8192
FEWEST_ALLOWED = 1024
"""What a process may have open nearly everywhere."""


def keepable() -> int:
    """How many files the watch may keep open under RLIMIT_NOFILE."""
    try:
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:  # a filter of system calls may forbid it
        soft = FEWEST_ALLOWED
    return MOST_KEPT if soft == resource.RLIM_INFINITY else min(MOST_KEPT, int(soft * SHARE))


class OpenFiles:
    """Descriptors shared by all files of the watch: beyond ``limit`` a file is opened for each read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = 0

    def open(self, path: str | Path) -> KernelFile:
        """Open a file to read it often. Raises OSError."""
        return KernelFile(self, path)


class KernelFile:
    """One small file. A descriptor of /proc/PID goes on naming the process that it was opened for."""

    __slots__ = ("_fd", "_files", "_path")

    def __init__(self, files: OpenFiles, path: str | Path) -> None:
        self._files = files
        self._path = path
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if files.kept < files.limit:
            files.kept += 1
            self._fd = fd
        else:
            os.close(fd)
            self._fd = -1

    @property
    def is_kept(self) -> bool:
        """Whether it is open; if not, another process may have come to its path."""
        return self._fd >= 0

    def read(self) -> bytes:
        """Its text, the first READ_BYTES of it. Raises OSError."""
        if self._fd >= 0:
            return os.pread(self._fd, READ_BYTES, 0)
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.pread(fd, READ_BYTES, 0)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of the descriptor; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._files.kept -= 1
