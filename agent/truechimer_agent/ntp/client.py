"""The socket side of one exchange: a fresh connected socket, kernel stamps both ways, errors kept apart."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import NtpOutcome, ServerReason
from truechimer_agent.ntp import packet
from truechimer_agent.ntp.exchange import Exchange, Failure, Request, judge
from truechimer_agent.packettimes.kernelstamps import (
    CONTROL_ROOM,
    ask_for_stamps,
    receive_stamp,
    take_transmit_stamp,
)
from truechimer_agent.packettimes.times import times_of
from truechimer_agent.resolving import lookup

if TYPE_CHECKING:
    from truechimer_agent.hostclock import HostClock

_REPLY_ROOM = 1024
_PATIENCE = 16
"""Packets that may be forged are waited out, so many of them."""
_OUTCOMES = {
    errno.ECONNREFUSED: NtpOutcome.REFUSED,
    errno.EHOSTUNREACH: NtpOutcome.HOST_UNREACHABLE,
    errno.ENETUNREACH: NtpOutcome.NET_UNREACHABLE,
    errno.EADDRNOTAVAIL: NtpOutcome.NET_UNREACHABLE,
    errno.EPERM: NtpOutcome.NOT_PERMITTED,
    errno.EACCES: NtpOutcome.NOT_PERMITTED,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: as getaddrinfo gave it."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


async def exchange(
    clock: HostClock, address: Address, timeout_s: float, *, kernel_timestamps: bool
) -> Exchange | Failure:
    """Ask once and wait for the answer. Never raises for what a network does."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            if kernel_timestamps:
                ask_for_stamps(sock)
            sock.connect(address.sockaddr)
            epoch = clock.steady().epoch
            async with asyncio.timeout(timeout_s):
                found = await _Conversation(clock, sock).hold()
            # Its times are in the S of the epoch in which it began: they mean nothing in another.
            return found if clock.steady().epoch == epoch else Failure(NtpOutcome.LOST, ServerReason.STALE)
    except TimeoutError:
        return Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE)
    except OSError as error:
        outcome = _OUTCOMES.get(error.errno or 0, NtpOutcome.LOST)
        return Failure(outcome, ServerReason.UNREACHABLE)


class _Conversation:
    """One request, and the wait for its reply."""

    def __init__(self, clock: HostClock, sock: socket.socket) -> None:
        self._clock = clock
        self._sock = sock
        self._transmit_wall_ns: int | None = None

    async def hold(self) -> Exchange | Failure:
        """Ask, and wait for a reply that ends the exchange."""
        clocks = self._clock.clocks
        before = clocks.read()
        nonce = secrets.randbits(64)
        data = packet.request(nonce)
        request = Request(nonce, self._clock.steady_now_ns())
        self._sock.send(data)
        sent = clocks.read()
        for _ in range(_PATIENCE):
            reply, receive_wall_ns = await self._receive()
            readings = (before, sent, clocks.read())
            stamps = (self._transmit_wall_ns, receive_wall_ns)
            times = times_of(self._clock.steady(), readings, request.sent_ns, *stamps)
            verdict = judge(reply, request, times)
            if isinstance(verdict, Exchange) or not verdict.ignored:
                return verdict
            await asyncio.sleep(0)  # a flood must not keep the loop from its other work
        return verdict

    async def _receive(self) -> tuple[bytes, int | None]:
        """The next packet, and the kernel's stamp of its arrival."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                readable: asyncio.Future[None] = loop.create_future()
                loop.add_reader(self._sock, _set_done, readable)
                # While the stamp lies in the error queue the socket counts as readable.
                self._take_transmit_stamp()
                try:
                    reply, control, _, _ = self._sock.recvmsg(_REPLY_ROOM, CONTROL_ROOM)
                except BlockingIOError:
                    await readable
                else:
                    return reply, receive_stamp(control)
        finally:
            loop.remove_reader(self._sock)

    def _take_transmit_stamp(self) -> None:
        self._transmit_wall_ns = take_transmit_stamp(self._sock) or self._transmit_wall_ns


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name, in the resolver's order. Raises socket.gaierror."""
    return [Address(*found) for found in await lookup(host, port, socket.SOCK_DGRAM)]
