"""The reflector's thread on real sockets: addresses, stamps, epochs, floods, and its end."""

import contextlib
import socket
import threading
from time import sleep

import pytest
from agent.reflectinghost import Peer, ReflectingHost

from truechimer.readings import SystemClocks, monotonic_s
from truechimer_agent.mesh.reflecting import BLOCK_S, LONGEST_BLOCK_S, Blocks
from truechimer_agent.mesh.reflectorsocket import ReflectorSocket
from truechimer_agent.stamp.key import Key
from truechimer_agent.stamp.packet import decode_reply, encode_request
from truechimer_agent.stamp.sources import MOST_SOURCES, Allowance
from truechimer_agent.stamp.stamps import ns_down, ns_up, stamp_down

KEY = Key(b"the secret of this mesh")
S = 10**9


def request(sequence, key=None, ssid=9):
    return encode_request(sequence, stamp_down(sequence + S), ssid, b"sender-A", key)


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.7"),
        ("::1", "::1"),
        ("::", "::1"),
        ("::", "127.0.0.9"),
    ],
)
@pytest.mark.parametrize("key", [None, KEY], ids=["unauthenticated", "authenticated"])
def test_the_reply_comes_from_the_address_that_was_asked(listen, asked, key):
    """The peer's socket is connected, so that nothing from another address would reach it."""
    with ReflectingHost(key, listen=listen) as host, Peer(host, asked) as peer:
        peer.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 77)
        if ":" in asked:
            peer.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 77)
        reply = decode_reply(peer.ask(request(0, key)), key)
    assert (reply.sequence, reply.ttl) == (0, 77)


@pytest.mark.parametrize("asked", ["127.0.0.1", "::1"])
def test_the_reply_goes_in_the_requests_class(asked):
    """DSCP 46 is answered by DSCP 46, best effort by best effort; ECN bits are not copied."""
    with ReflectingHost(listen="::") as host, Peer(host, asked) as peer:
        six = ":" in asked
        level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
        name, receive = (socket.IPV6_TCLASS, socket.IPV6_RECVTCLASS) if six else (socket.IP_TOS, 13)
        peer.socket.setsockopt(level, receive, 1)
        for sequence, (sent, answered) in enumerate(((46 << 2 | 1, 46 << 2), (0, 0))):
            peer.socket.setsockopt(level, name, sent)
            peer.socket.send(request(sequence))
            _, ancillary, _, _ = peer.socket.recvmsg(2000, 256)
            classes = [data[0] for at, kind, data in ancillary if (at, kind) == (level, name)]
            assert classes == [answered]


def test_t2_and_t3_lie_between_sending_and_receiving():
    """S of the reflector's host, which is this one: s1 ≤ T2 ≤ T3 ≤ s4, 200 times."""
    with ReflectingHost() as host, Peer(host) as peer:
        for sequence in range(200):
            s1 = host.clock.steady_now_ns()
            reply = decode_reply(peer.ask(request(sequence)), None)
            s4 = host.clock.steady_now_ns()
            assert s1 <= ns_up(reply.received, s1) <= ns_up(reply.transmitted, s1)
            assert ns_down(reply.transmitted, s1) <= s4
        assert 0 < host.thread.take_residence_ns() <= 60 * S
        assert host.thread.take_residence_ns() == 0


def test_a_new_epoch_is_in_the_replies_at_once():
    """And the session goes on being counted."""
    with ReflectingHost() as host, Peer(host) as peer:
        before = decode_reply(peer.ask(request(0)), None)
        host.clock.begin_epoch()
        after = decode_reply(peer.ask(request(1)), None)
    assert after.identity.epoch == before.identity.epoch + 1
    assert (after.identity.instance, after.sequence) == (before.identity.instance, 1)


class SleepingClocks:
    """Clocks of a host that has slept for a while after ``sleep``."""

    def __init__(self):
        self._real = SystemClocks()
        self.asleep_ns = 0

    def read(self):
        reading = self._real.read()
        return type(reading)(
            reading.wall_ns,
            reading.raw_ns,
            reading.mono_ns,
            reading.boot_ns + self.asleep_ns,
            reading.width_ns,
        )

    def raw_ns(self):
        return self._real.raw_ns()


def test_after_a_sleep_that_nobody_has_noticed_there_is_no_answer():
    """S stood still meanwhile, and its epoch is the old one: a false reply would prove falsehoods."""
    clocks = SleepingClocks()
    with ReflectingHost(clocks=clocks) as host, Peer(host, timeout_s=0.3) as peer:
        peer.ask(request(0))
        clocks.asleep_ns = S
        with pytest.raises(TimeoutError):
            peer.ask(request(1))
        assert host.reflector.totals.failed == 1


def test_what_is_sent_to_all_is_not_answered():
    """A broadcast to loopback's network: one request would make all reflectors of a network answer."""
    with ReflectingHost(listen="0.0.0.0") as host, Peer(host) as peer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.sendto(request(5), ("127.255.255.255", host.port))
            peer.ask(request(0))
            sender.settimeout(0.1)
            with pytest.raises(TimeoutError):
                sender.recv(2000)
        assert host.reflector.totals.malformed == 1


def test_empty_short_and_enormous_packets_do_nothing():
    """The kernel drops them; the thread goes on."""
    with ReflectingHost() as host, Peer(host) as peer:
        for length in (0, 1, 40, 9_500, 60_000):
            peer.socket.send(bytes(length))
        assert decode_reply(peer.ask(request(0)), None).sequence == 0
        assert host.reflector.totals.requests == 1


def test_a_source_that_floods_is_left_to_the_kernel_and_others_are_not():
    """2,000 packets and more from one address, of which few are seen; another is answered meanwhile."""
    allowance = Allowance(rate_hz=1, burst=5, flood=100)
    with (
        ReflectingHost(allowance=allowance) as host,
        Peer(host, source="127.0.0.66") as flooding,
        Peer(host) as peer,
    ):
        sent = flooding.flood(request)
        assert host.thread.blocked() == [b"\x7f\0\0\x42"]
        assert decode_reply(peer.ask(request(0, ssid=8)), None).sequence == 0
        seen = host.reflector.totals.requests
        for number in range(2000):
            flooding.socket.send(request(sent + number))
        assert decode_reply(peer.ask(request(1, ssid=8)), None).sequence == 1
        assert host.reflector.totals.requests == seen + 1


def test_who_was_kept_away_is_let_in_again_though_nothing_else_comes(monkeypatch):
    """The thread wakes for that alone."""
    monkeypatch.setattr("truechimer_agent.mesh.reflecting.BLOCK_S", 1)
    with (
        ReflectingHost(allowance=Allowance(rate_hz=1000, burst=1, flood=20)) as host,
        Peer(host, source="127.0.0.66") as flooding,
    ):
        flooding.flood(lambda sequence: request(sequence, ssid=8))
        assert host.thread.blocked()
        end_s = monotonic_s() + 30
        while host.thread.blocked() and monotonic_s() < end_s:
            sleep(0.05)
        assert host.thread.blocked() == []
        flooding.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while flooding.socket.recv(2000):
                pass
        flooding.socket.settimeout(5.0)
        assert decode_reply(flooding.ask(request(0)), None).sequence == 0


def test_who_floods_again_is_kept_away_longer():
    """5 s, 10, 20, 40, 80, 80; from the beginning after a minute of peace; 64 at once at most."""
    blocks = Blocks()
    now_ns, lengths = 0, []
    for _ in range(6):
        blocks.add(b"abcd", now_ns)
        blocks.add(b"abcd", now_ns)
        lengths.append((blocks.due_ns - now_ns) // S)
        assert not blocks.expire(blocks.due_ns - 1)
        now_ns = blocks.due_ns
        assert blocks.expire(now_ns)
        assert blocks.sources() == []
    assert lengths == [5, 10, 20, 40, LONGEST_BLOCK_S, LONGEST_BLOCK_S]
    blocks.add(b"abcd", now_ns + 61 * S)
    assert blocks.due_ns == now_ns + 61 * S + BLOCK_S * S
    for number in range(MOST_SOURCES):
        blocks.add(number.to_bytes(4, "big"), now_ns)
    assert len(blocks.sources()) == 64


def test_stopping_ends_the_thread_and_frees_the_port():
    """Nothing is left that holds it, though nothing came to wake the thread."""
    host = ReflectingHost()
    with host:
        names = [thread.name for thread in threading.enumerate()]
        assert "reflector" in names
    assert "reflector" not in [thread.name for thread in threading.enumerate()]
    with contextlib.closing(ReflectorSocket(socket.AF_INET, ("127.0.0.1", host.port))) as again:
        assert again.port == host.port
    assert host.thread.failure is None


def test_a_defect_ends_the_thread_and_is_kept(monkeypatch):
    """The collector tells it and begins anew."""
    host = ReflectingHost()
    monkeypatch.setattr(host.reflector, "accept", lambda *_: 1 / 0)
    with host, Peer(host, timeout_s=0.5) as peer:
        with pytest.raises(TimeoutError):
            peer.ask(request(0))
        assert isinstance(host.thread.failure, ZeroDivisionError)
