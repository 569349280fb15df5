"""The socket of a probe on loopback: its class of service, its stamps, and what is said of what it sent."""

import contextlib
import select
import socket
import struct

import pytest

from truechimer.codes import ProbeOutcome
from truechimer.readings import SystemClocks
from truechimer_agent.mesh.probesocket import ProbeSocket
from truechimer_agent.probes.targets import Address

IP_RECVTOS = 13


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def peer(request):
    """A socket that hears probes, and how they get there."""
    family, host = request.param
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.settimeout(5)
        yield sock, Address(family, sock.getsockname())


def test_probes_are_marked_with_their_class(peer):
    """46 is 184 in the old field: two bits lower are congestion's."""
    sock, address = peer
    level, option = (
        (socket.IPPROTO_IP, IP_RECVTOS)
        if address.family == socket.AF_INET
        else (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS)
    )
    sock.setsockopt(level, option, 1)
    with contextlib.closing(ProbeSocket(address, 46)) as probe:
        probe.send(b"x")
        _, [(_, _, marked)], _, _ = sock.recvmsg(16, 64)
    assert marked[0] == 46 << 2


def test_both_stamps_lie_between_the_readings_around_them(peer):
    """The one of sending is told at once, and once."""
    sock, address = peer
    clocks = SystemClocks()
    with contextlib.closing(ProbeSocket(address, 0)) as probe:
        before_ns = clocks.read().wall_ns
        probe.send(b"probe")
        errors, sent_ns = probe.told()
        assert errors == []
        data, sender = sock.recvfrom(16)
        sock.sendto(data, sender)
        assert select.select([probe.sock], [], [], 5)[0]
        packet = probe.receive()
        assert packet.data == b"probe"
        assert before_ns <= sent_ns <= packet.wall_ns <= clocks.read().wall_ns
        assert probe.told() == ([], None)
        assert probe.receive() is None


def test_a_refusal_quotes_the_probe_that_was_refused(peer):
    """So that it is known which one it was; the next one can be sent after that was fetched."""
    sock, address = peer
    with contextlib.closing(ProbeSocket(address, 0)) as probe:
        sock.close()
        probe.send(struct.pack("!I", 77) + bytes(40))
        assert select.select([probe.sock], [], [], 5)[0]
        [error], stamp = probe.told()
        assert error.outcome is ProbeOutcome.REFUSED
        assert struct.unpack_from("!I", error.quoted) == (77,)
        assert stamp is not None
        probe.send(b"next")


def test_what_cannot_be_a_peer_gives_no_socket():
    """A broadcast address; and none is left open, which would be a warning."""
    with pytest.raises(PermissionError):
        ProbeSocket(Address(socket.AF_INET, ("255.255.255.255", 862)), 0)
