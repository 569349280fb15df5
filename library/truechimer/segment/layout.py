"""The segment's bytes: 128 of them, little-endian, version 1 (docs/segment.md)."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import astuple, dataclass

from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.errors import DecodeError, TruechimerError
from truechimer.readings import boot_id

MAGIC = b"TRUECHIM"
VERSION = 1

# Magic, version, size, generation, CRC-32 of the body, reserved.
HEADER = struct.Struct("<8sIIQII")
# as_of, anchor, epoch, lower, upper, f_lo, f_hi, suspended, status, reason, leap, reserved, boot id.
BODY = struct.Struct("<8q4i16s")
SIZE = HEADER.size + BODY.size
GENERATION = struct.Struct("<Q")
GENERATION_AT = 16
CRC_AT = 24


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
    the frequencies in parts per 10⁹, as long as the host has not slept: ``suspended_ns`` is what
    BOOTTIME − MONOTONIC was at least when the stretch of S began, and every excess over it may be a
    sleep, by which UTC − S grew.
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


def encode_header(generation: int, body: bytes) -> bytes:
    """The header of a body."""
    return HEADER.pack(MAGIC, VERSION, SIZE, generation, zlib.crc32(body), 0)


def encode_body(published: Published, boot: bytes) -> bytes:
    """The body's bytes. Raises TruechimerError when a number does not fit into 64 bits."""
    try:
        *longs, status, reason, leap = astuple(published)
        return BODY.pack(*longs, int(status), int(reason), int(leap), 0, boot)
    except struct.error as error:
        raise TruechimerError(f"a bound that cannot be published: {error}: {published}") from error


def decode_body(body: bytes, name: str = "the segment") -> tuple[Published, bytes]:
    """The bound and the boot's id from a body of the right length. Raises BadSegment for unknown codes."""
    as_of, anchor, epoch, lower, upper, f_lo, f_hi, asleep, status, reason, leap, _, boot = BODY.unpack(body)
    try:
        codes = BoundStatus(status), BoundReason(reason), Leap(leap)
        return Published(as_of, anchor, epoch, lower, upper, f_lo, f_hi, asleep, *codes), boot
    except ValueError as error:
        raise FutureSegment(f"{name}: {error}", hint="this library is older than the agent") from error


def check_header(raw: bytes, name: str = "the segment") -> int:
    """The generation of a segment that is ours, whole in length and of a known version; else BadSegment."""
    if not raw:
        raise TruncatedSegment(f"{name} is cut short: 0 of {SIZE} bytes")
    if raw[:8] != MAGIC[: len(raw[:8])]:
        raise ForeignSegment(f"{name} is no truechimer segment")
    if len(raw) < HEADER.size:
        raise TruncatedSegment(f"{name} is cut short: {len(raw)} of {SIZE} bytes")
    _, version, size, generation, _, _ = HEADER.unpack_from(raw)
    if version != VERSION:
        raise FutureSegment(
            f"{name} is of version {version}, this library reads {VERSION}",
            hint="use the same version of truechimer as the agent does",
        )
    if size != SIZE or len(raw) < SIZE:
        raise TruncatedSegment(f"{name} is cut short: {len(raw)} of {SIZE} bytes, {size} in its header")
    return int(generation)


def is_whole(raw: bytes, generation: int) -> bool:
    """Whether no writer was at work on these bytes: generation even, and the body as its CRC says."""
    crc = int.from_bytes(raw[CRC_AT : CRC_AT + 4], "little")
    return generation % 2 == 0 and zlib.crc32(raw[HEADER.size : SIZE]) == crc


def boot_bytes(boot: str | None) -> bytes:
    """The boot's id as 16 bytes; zeros where the kernel does not tell."""
    try:
        return uuid.UUID(boot if boot is not None else boot_id()).bytes
    except (OSError, ValueError):
        return bytes(16)
