"""The reflector's UDP socket: kernel stamps, TTL, and replies from the address that was asked."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from truechimer_agent.mesh import floodfilter
from truechimer_agent.packettimes.kernelstamps import SO_TIMESTAMPNS
from truechimer_agent.stamp.packet import LEAST_REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer_agent.resolving import Sockaddr

_IP, _IPV6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
_TOS, _TTL, _INFO, _RECEIVE_TTL, _RECEIVE_TOS = 1, 2, 8, 12, 13
"""linux/in.h."""
_RECEIVE_INFO6, _INFO6, _RECEIVE_HOPS6, _HOPS6, _RECEIVE_CLASS6, _CLASS6 = 49, 50, 51, 52, 66, 67
"""linux/in6.h."""
_STAMP = socket.SOL_SOCKET << 8 | SO_TIMESTAMPNS
_MSG_PROBE = 0x10
"""linux/socket.h."""
_DSCP = 0xFC
_MULTICAST6 = 0xFF
_TIMESPEC = struct.Struct("=qq")
_INT = struct.Struct("=i")
_LONGS = struct.Struct("@ll")
_NO_INTERFACE = bytes(4)
_NS = 1_000_000_000
_CONTROL_ROOM = 256
_PASSING = frozenset({errno.EAGAIN, errno.EINTR, errno.ENOMEM, errno.ENOBUFS})

MOST_BYTES = 9000 - 28
"""A jumbo frame's payload."""
RECEIVE_BUFFER_BYTES = 128 << 10
"""Holds a burst of all of a mesh; some hundred small packets of a flood are through in a few ms."""

Address = tuple[str, int] | tuple[str, int, int, int]
Control = tuple[int, int, bytes]


class Arrival(NamedTuple):
    """A packet of ``length`` bytes from ``address``; ``wall_ns`` is W when the kernel received it.

    ``control`` has the reply leave from the address that was asked, in the request's DSCP class.
    ``is_for_one``: it is whole, and was sent to no broadcast or multicast address.
    """

    length: int
    address: Address
    wall_ns: int | None
    ttl: int
    control: list[Control]
    is_for_one: bool


class ReflectorSocket:
    """A bound socket that blocks until ``shut``. Raises OSError when it cannot be had."""

    def __init__(self, family: int, sockaddr: Sockaddr) -> None:
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self.buffer = bytearray(MOST_BYTES)
        try:
            self._prepare()
            self._sock.bind(sockaddr)
            self.port = int(self._sock.getsockname()[1])
        except OSError:
            self._sock.close()
            raise

    def _prepare(self) -> None:
        sock = self._sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for option in (_RECEIVE_TTL, _RECEIVE_TOS, _INFO):
            sock.setsockopt(_IP, option, 1)
        if sock.family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                sock.setsockopt(_IPV6, socket.IPV6_V6ONLY, 0)
            for option in (_RECEIVE_HOPS6, _RECEIVE_CLASS6, _RECEIVE_INFO6):
                sock.setsockopt(_IPV6, option, 1)
        self.keep_away(())

    def keep_away(self, sources: Iterable[bytes]) -> None:
        """Have the kernel drop what comes from these sources, and what can be no request by its length.

        A kernel that takes no filters does without.
        """
        program = floodfilter.instructions(LEAST_REQUEST_BYTES, MOST_BYTES, sources)
        with contextlib.suppress(OSError):
            floodfilter.attach(self._sock, program)

    def wake_after(self, whole_s: int) -> None:
        """Let ``receive`` wait no longer than this; 0: as long as it takes."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _LONGS.pack(whole_s, 0))

    def receive(self) -> Arrival | None:
        """Wait for a packet, which is then in ``buffer``. None: nothing came, for a while or at the end."""
        try:
            length, ancillary, flags, address = self._sock.recvmsg_into((self.buffer,), _CONTROL_ROOM)
        except OSError as error:
            if error.errno in _PASSING:
                return None
            raise
        told = {level << 8 | kind: data for level, kind, data in ancillary}
        wall_ns = None
        stamp = told.get(_STAMP)
        if stamp is not None:
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            wall_ns = seconds * _NS + nanoseconds or None
        hops = told.get(_IP << 8 | _TTL) or told.get(_IPV6 << 8 | _HOPS6)
        control, is_for_one = _way_back(told)
        return Arrival(
            length,
            address,
            wall_ns,
            _INT.unpack(hops)[0] if hops else 0,
            control,
            is_for_one and not flags & socket.MSG_TRUNC,
        )

    def rehearse(self, reply: bytes | bytearray, arrival: Arrival) -> None:
        """All of ``send`` but the sending: the code is in the caches then, and T3 is nearer to the wire.

        The kernel looks up the route and stops there (udp(7) does not tell of MSG_PROBE; ip_make_skb() does).
        """
        with contextlib.suppress(OSError):  # send will say it
            self._sock.sendmsg((reply,), arrival.control, _MSG_PROBE | socket.MSG_DONTWAIT, arrival.address)

    def send(self, reply: bytes | bytearray, arrival: Arrival) -> None:
        """Send the reply to a packet. Raises OSError for what this host's routing or firewall says."""
        self._sock.sendmsg((reply,), arrival.control, socket.MSG_DONTWAIT, arrival.address)

    def shut(self) -> None:
        """End the wait of ``receive``, in whichever thread."""
        with contextlib.suppress(OSError):  # a UDP socket without a peer says so, and wakes who waits
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close."""
        self._sock.close()


def _way_back(told: dict[int, bytes]) -> tuple[list[Control], bool]:
    """What a reply is sent with; and whether its request was sent to one address."""
    info = told.get(_IP << 8 | _INFO)
    if info is not None:
        # struct in_pktinfo: the interface, the local address, the packet's destination.
        control = [(_IP, _INFO, _NO_INTERFACE + info[4:12])]
        dscp = told.get(_IP << 8 | _TOS, b"\0")[0] & _DSCP
        if dscp:
            control.append((_IP, _TOS, _INT.pack(dscp)))
        return control, info[4:8] == info[8:12]
    info6 = told.get(_IPV6 << 8 | _INFO6)
    if info6 is None:
        return [], True
    control = [(_IPV6, _INFO6, info6[:16] + _NO_INTERFACE)]
    traffic_class = told.get(_IPV6 << 8 | _CLASS6)
    if traffic_class and (dscp := _INT.unpack(traffic_class)[0] & _DSCP):
        control.append((_IPV6, _CLASS6, _INT.pack(dscp)))
    return control, info6[0] != _MULTICAST6
