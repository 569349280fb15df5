"""Exchanges over real sockets on loopback, against servers that misbehave."""

import asyncio
import contextlib
import socket
import struct
import threading

import pytest

from truechimer.codes import NtpOutcome, ServerReason
from truechimer.readings import SystemClocks
from truechimer_agent.hostclock import HostClock
from truechimer_agent.ntp import packet
from truechimer_agent.ntp.client import Address, _Conversation, exchange
from truechimer_agent.ntp.exchange import Exchange, Failure


@contextlib.contextmanager
def server(answer):
    """A UDP server on loopback that sends what ``answer(request)`` yields."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    data, peer = sock.recvfrom(2048)
                    if not data:
                        return
                    for reply in answer(data):
                        sock.sendto(reply, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address(socket.AF_INET, sock.getsockname())
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as poke:
                poke.sendto(b"", sock.getsockname())
            thread.join()


def honest(data, *, origin_shift=0, stratum=1):
    """What a faultless server answers: the host's own wall clock is the truth here."""
    (nonce,) = struct.unpack_from("!Q", data, 40)
    now = packet.from_unix_ns(SystemClocks().read().wall_ns)
    return struct.pack("!BBbb12x4Q", 4 << 3 | 4, stratum, 4, -25, 0, (nonce + origin_shift) % 2**64, now, now)


def ask(address, *, timeout_s=1.0, kernel_timestamps=True):
    clock = HostClock(SystemClocks(), None)
    return asyncio.run(exchange(clock, address, timeout_s, kernel_timestamps=kernel_timestamps)), clock


@pytest.mark.parametrize("kernel_timestamps", [True, False])
def test_an_honest_server_bounds_the_truth(kernel_timestamps):
    """UTC is W here, so UTC − S is W − S: the interval contains it."""
    with server(lambda data: [honest(data)]) as address:
        found, clock = ask(address, kernel_timestamps=kernel_timestamps)
    assert isinstance(found, Exchange)
    truth_ns = clock.wall_minus_steady_ns(clock.clocks.read())
    assert found.lower_ns - 20_000 <= truth_ns <= found.upper_ns + 20_000


def test_the_kernels_transmit_stamp_narrows_the_bound(monkeypatch):
    """Time lost between the reading of the clock and the sending is not taken for a way to the server."""
    delay_s = 0.1

    class Held(socket.socket):
        def send(self, data):
            threading.Event().wait(delay_s)
            return super().send(data)

    monkeypatch.setattr(socket, "socket", Held)
    with server(lambda data: [honest(data)]) as address:
        stamped, _ = ask(address)
        plain, _ = ask(address, kernel_timestamps=False)
    assert plain.delay_ns >= delay_s * 1e9
    assert stamped.delay_ns < plain.delay_ns / 2


def test_a_transmit_stamp_that_waits_does_not_keep_the_loop_awake(monkeypatch):
    """It lies in the socket's error queue and makes the socket readable until it is taken."""
    looks = []
    take = _Conversation._take_transmit_stamp
    monkeypatch.setattr(_Conversation, "_take_transmit_stamp", lambda self: (looks.append(self), take(self)))
    with server(lambda _: []) as address:
        found, _ = ask(address, timeout_s=0.3)
    assert found == Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE)
    assert 1 <= len(looks) <= 3
    assert looks[0]._transmit_wall_ns is not None


def test_forged_and_truncated_packets_are_waited_out():
    """The true answer comes third and counts."""
    with server(lambda data: [honest(data, origin_shift=1), b"x" * 20, honest(data)]) as address:
        found, _ = ask(address)
    assert isinstance(found, Exchange)


def test_only_forged_packets_end_as_lost():
    """A few until the time is up."""
    with server(lambda data: [honest(data, origin_shift=1)] * 3) as address:
        found, _ = ask(address, timeout_s=0.3)
    assert found == Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE)


def test_a_flood_of_forged_packets_ends_the_exchange_and_spares_the_loop():
    """Sixteen are waited out; then it is a bad reply, and nothing else had to wait."""
    with server(lambda data: [honest(data, origin_shift=1)] * 500) as address:
        found, _ = ask(address, timeout_s=5.0)
    assert isinstance(found, Failure)
    assert (found.outcome, found.reason) == (NtpOutcome.BAD_REPLY, ServerReason.BOGUS_ORIGIN)


def test_a_closed_port_is_refused_not_lost():
    """ICMP port unreachable: the host is up and nobody serves there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        closed = Address(socket.AF_INET, sock.getsockname())
    found, _ = ask(closed)
    assert isinstance(found, Failure)
    assert found.outcome is NtpOutcome.REFUSED


def test_silence_is_lost():
    """Nobody knows why."""
    with server(lambda _: []) as address:
        found, _ = ask(address, timeout_s=0.2)
    assert found == Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE)


def test_a_kiss_ends_the_exchange():
    """Stratum 0 is an answer."""
    with server(lambda data: [honest(data, stratum=0)]) as address:
        found, _ = ask(address)
    assert isinstance(found, Failure)
    assert found.reason is ServerReason.KISS_OTHER
