"""The shared segment: the agent's bound on true time, for every program of the host (docs/segment.md).

A small file under the runtime directory, rewritten in place once a second under a sequence lock: the
generation is odd while the body is being written, and a CRC-32 guards the body beside it. Both sides
use ``pread``/``pwrite`` rather than a mapping, so that nobody gets SIGBUS from a file cut short; readers
in other languages may map it.

::

    BadSegment (DecodeError, exit 3)
    ├── TruncatedSegment   shorter than its format
    ├── ForeignSegment     not ours
    ├── FutureSegment      of a version that this library does not know
    └── TornSegment        still half-written after all retries
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import time
import uuid
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError, NothingThere, TruechimerError, UserError
from truechimer.readings import boot_id
from truechimer.samples import BoundReason, BoundStatus, Leap

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

MAGIC = b"TRUECHIM"
VERSION = 1
SEGMENT_NAME = "clock"
RUNTIME_DIR = Path("/run/truechimer")
RUNTIME_VARIABLE = "TRUECHIMER_RUNTIME_DIR"

# Little-endian throughout: magic, version, size, generation, CRC-32 of the body, reserved.
_HEADER = struct.Struct("<8sIIQII")
# as_of, anchor, epoch, lower, upper, f_lo, f_hi, suspended, status, reason, leap, reserved, boot id.
_BODY = struct.Struct("<8q4i16s")
SIZE = _HEADER.size + _BODY.size
_GENERATION = struct.Struct("<Q")
_GENERATION_AT = 16
_CRC_AT = 24
_RETRIES = 200
_QUICK_RETRIES = 100
_RETRY_SLEEP_S = 0.001


class BadSegment(DecodeError):  # noqa: N818 - reads as the statement it is
    """A file that is there but cannot be used."""

    exit_code = 3


class TruncatedSegment(BadSegment):
    """The file is shorter than its format."""


class ForeignSegment(BadSegment):
    """The file is not a truechimer segment."""


class FutureSegment(BadSegment):
    """The file is of a version that this library does not know."""


class TornSegment(BadSegment):
    """Every try found a half-written body."""


@dataclass(frozen=True, slots=True)
class Published:
    """The bound as of one instant: UTC − S lies in [lower_ns, upper_ns] at S = ``as_of_steady_ns``.

    S = CLOCK_MONOTONIC_RAW + ``anchor_ns``. Later, UTC − S lies in [lower + f_lo·ΔS, upper + f_hi·ΔS],
    the frequencies in parts per 10⁹, as long as BOOTTIME − MONOTONIC is still ``suspended_ns``.
    """

    as_of_steady_ns: int
    anchor_ns: int
    epoch: int
    lower_ns: int
    upper_ns: int
    frequency_lower_ppb: int
    frequency_upper_ppb: int
    suspended_ns: int
    status: BoundStatus
    reason: BoundReason
    leap: Leap


def default_segment() -> Path:
    """``$TRUECHIMER_RUNTIME_DIR/clock``, else ``/run/truechimer/clock``."""
    return Path(os.environ.get(RUNTIME_VARIABLE) or RUNTIME_DIR) / SEGMENT_NAME


class SegmentWriter:
    """The one writer of a segment. A live file is rewritten in place, never truncated.

    Raises UserError when another process is writing it, TruechimerError when the folder refuses.
    """

    def __init__(self, path: Path, *, boot: str | None = None) -> None:
        self._path = path
        self._boot = _boot_bytes(boot)
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
            os.pwrite(self._file, _GENERATION.pack(writing), _GENERATION_AT)
            os.pwrite(self._file, struct.pack("<II", zlib.crc32(body), 0) + body, _CRC_AT)
            os.pwrite(self._file, _GENERATION.pack(writing + 1), _GENERATION_AT)
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
            magic, version, size, generation, _, _ = _HEADER.unpack_from(raw)
            if (magic, version, size) == (MAGIC, VERSION, SIZE):
                return file, generation % 2**63
        os.close(file)
        return None

    def _create(self) -> int:
        """A fresh file with generation 0 and an empty body, put in place by rename."""
        file, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            body = bytes(_BODY.size)
            os.fchmod(file, 0o644)
            os.pwrite(file, _HEADER.pack(MAGIC, VERSION, SIZE, 0, zlib.crc32(body), 0) + body, 0)
            Path(name).replace(self._path)
        except OSError:
            os.close(file)
            Path(name).unlink(missing_ok=True)
            raise
        return file


class SegmentReader:
    """Reads a segment as often as wanted; follows the file when it is replaced."""

    def __init__(self, path: Path, *, boot: str | None = None) -> None:
        self._path = path
        self._boot = _boot_bytes(boot)

    def read(self) -> Published:
        """The present bound.

        Raises NothingThere without a file or before the first bound of this boot, BadSegment (see the
        module) for a file that cannot be used.
        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise NothingThere(
                f"no agent publishes a bound at {self._path}",
                hint="start one: `truechimer up`, or `truechimer agent run`; "
                f"or set {RUNTIME_VARIABLE} to its runtime_dir",
            ) from error
        except OSError as error:
            raise NothingThere(f"reading {self._path}: {error.strerror}") from error
        try:
            return self._read(file)
        except OSError as error:
            raise NothingThere(f"reading {self._path}: {error.strerror}") from error
        finally:
            os.close(file)

    def _read(self, file: int) -> Published:
        for attempt in range(_RETRIES):
            raw = os.pread(file, SIZE, 0)
            generation = check_header(raw, str(self._path))
            body = raw[_HEADER.size : SIZE]
            again = os.pread(file, _GENERATION.size, _GENERATION_AT)
            whole = generation % 2 == 0 and again == raw[_GENERATION_AT : _GENERATION_AT + 8]
            if whole and zlib.crc32(body) == int.from_bytes(raw[_CRC_AT : _CRC_AT + 4], "little"):
                if generation == 0:
                    raise NothingThere(f"the agent has not published a bound at {self._path} yet")
                return self._of_this_boot(body)
            if attempt < _QUICK_RETRIES:
                os.sched_yield()
            else:
                time.sleep(_RETRY_SLEEP_S)
        raise TornSegment(
            f"{self._path} is half-written and stays so: its writer died in the act, or it is damaged",
            hint="start the agent again: it mends the file",
        )

    def _of_this_boot(self, body: bytes) -> Published:
        published, boot = decode_body(body, str(self._path))
        if boot != self._boot:
            # RAW began anew: S of the other boot means nothing now, however plausible it looks.
            raise NothingThere(f"{self._path} is from before this host booted; no agent has written since")
        return published


def encode_body(published: Published, boot: bytes) -> bytes:
    """The body's bytes. Raises TruechimerError when a number does not fit into 64 bits."""
    try:
        *longs, status, reason, leap = astuple(published)
        return _BODY.pack(*longs, int(status), int(reason), int(leap), 0, boot)
    except struct.error as error:
        raise TruechimerError(f"a bound that cannot be published: {error}: {published}") from error


def decode_body(body: bytes, name: str = "the segment") -> tuple[Published, bytes]:
    """The bound and the boot's id from a body of the right length. Raises BadSegment for unknown codes."""
    as_of, anchor, epoch, lower, upper, f_lo, f_hi, asleep, status, reason, leap, _, boot = _BODY.unpack(body)
    try:
        codes = BoundStatus(status), BoundReason(reason), Leap(leap)
        return Published(as_of, anchor, epoch, lower, upper, f_lo, f_hi, asleep, *codes), boot
    except ValueError as error:
        raise FutureSegment(f"{name}: {error}", hint="this library is older than the agent") from error


def check_header(raw: bytes, name: str = "the segment") -> int:
    """The generation of a segment that is ours, whole in length and of a known version; else BadSegment."""
    if raw[:8] != MAGIC[: len(raw[:8])] or not raw:
        raise ForeignSegment(f"{name} is no truechimer segment")
    if len(raw) < _HEADER.size:
        raise TruncatedSegment(f"{name} is cut short: {len(raw)} of {SIZE} bytes")
    _, version, size, generation, _, _ = _HEADER.unpack_from(raw)
    if version != VERSION:
        raise FutureSegment(
            f"{name} is of version {version}, this library reads {VERSION}",
            hint="use the same version of truechimer as the agent does",
        )
    if size != SIZE or len(raw) < SIZE:
        raise TruncatedSegment(f"{name} is cut short: {len(raw)} of {SIZE} bytes, {size} in its header")
    return int(generation)


def _boot_bytes(boot: str | None) -> bytes:
    """The boot's id as 16 bytes; zeros where the kernel does not tell."""
    try:
        return uuid.UUID(boot if boot is not None else boot_id()).bytes
    except (OSError, ValueError):
        return bytes(16)


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise UserError(
            f"{path} is being written by another agent",
            hint="stop it, or give this one another runtime_dir",
        ) from error
