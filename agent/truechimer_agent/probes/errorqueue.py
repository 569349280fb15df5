"""What a socket's error queue says of packets that got nowhere (IP_RECVERR of ip(7))."""

from __future__ import annotations

import socket
import struct

from truechimer.codes import ProbeOutcome
from truechimer_agent.probes import outcomes

IP_RECVERR = 11
IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
"""sock_extended_err of linux/errqueue.h: errno, origin, type, code, pad, info, data."""
_FROM_THE_NETWORK = frozenset({2, 3})
"""SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6."""
_OURS = frozenset({(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)})


def ask_for_errors(sock: socket.socket) -> None:
    """Have errors that come back over the network kept, with the packets that they quote."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def error_outcome(control: list[tuple[int, int, bytes]]) -> ProbeOutcome | None:
    """What these control messages say became of a packet; None when they say nothing certain."""
    for level, kind, data in control:
        if (level, kind) not in _OURS or len(data) < _EXTENDED_ERROR.size:
            continue
        number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
        outcome = outcomes.of_word(number) if origin in _FROM_THE_NETWORK else outcomes.of_errno(number)
        return None if outcome in (ProbeOutcome.REPLY, ProbeOutcome.LOST) else outcome
    return None
