"""A connected UDP socket to one peer in one DSCP class: kernel stamps both ways, errors told apart."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, NamedTuple

from truechimer_agent.packettimes.kernelstamps import (
    CONTROL_ROOM,
    ask_for_stamps,
    receive_stamp,
    transmit_stamp,
)
from truechimer_agent.probes.errorqueue import ask_for_errors, error_outcome

if TYPE_CHECKING:
    from truechimer.codes import ProbeOutcome
    from truechimer_agent.probes.targets import Address

_DSCP_SHIFT = 2
"""The two bits below are of explicit congestion notification (RFC 3168)."""
_ROOM = 2048


class Packet(NamedTuple):
    """What came; ``wall_ns`` is W when the kernel received it, None where it does not say so."""

    data: bytes
    wall_ns: int | None


class Error(NamedTuple):
    """Somebody says that a packet of ours got nowhere; ``quoted`` is as much of it as he sent back."""

    quoted: bytes
    outcome: ProbeOutcome


class ProbeSocket:
    """Sends, and reads what came; never blocks. Raises OSError when it cannot be had."""

    def __init__(self, address: Address, dscp: int) -> None:
        self.sock = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with contextlib.suppress(OSError):
                ask_for_stamps(self.sock)
            ask_for_errors(self.sock)
            if dscp:
                self._mark(dscp << _DSCP_SHIFT)
            self.sock.connect(address.sockaddr)
        except OSError:
            self.sock.close()
            raise

    def _mark(self, traffic_class: int) -> None:
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)

    def send(self, data: bytes) -> None:
        """Send a packet. Raises OSError for what this host's routing or firewall says.

        What ``told`` has not fetched yet is then told of an earlier packet, and this one has not left.
        """
        self.sock.send(data)

    def told(self) -> tuple[list[Error], int | None]:
        """The errors that came since, and W when the last packet was handed to the driver.

        While any of these wait, the socket counts as readable.
        """
        errors: list[Error] = []
        stamp: int | None = None
        while True:
            try:
                quoted, control, _, _ = self.sock.recvmsg(_ROOM, CONTROL_ROOM, socket.MSG_ERRQUEUE)
            except OSError:
                return errors, stamp
            outcome = error_outcome(control)
            if outcome is not None:
                errors.append(Error(quoted, outcome))
            else:
                stamp = transmit_stamp(control) or stamp

    def receive(self) -> Packet | None:
        """The next packet, None when there is none for now."""
        for _ in range(2):
            try:
                data, control, _, _ = self.sock.recvmsg(_ROOM, CONTROL_ROOM)
            except BlockingIOError:
                return None
            except OSError:
                continue  # an error of the queue's, told once more
            return Packet(data, receive_stamp(control))
        return None

    def close(self) -> None:
        """Close."""
        self.sock.close()
