"""The kernel's own stamps of packets, of the wall clock W: asked for and read from a socket (Linux)."""

from __future__ import annotations

import contextlib
import socket
import struct

SO_TIMESTAMPNS = 35
SO_TIMESTAMPING = 37
"""asm-generic/socket.h; SCM_TIMESTAMPNS and SCM_TIMESTAMPING have the same numbers."""
CONTROL_ROOM = 256
_TRANSMIT_STAMPS = 1 << 1 | 1 << 4 | 1 << 11
"""linux/net_tstamp.h: software stamps of what is sent, reported, without the packet itself."""
_TIMESPEC = struct.Struct("=qq")
_NS = 1_000_000_000


class Stamping:
    """Keeps the kernel's receive stamping switched on while exchanges come and go."""

    def __init__(self, *, wanted: bool) -> None:
        self._socket: socket.socket | None = None
        if wanted:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            except OSError:
                self.close()

    @property
    def works(self) -> bool:
        """Whether the kernel stamps packets."""
        return self._socket is not None

    def close(self) -> None:
        """Stop."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def ask_for_stamps(sock: socket.socket) -> None:
    """Have what this socket receives and sends stamped. Raises OSError when not even receiving is."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    with contextlib.suppress(OSError):  # a kernel without transmit stamps does with the other ones
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, _TRANSMIT_STAMPS)


def receive_stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    """W in ns when the packet came, from the control messages that ``recvmsg`` gave with it."""
    return _stamp(control, SO_TIMESTAMPNS)


def transmit_stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    """W in ns when a packet was handed to the driver, from the control messages of an error queue's entry."""
    return _stamp(control, SO_TIMESTAMPING)


def take_transmit_stamp(sock: socket.socket) -> int | None:
    """W in ns when a packet was handed to the driver; None while none lies in the socket's error queue.

    While one lies there the socket counts as readable.
    """
    try:
        _, control, _, _ = sock.recvmsg(0, CONTROL_ROOM, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    return transmit_stamp(control)


def _stamp(control: list[tuple[int, int, bytes]], wanted: int) -> int | None:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == wanted and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * _NS + int(nanoseconds) or None
    return None
