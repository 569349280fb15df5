"""The memory of another process, read with /proc/PID/mem: the only file here that touches the process.

Source: proc_pid_mem(5). The file stays with the memory that it was opened on: once the process has ended or
run another program every read returns nothing, whoever has the pid by then.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.goruntime.segments import writable_segments
from truechimer_agent.processes.procfiles import parse_stat
from truechimer_agent.processes.runtimes import ProcessGone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from truechimer_agent.goruntime.segments import Segment
    from truechimer_agent.processes.runtimes import Target

MAPS_LIMIT = 4 << 20
"""Bytes of /proc/PID/maps that are read: an executable is among the first mappings."""
_STAT_LIMIT = 4096
_GONE = (errno.ENOENT, errno.ESRCH)
_REFUSED = (errno.EACCES, errno.EPERM)


class ProcessMemory:
    """One process's memory. Raises Lacking where it may not be read, ProcessGone when it is another's."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder = target.proc / str(target.pid)
        self._file: int | None = None
        with self._asking("mem"):
            self._file = os.open(self._folder / "mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check_same()
        except BaseException:
            self.close()
            raise

    def read_into(self, address: int, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` from ``address`` on: how many bytes there were; 0 where nothing is mapped.

        Raises ProcessGone.
        """
        if self._file is None:
            raise ProcessGone(f"the memory of process {self._target.pid} was let go of")
        try:
            length = os.preadv(self._file, [buffer], address)
        except OSError as error:
            if error.errno in (errno.EIO, errno.EFAULT, errno.ENOMEM, errno.EINVAL, errno.EOVERFLOW):
                return 0
            if error.errno in _GONE:
                raise self._gone() from error
            raise CollectFailure(f"reading {self._folder / 'mem'} failed: {error.strerror}") from error
        if not length:
            raise self._gone()
        return length

    def segments(self) -> tuple[Segment, ...]:
        """The executable's writable segments now. Raises Lacking, ProcessGone."""
        with self._asking("exe"):
            executable = str((self._folder / "exe").readlink())
        maps = self._text(self._folder / "maps", "maps", MAPS_LIMIT)
        self._check_same()
        return writable_segments(maps, executable)

    def start_ticks(self) -> int:
        """When whoever has the pid now began: field 22 of its stat."""
        text = self._text(self._folder / "stat", "stat", _STAT_LIMIT)
        try:
            return parse_stat(text.encode("utf-8", "surrogateescape")).start_ticks
        except (ValueError, IndexError) as error:
            raise CollectFailure(
                f"{self._folder / 'stat'} is not as proc(5) has it: {text[:80]!r}"
            ) from error

    def close(self) -> None:
        """Let go; safe to call twice."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _check_same(self) -> None:
        if self.start_ticks() != self._target.start_ticks:
            raise self._gone()

    def _gone(self) -> ProcessGone:
        return ProcessGone(f"process {self._target.pid} ended, or runs another program")

    def _text(self, path: Path, name: str, limit: int) -> str:
        with self._asking(name), path.open("rb") as file:
            return file.read(limit).decode("utf-8", "surrogateescape")

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _GONE:
                raise self._gone() from error
            if error.errno in _REFUSED:
                raise Lacking(
                    f"the memory of process {self._target.pid} may not be read"
                    f" ({self._folder / name}: {error.strerror})",
                    hint="run the agent as root or give it CAP_SYS_PTRACE;"
                    " kernel.yama.ptrace_scope must not be 3",
                ) from error
            raise CollectFailure(f"reading {self._folder / name} failed: {error.strerror}") from error
