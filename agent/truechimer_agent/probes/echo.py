"""ICMP echo packets (RFC 792, RFC 4443 section 4), sans-IO: bytes in, values out.

The kernel writes and checks ICMPv6 checksums (RFC 3542 section 3.1), and an unprivileged IPv4 ping socket's;
only a raw IPv4 socket needs them done here, and they are right everywhere.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from truechimer.errors import DecodeError

IpVersion = Literal[4, 6]

NONCE_BYTES = 8
PAYLOAD_BYTES = 56
"""As ping(8) sends, so that round trips compare."""
_HEADER = struct.Struct("!BBHHH")
_REQUEST_TYPE = {4: 8, 6: 128}
_REPLY_TYPE = {4: 0, 6: 129}
_LEAST_IPV4_HEADER = 20


@dataclass(frozen=True, slots=True)
class Echo:
    """What identifies a request, in a reply or quoted by an error; a cut quote has a short ``nonce``."""

    identifier: int
    sequence: int
    nonce: bytes


def request(version: IpVersion, identifier: int, sequence: int, nonce: bytes) -> bytes:
    """An echo request whose payload begins with the nonce."""
    payload = nonce.ljust(PAYLOAD_BYTES, b"\0")
    blank = _HEADER.pack(_REQUEST_TYPE[version], 0, 0, identifier, sequence) + payload
    if version != 4:
        return blank
    return _HEADER.pack(_REQUEST_TYPE[version], 0, checksum(blank), identifier, sequence) + payload


def reply(version: IpVersion, data: bytes) -> Echo:
    """An echo reply, from its ICMP header on. Raises DecodeError for anything else."""
    kind, code, sequence_and_id = _header(data)
    if kind != _REPLY_TYPE[version] or code != 0:
        raise DecodeError(f"ICMP type {kind} code {code} is no echo reply")
    if version == 4 and checksum(data) != 0:
        raise DecodeError("ICMP checksum is wrong")
    return Echo(*sequence_and_id, data[_HEADER.size : _HEADER.size + NONCE_BYTES])


def quoted(version: IpVersion, data: bytes) -> Echo:
    """The echo request that an ICMP error quotes, at least its header. Raises DecodeError for others."""
    kind, code, sequence_and_id = _header(data)
    if kind != _REQUEST_TYPE[version] or code != 0:
        raise DecodeError(f"ICMP type {kind} code {code} is no echo request")
    return Echo(*sequence_and_id, data[_HEADER.size : _HEADER.size + NONCE_BYTES])


def without_ipv4_header(data: bytes) -> bytes:
    """A raw IPv4 socket's packet less its IP header (RFC 791 section 3.1). Raises DecodeError."""
    length = (data[0] & 0xF) * 4 if data else 0
    if length < _LEAST_IPV4_HEADER or data[0] >> 4 != 4 or len(data) < length:
        raise DecodeError("packet has no whole IPv4 header")
    return data[length:]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over data that carries its own right checksum."""
    if len(data) % 2:
        data += b"\0"
    # 2**16 is 1 modulo 65535, so the whole number modulo 65535 is the folded sum of its 16-bit words;
    # only a sum of zero words is 0, every other multiple of 65535 is the other zero of ones' complement.
    number = int.from_bytes(data, "big")
    total = number % 0xFFFF
    if total == 0 and number:
        total = 0xFFFF
    return 0xFFFF - total


def _header(data: bytes) -> tuple[int, int, tuple[int, int]]:
    if len(data) < _HEADER.size:
        raise DecodeError(f"{len(data)} bytes are too few for an ICMP header")
    kind, code, _, identifier, sequence = _HEADER.unpack_from(data)
    return kind, code, (identifier, sequence)
