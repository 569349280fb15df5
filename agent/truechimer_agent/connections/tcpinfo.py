"""What sock_diag says of one TCP socket: bytes in, a frozen value out.

``struct inet_diag_msg`` and its attributes are those of linux/inet_diag.h, ``struct tcp_info`` that of
linux/tcp.h. The latter has grown at its end with almost every kernel: what an older one leaves off is None.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass

ESTABLISHED = 1
LISTEN = 10
INFO = 2
"""INET_DIAG_INFO: the attribute that holds a tcp_info; bit INFO − 1 of a request asks for it."""

_HEAD = struct.Struct("=BBBB2s2s16s16sI8s")
_HEAD_SIZE = 72
"""sizeof(struct inet_diag_msg): the head above, then queues, uid and inode."""
_ATTRIBUTE = struct.Struct("=HH")
_UINT32 = struct.Struct("=I")
_LAST_DATA_SENT_MS = 44
_LAST_ACK_RECEIVED_MS = 56
_RTO_US = 8
_RTT_US = 68
_RTTVAR_US = 72
_TOTAL_RETRANS = 100
_MIN_RTT_US = 148
_DATA_SEGS_OUT = 156
_NEVER = 0xFFFFFFFF
"""tcpi_min_rtt before the first measurement."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection; an IPv4 address that is mapped into IPv6 is the IPv4 one."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """The part of tcp_info that is used; None: not measured yet, or not told by this kernel.

    ``data_segments_out`` includes ``retransmitted``; both count since the connection began and wrap at
    2**32. The last two say how long ago something was sent, and an acknowledgement received.
    """

    rtt_us: int | None = None
    rttvar_us: int | None = None
    min_rtt_us: int | None = None
    rto_us: int | None = None
    data_segments_out: int | None = None
    retransmitted: int | None = None
    sent_ago_ms: int | None = None
    acknowledged_ago_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A socket of this host: its kernel's number for it, its state (linux/tcp_states.h), its two ends."""

    cookie: bytes
    state: int
    local: Endpoint
    remote: Endpoint
    info: TcpInfo


def parse(message: bytes) -> Connection | None:
    """A message of sock_diag without its netlink header; None when it is none of a TCP socket's."""
    if len(message) < _HEAD_SIZE:
        return None
    family, state, _timer, _retrans, sport, dport, source, target, _device, cookie = _HEAD.unpack_from(
        message
    )
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return Connection(
        cookie,
        state,
        _endpoint(family, source, sport),
        _endpoint(family, target, dport),
        parse_tcp_info(_attribute(message, INFO)),
    )


def parse_tcp_info(raw: bytes) -> TcpInfo:
    """A tcp_info of whatever length."""
    rtt_us = _uint32(raw, _RTT_US) or None
    min_rtt_us = _uint32(raw, _MIN_RTT_US)
    return TcpInfo(
        rtt_us=rtt_us,
        rttvar_us=None if rtt_us is None else _uint32(raw, _RTTVAR_US),
        min_rtt_us=None if min_rtt_us == _NEVER else min_rtt_us,
        rto_us=_uint32(raw, _RTO_US),
        data_segments_out=_uint32(raw, _DATA_SEGS_OUT),
        retransmitted=_uint32(raw, _TOTAL_RETRANS),
        sent_ago_ms=_uint32(raw, _LAST_DATA_SENT_MS),
        acknowledged_ago_ms=_uint32(raw, _LAST_ACK_RECEIVED_MS),
    )


def _uint32(raw: bytes, at: int) -> int | None:
    return int(_UINT32.unpack_from(raw, at)[0]) if len(raw) >= at + _UINT32.size else None


def _attribute(message: bytes, wanted: int) -> bytes:
    """The contents of an attribute, empty when it is not there; a length that cannot be ends the search."""
    at = _HEAD_SIZE
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size or at + length > len(message):
            break
        if kind == wanted:
            return message[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return b""


def _endpoint(family: int, packed: bytes, port: bytes) -> Endpoint:
    address: Address
    if family == socket.AF_INET:
        address = ipaddress.IPv4Address(packed[:4])
    else:
        whole = ipaddress.IPv6Address(packed)
        address = whole.ipv4_mapped or whole
    return Endpoint(address, int.from_bytes(port, "big"))
