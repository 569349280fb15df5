"""What may follow the base of a packet: type-length-value extensions (RFC 8972 section 4).

Each begins with flags, type and the length of its value. A sender sets U; a reflector clears it in what it
has understood, and sets M where an extension is cut off or has a length that its type does not have.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

UNRECOGNISED = 0x80
MALFORMED = 0x40
INTEGRITY = 0x20

EXTRA_PADDING = 1
HMAC = 8
MESH = 240
"""Ours, of the types for experiments: who sends; in the reply, whose steady clock the times are of."""

HEADER = struct.Struct("!BBH")
VALUE_BYTES = 16
"""Of MESH and of HMAC."""
WHOLE_BYTES = HEADER.size + VALUE_BYTES
_MOST = 32
_PADDING = b"\0\0\0\0"
_HEADER_BYTES = HEADER.size


class Extensions(NamedTuple):
    """Where the extensions of a packet lie, by what becomes of them.

    ``mesh_at`` and ``hmac_at`` are where the first of these begins, ``padding`` is where each Extra Padding
    does, ``unknown`` each that is not understood, ``malformed_at`` the one at which reading ended;
    ``end`` is the end of the last whole one.
    """

    mesh_at: int | None
    hmac_at: int | None
    padding: tuple[int, ...]
    unknown: tuple[int, ...]
    malformed_at: int | None
    end: int


def read(data: bytes | bytearray | memoryview, start: int) -> Extensions:
    """The extensions of a packet from ``start`` on.

    Four zero octets where one should begin are a TWAMP sender's padding: nothing follows. So many
    extensions that no sender has them are not read either.
    """
    end = len(data)
    mesh_at = hmac_at = malformed_at = None
    padding: list[int] = []
    unknown: list[int] = []
    at = start
    for _ in range(_MOST):
        if at == end:
            break
        if at + _HEADER_BYTES > end:
            malformed_at = at
            break
        _, kind, length = HEADER.unpack_from(data, at)
        if not kind and not length and data[at : at + _HEADER_BYTES] == _PADDING:
            break
        after = at + _HEADER_BYTES + length
        if after > end or (kind in {MESH, HMAC} and length != VALUE_BYTES):
            malformed_at = at
            break
        if kind == MESH and mesh_at is None:
            mesh_at = at
        elif kind == HMAC and hmac_at is None:
            hmac_at = at
        elif kind == EXTRA_PADDING:
            padding.append(at)
        else:
            unknown.append(at)
        at = after
    return Extensions(mesh_at, hmac_at, tuple(padding), tuple(unknown), malformed_at, at)
