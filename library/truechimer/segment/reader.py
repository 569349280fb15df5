"""Reading the segment: whole snapshots, from whichever file its name leads to."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import NothingThere
from truechimer.readings import are_clocks_shifted
from truechimer.segment.layout import (
    GENERATION,
    GENERATION_AT,
    HEADER,
    SIZE,
    Published,
    TornSegment,
    boot_bytes,
    check_header,
    decode_body,
    is_whole,
)
from truechimer.segment.places import RUNTIME_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

_RETRIES = 200
_QUICK_RETRIES = 100
_RETRY_SLEEP_S = 0.001


class OpenFile:
    """A file open for reading; closed when nobody holds this any more.

    So a thread that still reads keeps its descriptor while another one follows the name to a new file.
    """

    __slots__ = ("_close", "_fstat", "_identity", "fd")

    def __init__(self, path: Path) -> None:
        self.fd = -1
        self._close, self._fstat = os.close, os.fstat  # the module may be gone when the interpreter ends
        # Not blocking: a FIFO by that name must not hang the program.
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self._identity = self._identify()

    def is_at(self, path: Path) -> bool:
        """Whether the name still leads to this file and the descriptor is still ours."""
        try:
            found = path.stat()
            return (found.st_dev, found.st_ino) == self._identity == self._identify()
        except OSError:
            return False

    def _identify(self) -> tuple[int, int]:
        status = self._fstat(self.fd)
        return status.st_dev, status.st_ino

    def __del__(self) -> None:
        # A program that makes itself a daemon closes every descriptor: the number may be another's now.
        try:
            if self.fd >= 0 and self._identify() == self._identity:
                self._close(self.fd)
        except (OSError, AttributeError):
            pass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One whole segment of this boot: its bytes, what they say, and the file that they are from."""

    raw: bytes
    published: Published
    file: OpenFile


class SegmentReader:
    """Reads a segment as often as wanted; follows its name when the file is replaced.

    May be used by several threads, and across a fork.
    """

    def __init__(self, path: Path, *, boot: str | None = None) -> None:
        self._path = path
        self._boot = boot_bytes(boot)
        self._file: OpenFile | None = None
        self._torn: bytes | None = None

    def read(self) -> Published:
        """The present bound.

        Raises NothingThere without a file or before the first bound of this boot, BadSegment (see the
        package) for a file that cannot be used.
        """
        return self.snapshot().published

    def snapshot(self) -> Snapshot:
        """The present bound with its bytes; raises as ``read`` does."""
        try:
            file = self._followed()
            raw = self._settled(file)
        except OSError as error:
            raise NothingThere(f"reading {self._path}: {error.strerror}") from error
        published, boot = decode_body(raw[HEADER.size :], str(self._path))
        if boot != self._boot:
            # RAW began anew: S of the other boot means nothing now, however plausible it looks.
            raise NothingThere(f"{self._path} is from before this host booted; no agent has written since")
        return Snapshot(raw, published, file)

    def _followed(self) -> OpenFile:
        """The file that the name leads to."""
        file = self._file
        if file is not None and file.is_at(self._path):
            return file
        self._file = None
        try:
            file = OpenFile(self._path)
        except FileNotFoundError as error:
            raise NothingThere(
                f"no agent publishes a bound at {self._path}",
                hint="start one: `truechimer up`, or `truechimer agent run`; "
                f"or set {RUNTIME_VARIABLE} to its runtime_dir",
            ) from error
        if are_clocks_shifted():
            raise NothingThere(
                f"{self._path} says nothing here: this process is in a time namespace with shifted clocks",
                hint="read it from outside of the time namespace",
            )
        self._file = file
        return file

    def _settled(self, file: OpenFile) -> bytes:
        """Bytes of one whole publication.

        The generation alone is not enough: ``pread`` copies in any order, and on aarch64 neither that copy
        nor the entry into the kernel orders this processor's loads against the writer's stores, so a body
        may come with a generation that is not its own. The CRC is over the body itself, in whatever order
        its bytes came.
        """
        for attempt in range(_RETRIES):
            raw = os.pread(file.fd, SIZE, 0)
            generation = check_header(raw, str(self._path))
            again = os.pread(file.fd, GENERATION.size, GENERATION_AT)
            if again == raw[GENERATION_AT : GENERATION_AT + GENERATION.size] and is_whole(raw, generation):
                if generation == 0:
                    raise NothingThere(f"the agent has not published a bound at {self._path} yet")
                self._torn = None
                return raw
            if raw == self._torn:
                break
            if attempt < _QUICK_RETRIES:
                os.sched_yield()
            else:
                time.sleep(_RETRY_SLEEP_S)
        self._torn = raw  # waited for once: while it stays just so, the next call need not wait again
        raise TornSegment(
            f"{self._path} is half-written and stays so: its writer died in the act, or it is damaged",
            hint="start the agent again: it mends the file",
        )
