"""The file that a disk probe writes: made by the agent, never anybody else's, removed at the end."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCK = 4096
LONGEST_NODE = 64
SLOW_OPENING_NS = 1_000_000
_NOT_OURS = "move it away, or name another directory under [[disk]]"


class ProbeFailure(TruechimerError):  # noqa: N818 - reads as the statement it is
    """The write or fsync did not happen; the message is the same each time for the same reason."""


@dataclass(frozen=True, slots=True)
class Written:
    """One write + fsync: RAW ns just before opening, before writing, and after fsync; and on which device."""

    opening_ns: int
    writing_ns: int
    done_ns: int
    device: int

    @property
    def took_ns(self) -> int:
        """Write + fsync; opening the file too where that alone took over a millisecond."""
        slow = self.writing_ns - self.opening_ns > SLOW_OPENING_NS
        return self.done_ns - (self.opening_ns if slow else self.writing_ns)


def name_of(node: str) -> str:
    """The file's name: of this node, so that agents that share a directory do not meet."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in node)
    return f".truechimer-fsync-{plain[:LONGEST_NODE]}"


def write_and_sync(fd: int, block: bytes) -> None:
    """Overwrite the file's only block and have it on the disk."""
    written = os.pwrite(fd, block, 0)
    if written != len(block):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(fd)


class ProbeFile:
    """One file under ``directory``, opened for each probe: nothing keeps the disk from being unmounted.

    ``raw_ns`` reads CLOCK_MONOTONIC_RAW; ``sync`` writes a block to an open file and waits until it is safe.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        raw_ns: Callable[[], int],
        sync: Callable[[int, bytes], None] = write_and_sync,
    ) -> None:
        self._directory = directory
        self._name = name
        self._raw_ns = raw_ns
        self._sync = sync
        self._count = 0
        self._made = False

    def probe(self) -> Written:
        """Write and fsync once. Raises ProbeFailure."""
        self._count += 1
        # Never the same block twice: some file systems skip a write that changes nothing.
        block = (b"truechimer disk probe %d\n" % self._count).ljust(BLOCK, b"\0")
        opening_ns = self._raw_ns()
        try:
            fd = self._open()
            try:
                device = os.fstat(fd).st_dev
                writing_ns = self._raw_ns()
                self._sync(fd, block)
                done_ns = self._raw_ns()
            finally:
                os.close(fd)
        except OSError as error:
            raise self._failure(error) from error
        except ValueError as error:
            raise ProbeFailure(f"{str(self._directory)!r} is no path: {error}") from error
        return Written(opening_ns, writing_ns, done_ns, device)

    def remove(self) -> None:
        """Remove the file if this object made or took it over; what cannot be removed stays."""
        if not self._made:
            return
        try:
            (self._directory / self._name).unlink()
        except (OSError, ValueError):
            return

    def _open(self) -> int:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # O_NONBLOCK: a FIFO of that name must not hold the probe up.
            plain = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            try:
                fd = os.open(self._name, plain, dir_fd=directory)
            except FileNotFoundError:
                fd = os.open(self._name, plain | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
        finally:
            os.close(directory)
        try:
            self._check(os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        self._made = True
        return fd

    def _check(self, found: os.stat_result) -> None:
        """A file left behind by an earlier agent is used again; anything else is not written to."""
        ours = (
            stat.S_ISREG(found.st_mode)
            and found.st_uid == os.geteuid()
            and found.st_nlink == 1
            and found.st_size <= BLOCK
        )
        if not ours:
            raise ProbeFailure(
                f"{self._directory / self._name} is not the probe's own file: it is not written to",
                hint=_NOT_OURS,
            )

    def _failure(self, error: OSError) -> ProbeFailure:
        path = self._directory
        if error.errno == errno.ELOOP:
            return ProbeFailure(f"{path / self._name} is a symbolic link: it is not followed", hint=_NOT_OURS)
        return ProbeFailure(
            f"write + fsync in {path} failed: {error.strerror or error}", hint=_hint(error.errno, path)
        )


def _hint(number: int | None, path: Path) -> str:
    match number:
        case errno.ENOSPC | errno.EDQUOT:
            return f"free some space in {path}; what else writes there fails too"
        case errno.EROFS:
            return (
                f"it is mounted read-only; under systemd, add ReadWritePaths={path} to the agent's unit, "
                "else look in dmesg why the disk became read-only"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"make a directory of the agent's own on that disk (install -d -o USER {path}/truechimer) "
                "and name it as the path of this [[disk]]"
            )
        case errno.ENOENT | errno.ENOTDIR:
            return "mount or make the directory, or correct the path of this [[disk]]"
        case errno.EIO:
            return "the disk itself reports an error: look in dmesg"
        case _:
            return "look in dmesg, or name another path under [[disk]]"
