"""The kernel's filter: what a socket still receives under it."""

import socket

import pytest

from truechimer_agent.mesh.floodfilter import MOST_BLOCKED, attach, instructions
from truechimer_agent.stamp.sources import network_of

END = b"the end" * 20


def received(sock, sends):
    """What arrives of (source, payload) pairs sent to a socket on loopback, in order."""
    port = sock.getsockname()[1]
    for source, payload in sends:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 0))
            sender.sendto(payload, ("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
    with socket.socket(sock.family, socket.SOCK_DGRAM) as sender:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(16))
        attach(sock, instructions(0, 9000, ()))
        target = "::ffff:127.0.0.1" if sock.family == socket.AF_INET6 else "127.0.0.1"
        sender.sendto(END, (target, port))
    found = []
    while (data := sock.recv(10_000)) != END:
        found.append(data)
    return found


@pytest.fixture
def dual():
    """A socket of both families."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        yield sock


@pytest.fixture
def single():
    """A socket of IPv4 alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.mark.parametrize("kind", ["dual", "single"])
def test_what_is_too_short_or_too_long_does_not_come(kind, request):
    """Lengths are of the payload, both ends included."""
    sock = request.getfixturevalue(kind)
    attach(sock, instructions(41, 1472, ()))
    sends = [("127.0.0.1", bytes(length)) for length in (0, 40, 41, 1472, 1473, 8000)]
    assert [len(data) for data in received(sock, sends)] == [41, 1472]


@pytest.mark.parametrize("kind", ["dual", "single"])
def test_a_blocked_address_does_not_come_and_its_neighbours_do(kind, request):
    """IPv4, also on a socket of both families."""
    sock = request.getfixturevalue(kind)
    attach(sock, instructions(1, 100, [network_of("127.0.0.3"), network_of("127.0.0.5")]))
    sends = [(f"127.0.0.{number}", b"%d" % number) for number in range(2, 8)]
    assert received(sock, sends) == [b"2", b"4", b"6", b"7"]


def test_a_blocked_network_of_ipv6_does_not_come(dual):
    """::/64 has ::1 in it; IPv4 is not concerned, and an IPv4 block concerns no IPv6."""
    sends = [("::1", b"six"), ("127.0.0.1", b"four")]
    attach(dual, instructions(1, 100, [network_of("::1"), network_of("127.0.0.9")]))
    assert received(dual, sends) == [b"four"]
    attach(dual, instructions(1, 100, [network_of("::1:0:0:0:1"), network_of("127.0.0.1")]))
    assert received(dual, sends) == [b"six"]


def test_as_many_as_are_blocked_at_once_fit_into_a_program(dual):
    """64 of each family: the kernel takes it, and no jump is too far."""
    blocked = [network_of(f"127.0.1.{number}") for number in range(MOST_BLOCKED)]
    blocked += [network_of(f"fd00:0:0:{number:x}::1") for number in range(1, MOST_BLOCKED + 1)]
    attach(dual, instructions(1, 100, blocked))
    sends = [("127.0.1.0", b"a"), ("127.0.1.63", b"b"), ("127.0.1.64", b"c"), ("::1", b"d")]
    assert received(dual, sends) == [b"c", b"d"]


def test_a_program_replaces_the_one_before(single):
    """Whoever is let in again is."""
    sends = [("127.0.0.3", b"3")]
    attach(single, instructions(1, 100, [network_of("127.0.0.3")]))
    assert received(single, sends) == []
    attach(single, instructions(1, 100, ()))
    assert received(single, sends) == [b"3"]
