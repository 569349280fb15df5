"""Decoding HdrHistogram's compressed encodings V2 and V1: which values were recorded how often.

Source: HdrHistogram 2.2.2, AbstractHistogram.java (decodeFromCompressedByteBuffer, valueFromIndex) and
ZigZagEncoding.java; V2 is LEB128-64b9B ZigZag with runs of zeros, V1 counts of a fixed width.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_COOKIE_MASK = 0xFFFFFF0F
_V2, _V2_COMPRESSED = 0x1C849303, 0x1C849304
_V1, _V1_COMPRESSED = 0x1C849301, 0x1C849302
_V0_COMPRESSED = 0x1C849309
_HEADER = struct.Struct(">iiiiqqd")
_WORDS = {2: "h", 4: "i", 8: "q"}
_LARGEST = 8 << 20
_MOST_COUNT = 1 << 53
_MOST_BUCKETS = 200_000


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts``: pairs of a bucket's index and its count, both positive or 0, by index ascending."""

    lowest: int
    digits: int
    counts: tuple[tuple[int, int], ...]

    @property
    def _magnitude(self) -> int:
        return max(0, int(math.log2(self.lowest)))

    @property
    def _half_magnitude(self) -> int:
        return math.ceil(math.log2(2 * 10**self.digits)) - 1

    def lowest_value(self, index: int) -> int:
        """The least value that is counted at ``index``."""
        half = 1 << self._half_magnitude
        bucket = (index >> self._half_magnitude) - 1
        sub = (index & (half - 1)) + half
        if bucket < 0:
            sub, bucket = sub - half, 0
        return sub << (bucket + self._magnitude)

    def highest_value(self, index: int) -> int:
        """The greatest value that is counted at ``index``."""
        return self.lowest_value(index + 1) - 1

    def values(self) -> Iterator[tuple[int, int]]:
        """(a value in the middle of its bucket, its count), ascending."""
        for index, count in self.counts:
            yield (self.lowest_value(index) + self.highest_value(index) + 1) // 2, count


def decode(text: str) -> Histogram:
    """A histogram from its base64 text. Raises DecodeError for whatever is none; bounded in room and time."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("its histogram is no base64") from error
    if len(raw) < 8:
        raise DecodeError("its histogram is too short")
    cookie = int.from_bytes(raw[:4], "big") & _COOKIE_MASK
    if cookie == _V0_COMPRESSED:
        raise DecodeError("its histogram is of encoding V0, which is not read: V1 and V2 are")
    if cookie not in {_V2_COMPRESSED, _V1_COMPRESSED}:
        raise DecodeError("its histogram has no cookie of HdrHistogram's")
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(raw[8:], _LARGEST)
    except zlib.error as error:
        raise DecodeError(f"its histogram does not unpack: {error}") from error
    return _body(body)


def _body(body: bytes) -> Histogram:
    if len(body) < _HEADER.size:
        raise DecodeError("its histogram ends too early")
    cookie, length, offset, digits, lowest, _, _ = _HEADER.unpack_from(body)
    if not 0 <= digits <= 5 or not 1 <= lowest < 1 << 62 or offset != 0:
        raise DecodeError("its histogram's header makes no sense")
    payload = body[_HEADER.size : _HEADER.size + length] if length >= 0 else b""
    if len(payload) != length:
        raise DecodeError("its histogram ends too early")
    base, width = cookie & _COOKIE_MASK, (cookie >> 4) & 0xE
    if base == _V2:
        counts = tuple(_leb128(payload))
    elif base == _V1 and width in _WORDS:
        words = struct.unpack(f">{length // width}{_WORDS[width]}", payload[: length // width * width])
        counts = tuple((index, count) for index, count in enumerate(words) if count)
    else:
        raise DecodeError("its histogram is of an encoding that is not read: V1 and V2 are")
    if any(not 0 < count <= _MOST_COUNT for _, count in counts):
        raise DecodeError("its histogram has counts that cannot be")
    return Histogram(lowest, digits, counts)


def _leb128(payload: bytes) -> Iterator[tuple[int, int]]:
    """(index, count) of each bucket that is not empty; a negative number is a run of empty ones."""
    index = value = shift = 0
    for byte in payload:
        if shift == 56:
            value |= byte << 56
        else:
            value |= (byte & 0x7F) << shift
            if byte & 0x80:
                shift += 7
                continue
        number = (value >> 1) ^ -(value & 1)
        value = shift = 0
        if number > 0:
            yield index, number
        index += max(1, -number)
        if index > _MOST_BUCKETS * 64:
            raise DecodeError("its histogram has more buckets than there can be")
    if shift:
        raise DecodeError("its histogram ends within a number")
