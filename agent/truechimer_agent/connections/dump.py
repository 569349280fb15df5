"""A datagram of the kernel's answer to a dump (netlink(7)): bytes in, its connections out."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.connections import tcpinfo

if TYPE_CHECKING:
    from truechimer_agent.connections.tcpinfo import Connection

_HEADER = struct.Struct("=IHHII")
_INT32 = struct.Struct("=i")
_ERROR = 2
_DONE = 3


@dataclass(frozen=True, slots=True)
class Dump:
    """One datagram's worth; ``ended``: no more follow, for ``errno`` unless that is 0."""

    connections: tuple[Connection, ...]
    ended: bool
    errno: int = 0


def read(datagram: bytes) -> Dump:
    """All messages of a datagram; what is cut off or is no TCP socket is left out."""
    found: list[Connection] = []
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, *_ = _HEADER.unpack_from(datagram, at)
        if length < _HEADER.size or at + length > len(datagram):
            break
        contents = datagram[at + _HEADER.size : at + length]
        if kind in (_ERROR, _DONE):
            # Both begin with an errno, negative, or 0; older kernels' "done" may hold nothing.
            code = _INT32.unpack_from(contents)[0] if len(contents) >= _INT32.size else 0
            return Dump(tuple(found), ended=True, errno=max(0, -code))
        if (connection := tcpinfo.parse(contents)) is not None:
            found.append(connection)
        at += (length + 3) & ~3
    return Dump(tuple(found), ended=not datagram)
