"""The socket side of one exchange: a fresh connected socket, kernel receive stamps, errors kept apart."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.samples import NtpOutcome, ServerReason
from truechimer_agent.ntp import packet
from truechimer_agent.ntp.exchange import Exchange, Failure, Request, arrival_ns, judge
from truechimer_agent.resolving import lookup

if TYPE_CHECKING:
    from truechimer.readings import Reading
    from truechimer_agent.hostclock import HostClock

SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; SCM_TIMESTAMPNS has the same number."""
_TIMESPEC = struct.Struct("=qq")
_REPLY_ROOM = 1024
_PATIENCE = 16
"""Packets that may be forged are waited out, so many of them."""
_CONTROL_ROOM = 128
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


async def exchange(
    clock: HostClock, address: Address, timeout_s: float, *, kernel_timestamps: bool
) -> Exchange | Failure:
    """Ask once and wait for the answer. Never raises for what a network does."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            if kernel_timestamps:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.connect(address.sockaddr)
            epoch = clock.steady().epoch
            async with asyncio.timeout(timeout_s):
                found = await _converse(clock, sock)
            # Its times are in the S of the epoch in which it began: they mean nothing in another.
            return found if clock.steady().epoch == epoch else Failure(NtpOutcome.LOST, ServerReason.STALE)
    except TimeoutError:
        return Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE)
    except OSError as error:
        outcome = _OUTCOMES.get(error.errno or 0, NtpOutcome.LOST)
        return Failure(outcome, ServerReason.UNREACHABLE)


async def _converse(clock: HostClock, sock: socket.socket) -> Exchange | Failure:
    nonce = secrets.randbits(64)
    before = clock.clocks.read()
    data = packet.request(nonce)
    request = Request(nonce, clock.steady_now_ns())
    sock.send(data)
    for _ in range(_PATIENCE):
        reply, kernel_wall_ns, after = await _receive(clock, sock)
        received_ns = arrival_ns(clock.steady(), before, after, request.sent_ns, kernel_wall_ns)
        verdict = judge(reply, request, received_ns)
        if isinstance(verdict, Exchange) or not verdict.ignored:
            return verdict
        await asyncio.sleep(0)  # a flood must not keep the loop from its other work
    return verdict


async def _receive(clock: HostClock, sock: socket.socket) -> tuple[bytes, int | None, Reading]:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _set_done, readable)
    try:
        while True:
            try:
                reply, control, _, _ = sock.recvmsg(_REPLY_ROOM, _CONTROL_ROOM)
            except BlockingIOError:
                await readable
                readable = loop.create_future()
                loop.add_reader(sock, _set_done, readable)
            else:
                return reply, _kernel_stamp(control), clock.clocks.read()
    finally:
        loop.remove_reader(sock)


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _kernel_stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * packet.NS + int(nanoseconds)
    return None


async def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name, in the resolver's order. Raises socket.gaierror."""
    return [Address(*found) for found in await lookup(host, port, socket.SOCK_DGRAM)]
