"""Writing the segment: one writer, in place, under a lock and a sequence lock."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError, UserError
from truechimer.readings import are_clocks_shifted
from truechimer.segment.layout import (
    BODY,
    CRC_AT,
    GENERATION,
    GENERATION_AT,
    HEADER,
    MAGIC,
    SIZE,
    VERSION,
    Published,
    boot_bytes,
    encode_body,
    encode_header,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class SegmentWriter:
    """The one writer of a segment. A live file is rewritten in place, never truncated.

    Raises UserError when another process is writing it or this one's clocks are not the host's,
    TruechimerError when the folder refuses.
    """

    def __init__(self, path: Path, *, boot: str | None = None) -> None:
        if are_clocks_shifted():
            raise UserError(
                "a bound cannot be published from a time namespace with shifted clocks: others read theirs",
                hint="run the agent outside of it",
            )
        self._path = path
        self._boot = boot_bytes(boot)
        self._file, self._inode, self._generation = self._open()

    def write(self, published: Published) -> None:
        """Publish; readers see the old bound or the new one, never a mixture."""
        if not self._is_in_place():
            # Somebody removed or replaced the file: readers go by its name, so must we.
            self.close()
            self._file, self._inode, self._generation = self._open()
        body = encode_body(published, self._boot)
        writing = self._generation + 1 + self._generation % 2
        try:
            # In three calls: each takes and gives back the file's lock, so the stores are seen in this order.
            header = encode_header(writing, body)
            os.pwrite(self._file, header[:CRC_AT], 0)
            os.pwrite(self._file, header[CRC_AT:] + body, CRC_AT)
            os.pwrite(self._file, GENERATION.pack(writing + 1), GENERATION_AT)
        except OSError as error:
            raise TruechimerError(f"writing {self._path}: {error.strerror}") from error
        self._generation = writing + 1

    def close(self) -> None:
        """Let go of the file; what it says ages from here on."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_in_place(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode and found.st_size == SIZE

    def _open(self) -> tuple[int, tuple[int, int], int]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file, generation = self._reuse() or (self._create(), 0)
            _lock(file, self._path)
            status = os.fstat(file)
        except OSError as error:
            raise TruechimerError(
                f"opening {self._path} to publish the bound: {error.strerror}",
                hint="give the agent a runtime_dir that it may write",
            ) from error
        return file, (status.st_dev, status.st_ino), generation

    def _reuse(self) -> tuple[int, int] | None:
        """The live file and its generation; None when there is none of ours and of this version."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        raw = os.pread(file, SIZE + 1, 0)
        if len(raw) == SIZE:
            magic, version, size, generation, _, _ = HEADER.unpack_from(raw)
            if (magic, version, size) == (MAGIC, VERSION, SIZE):
                return file, generation % 2**63
        os.close(file)
        return None

    def _create(self) -> int:
        """A fresh file with generation 0 and an empty body, put in place by rename."""
        file, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            body = bytes(BODY.size)
            os.fchmod(file, 0o644)
            os.pwrite(file, encode_header(0, body) + body, 0)
            Path(name).replace(self._path)
        except OSError:
            os.close(file)
            Path(name).unlink(missing_ok=True)
            raise
        return file


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise UserError(
            f"{path} is being written by another agent",
            hint="stop it, or give this one another runtime_dir",
        ) from error
