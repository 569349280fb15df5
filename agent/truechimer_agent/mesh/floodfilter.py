"""A classic BPF program that has the kernel drop what need not wake the reflector (linux/filter.h).

It looks at the UDP header first, and at the IP header through the kernel's own offset for it, so that one
program does for both families on a dual-stack socket.
"""

from __future__ import annotations

import array
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")
_LENGTH, _WORD, _HALF = 0x80, 0x20, 0x28
"""BPF_LD with BPF_LEN, and with BPF_ABS of a word and of half of one."""
_IS_EQUAL, _IS_ABOVE = 0x15, 0x25
_RETURN = 0x06
_NETWORK_HEADER = -0x100000 & 0xFFFFFFFF
_PROTOCOL = -0x1000 & 0xFFFFFFFF
_IPV4 = 0x0800
_IPV4_SOURCE = _NETWORK_HEADER + 12
_IPV6_SOURCE = _NETWORK_HEADER + 8
_UDP_HEADER_BYTES = 8
_ALL, _NONE = 0xFFFFFFFF, 0
MOST_BLOCKED = 64
_IPV4_BYTES = 4

Instruction = tuple[int, int, int, int]


def instructions(least_bytes: int, most_bytes: int, blocked: Iterable[bytes]) -> list[Instruction]:
    """A program that lets through payloads of these lengths, except from the ``blocked`` sources.

    A source is an IPv4 address (4 bytes) or an IPv6 /64 network (8 bytes).
    """
    addresses: list[int] = []
    networks: list[tuple[int, int]] = []
    for source in blocked:
        if len(source) == _IPV4_BYTES:
            addresses.append(int.from_bytes(source))
        else:
            networks.append((int.from_bytes(source[:4]), int.from_bytes(source[4:])))
    drop = (_RETURN, 0, 0, _NONE)
    program: list[Instruction] = [
        (_LENGTH, 0, 0, 0),
        (_IS_ABOVE, 1, 0, least_bytes + _UDP_HEADER_BYTES - 1),
        drop,
        (_IS_ABOVE, 0, 1, most_bytes + _UDP_HEADER_BYTES),
        drop,
    ]
    if addresses or networks:
        # A jump over as much as all IPv4 addresses take is too far for its 8 bits: one that is never too far.
        program += [(_HALF, 0, 0, _PROTOCOL), (_IS_EQUAL, 1, 0, _IPV4), (0x05, 0, 0, 2 * len(addresses) + 2)]
        program.append((_WORD, 0, 0, _IPV4_SOURCE))
        for address in addresses:
            program += [(_IS_EQUAL, 0, 1, address), drop]
        program.append((_RETURN, 0, 0, _ALL))
        for high, low in networks:
            program += [
                (_WORD, 0, 0, _IPV6_SOURCE),
                (_IS_EQUAL, 0, 3, high),
                (_WORD, 0, 0, _IPV6_SOURCE + 4),
                (_IS_EQUAL, 0, 1, low),
                drop,
            ]
    program.append((_RETURN, 0, 0, _ALL))
    return program


def attach(sock: socket.socket, program: list[Instruction]) -> None:
    """Have the kernel run a program on what comes, instead of the one before. Raises OSError."""
    code = array.array("B", b"".join(_INSTRUCTION.pack(*one) for one in program))
    address, _ = code.buffer_info()
    sock.setsockopt(1, SO_ATTACH_FILTER, _PROGRAM.pack(len(program), address))
