"""One socket that speaks ICMP echo in one family: unprivileged where that is allowed, else raw."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome
from truechimer.errors import DecodeError
from truechimer_agent.packettimes.kernelstamps import SO_TIMESTAMPNS, receive_stamp
from truechimer_agent.probes import echo
from truechimer_agent.probes.errorqueue import ask_for_errors, error_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_agent.probes.echo import Echo, IpVersion
    from truechimer_agent.probes.targets import Address

_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP6_FILTER = 1
_ONLY_ECHO_REPLIES = struct.pack("=I", ~(1 << 0) & 0xFFFFFFFF)
_ONLY_ECHO_REPLIES_6 = struct.pack("=8I", *(0xFFFFFFFF & ~(1 << 1 if word == 4 else 0) for word in range(8)))
_ROOM = 2048
_CONTROL_ROOM = 512


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something came for a request: a reply, or somebody's word that it got nowhere.

    ``kernel_wall_ns`` is when the kernel received it, by the wall clock, where it says so.
    """

    echo: Echo
    outcome: ProbeOutcome
    kernel_wall_ns: int | None


class PingSocket:
    """Sends requests and reads what comes for them; never blocks. Raises OSError when none can be made."""

    def __init__(
        self, version: IpVersion, identifier: int, make_socket: Callable[..., socket.socket]
    ) -> None:
        self._version = version
        self._family = socket.AF_INET if version == 4 else socket.AF_INET6
        self._protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        self.is_raw = False
        try:
            self.sock = make_socket(self._family, socket.SOCK_DGRAM, self._protocol)
        except PermissionError:
            self.sock = make_socket(self._family, socket.SOCK_RAW, self._protocol)
            self.is_raw = True
        self.identifier = identifier
        try:
            self._prepare()
        except OSError:
            self.sock.close()
            raise

    def _prepare(self) -> None:
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        ask_for_errors(self.sock)
        if not self.is_raw:
            # The kernel chooses the identifier of a ping socket: its port.
            self.sock.bind(("0.0.0.0" if self._version == 4 else "::", 0))  # noqa: S104 - receives only its own replies
            self.identifier = self.sock.getsockname()[1]
        elif self._version == 4:
            self.sock.setsockopt(_SOL_RAW, _ICMP_FILTER, _ONLY_ECHO_REPLIES)
        else:
            self.sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _ONLY_ECHO_REPLIES_6)

    def send(self, sequence: int, nonce: bytes, address: Address) -> None:
        """Send a request. Raises OSError for what this host's routing or firewall says."""
        data = echo.request(self._version, self.identifier, sequence, nonce)
        try:
            self.sock.sendto(data, address.sockaddr)
        except OSError:
            # It may have been an earlier request's error, which the kernel tells at the next call; then it
            # is in the error queue too and this request has not been sent.
            self.sock.sendto(data, address.sockaddr)

    def receive(self) -> list[Arrival]:
        """What came for our requests: one packet, or all errors that wait.

        A raw socket hears other programs' replies too: they give nothing. Raises DecodeError for a bad one.
        """
        try:
            data, control, _, _ = self.sock.recvmsg(_ROOM, _CONTROL_ROOM)
        except OSError:
            return self._errors()
        if self.is_raw and self._version == 4:
            data = echo.without_ipv4_header(data)
        answer = echo.reply(self._version, data)
        if answer.identifier != self.identifier:
            return []
        return [Arrival(answer, ProbeOutcome.REPLY, receive_stamp(control))]

    def _errors(self) -> list[Arrival]:
        arrivals: list[Arrival] = []
        while True:
            try:
                data, control, _, _ = self.sock.recvmsg(_ROOM, _CONTROL_ROOM, socket.MSG_ERRQUEUE)
            except OSError:
                return arrivals
            outcome = error_outcome(control)
            try:
                request = echo.quoted(self._version, data)
            except DecodeError:
                continue  # it does not quote enough to tell which packet it is about
            if outcome is not None and request.identifier == self.identifier:
                arrivals.append(Arrival(request, outcome, receive_stamp(control)))

    def close(self) -> None:
        """Close."""
        self.sock.close()
