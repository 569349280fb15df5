"""The reflector without I/O: who is answered, how requests are counted, what attackers get."""

import os
import random
import struct

import pytest

from truechimer_agent.stamp import tlv
from truechimer_agent.stamp.key import Key
from truechimer_agent.stamp.packet import Identity, decode_reply, encode_request
from truechimer_agent.stamp.reflector import MOST_SESSIONS, Reflector
from truechimer_agent.stamp.sources import Allowance, network_of
from truechimer_agent.stamp.stamps import ns_down, ns_up, stamp_down

KEY, OTHER = Key(b"the secret of this mesh"), Key(b"the secret of another")
A, B = b"sender-A", b"sender-B"
T0 = 1_795_000_000 * 10**9
WITHOUT_END = Allowance(1e12, 1e12, 1 << 60)
HOSTILE = int(os.environ.get("TRUECHIMER_HOSTILE_PACKETS", "50000"))
BOTH = pytest.mark.parametrize("key", [None, KEY], ids=["unauthenticated", "authenticated"])


class Talk:
    """A reflector and what is sent to it, a millisecond apart."""

    def __init__(self, key, **options):
        self.key = key
        self.reflector = Reflector(key, b"reflectr", 7, **options)
        self.now_ns = T0

    def send(self, data, host="10.0.0.1", port=5000):
        """The decoded reply, None when there is none."""
        self.now_ns += 10**6
        accepted = self.reflector.accept(memoryview(data), network_of(host), (host, port), self.now_ns)
        if accepted is None:
            return None
        reply = self.reflector.prepare(data, accepted, self.now_ns, 64, 3)
        self.reflector.finish(reply, self.now_ns + 10)
        assert len(reply) == len(data)
        return decode_reply(reply, self.key)

    def request(self, sequence, sender=A, ssid=9, sent_ns=None, key=None):
        """A request as of now."""
        sent_ns = self.now_ns if sent_ns is None else sent_ns
        return encode_request(sequence, stamp_down(sent_ns), ssid, sender, key or self.key)

    def probe(self, sequence, **options):
        """Send a request: the reflector's sequence number, None without an answer."""
        reply = self.send(self.request(sequence, **options))
        return None if reply is None else reply.sequence

    @property
    def totals(self):
        return {name: count for name in TOTALS if (count := getattr(self.reflector.totals, name))}


TOTALS = ("requests", "malformed", "unauthenticated", "forged", "replayed", "limited")


def plain(sequence, timestamp, ssid=0):
    """A request of RFC 8762 alone."""
    return struct.pack("!IQHH28x", sequence, timestamp, 0x8001, ssid)


@BOTH
def test_a_reply_carries_both_times_rounded_outwards_and_whose_they_are(key):
    """T2 late, T3 early; epoch, instance and node id."""
    talk = Talk(key)
    reply = talk.send(talk.request(0))
    assert ns_up(reply.received, T0) >= talk.now_ns >= ns_down(reply.received, T0)
    assert ns_down(reply.transmitted, T0) <= talk.now_ns + 10 <= ns_up(reply.transmitted, T0)
    assert (reply.ssid, reply.ttl) == (9, 64)
    assert reply.identity == Identity(3, 7, b"reflectr")


@BOTH
def test_the_reflectors_numbers_count_the_distinct_requests(key):
    """Two were lost on the way there, one came twice and late: 0 1 2 3 without a gap."""
    talk = Talk(key)
    assert [talk.probe(sequence) for sequence in (0, 3, 4)] == [0, 1, 2]
    late = talk.request(1)
    assert talk.send(late).sequence == 3
    assert talk.send(late) is None
    assert talk.totals == {"requests": 5, "replayed": 1}
    (session,) = talk.reflector.sessions()
    assert (session.seen, session.requests, session.replayed) == (4, 4, 1)


@BOTH
def test_sessions_are_counted_apart(key):
    """By sender and by session id."""
    talk = Talk(key)
    assert [talk.probe(0), talk.probe(0, sender=B), talk.probe(0, ssid=10)] == [0, 0, 0]
    assert talk.probe(1) == 1
    assert len(talk.reflector.sessions()) == 3


def test_plain_senders_are_told_by_their_addresses():
    """Address, port and session id."""
    talk = Talk(None)
    data = plain(0, 1)
    assert talk.send(data).sequence == 0
    assert talk.send(data, port=5001).sequence == 0
    assert talk.send(data, host="10.0.0.2").sequence == 0
    assert talk.send(plain(0, 1, ssid=4)).sequence == 0
    assert talk.send(data) is None


def test_a_plain_sender_that_begins_anew_is_counted_anew():
    """twampy sends from a fixed port and begins at 0: its timestamps are later than all before."""
    talk = Talk(None)
    first = [plain(sequence, 1000 + sequence) for sequence in range(5)]
    assert [talk.send(data).sequence for data in first] == [0, 1, 2, 3, 4]
    assert talk.send(plain(0, 2000)).sequence == 0
    assert talk.send(plain(1, 2001)).sequence == 1
    assert talk.send(first[3]) is None
    assert talk.send(plain(1, 2001)) is None


def test_a_sender_of_ours_that_draws_the_same_session_id_begins_anew():
    """One start in 65,535: else all of its probes would be lost until its numbers are past the old ones."""
    talk = Talk(KEY)
    old = [talk.request(sequence) for sequence in range(3)]
    assert [talk.send(data).sequence for data in old] == [0, 1, 2]
    assert talk.probe(0) == 0
    assert [talk.send(data) for data in old] == [None] * 3


def test_with_a_key_the_senders_address_does_not_matter():
    """A node that is moved to another address, or behind another port, goes on."""
    talk = Talk(KEY)
    assert talk.probe(0) == 0
    assert talk.send(talk.request(1), host="10.9.9.9", port=1).sequence == 1


def test_without_a_key_somebody_elses_session_is_not_to_be_had_from_elsewhere():
    """Who names himself A, but sends from another address, moves none of A's numbers."""
    talk = Talk(None)
    assert talk.probe(0) == 0
    assert talk.send(talk.request((1 << 32) - 1), host="10.6.6.6").sequence == 0
    assert talk.probe(1) == 1


def test_a_replay_is_not_answered_wherever_it_comes_from():
    """From its own address, from another, in between new ones, and after 100,000 of them."""
    talk = Talk(KEY, allowance=WITHOUT_END)
    caught = talk.request(5)
    assert talk.send(caught).sequence == 0
    for sequence in range(6, 40):
        assert talk.probe(sequence) is not None
        assert talk.send(caught) is None
        assert talk.send(caught, host=f"10.6.6.{sequence}") is None
    for sequence in range(40, 2000):
        talk.probe(sequence)
    assert talk.send(caught) is None
    assert talk.totals["replayed"] == 69
    assert talk.reflector.sessions()[0].seen == 1995


def test_a_replay_is_not_answered_after_its_session_is_forgotten():
    """The authenticators are remembered apart from the sessions."""
    talk = Talk(KEY, allowance=WITHOUT_END, most_sessions=4)
    caught = talk.request(0)
    assert talk.send(caught).sequence == 0
    for number in range(4):
        talk.probe(0, sender=b"member-%d" % number)
    assert A not in {session.sender_id for session in talk.reflector.sessions()}
    assert talk.send(caught, host="10.6.6.6") is None
    assert talk.totals["replayed"] == 1


def test_a_plain_authenticated_packet_cannot_be_replayed_from_elsewhere():
    """Its session is its address, and a new one would know nothing of it."""
    talk = Talk(KEY)
    text = struct.pack("!I12xQHH68x", 7, 1, 0x8001, 0)
    caught = text + KEY.digest(text)
    assert talk.send(caught).sequence == 0
    assert talk.send(caught, host="10.6.6.6") is None


def test_one_packets_extensions_behind_anothers_base_are_a_replay():
    """Their HMACs share but the number (RFC 8972 section 4.8): A's base and B's name would be B's packet."""
    talk = Talk(KEY)
    ours, theirs = talk.request(0), talk.request(0, sender=B, sent_ns=T0 + 5)
    assert talk.send(ours).sequence == 0
    assert talk.send(ours[:112] + theirs[112:]) is None
    assert talk.send(theirs).sequence == 0
    assert talk.totals == {"requests": 3, "replayed": 1}


def test_an_attacker_without_the_key_begins_ends_and_limits_nothing():
    """100,000 forged, replayed and plain packets, from the sender's own address and from others."""
    talk = Talk(KEY)
    caught = talk.request(0)
    assert talk.send(caught).sequence == 0
    rng = random.Random(1)
    hosts = ["10.0.0.1", *(f"10.6.{number >> 8}.{number & 255}" for number in range(8192))]
    for number in range(20_000):
        host = rng.choice(hosts) if number % 2 else "10.0.0.1"
        for data in (caught, talk.request(number, key=OTHER, sender=rng.randbytes(8)), plain(number, 1)):
            assert talk.send(data, host=host) is None
    assert [session.sender_id for session in talk.reflector.sessions()] == [A]
    assert talk.probe(1) == 1
    assert talk.totals == {
        "requests": 60_002,
        "forged": 20_000,
        "replayed": 20_000,
        "unauthenticated": 20_000,
    }


def test_sessions_are_bounded_without_a_key():
    """Whoever forges addresses gets 4,096 of them, and the memory of no more."""
    talk = Talk(None, allowance=WITHOUT_END)
    for number in range(MOST_SESSIONS + 1000):
        assert talk.send(plain(0, 1), host=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(talk.reflector.sessions()) == MOST_SESSIONS


@BOTH
def test_more_than_a_source_may_ask_is_left_unanswered_and_uncounted(key):
    """A limited request has no number, so that its sender sees it lost on the way there."""
    talk = Talk(key, allowance=Allowance(rate_hz=1, burst=3))
    assert [talk.probe(sequence) for sequence in range(5)] == [0, 1, 2, None, None]
    assert talk.totals == {"requests": 5, "limited": 2}
    (session,) = talk.reflector.sessions()
    assert (session.seen, session.limited) == (3, 2)
    talk.now_ns += 10**9
    assert talk.probe(5) == 3


@BOTH
def test_who_floods_is_named(key):
    """Whether with good packets or with bad ones."""
    talk = Talk(key, allowance=Allowance(rate_hz=1, burst=1, flood=50))
    for sequence in range(60):
        talk.probe(sequence)
        talk.send(b"x" * 200, host="10.6.6.6")
    assert set(talk.reflector.sources.flooding) == {network_of("10.0.0.1"), network_of("10.6.6.6")}


def mutated(rng, data):
    """Changed in one to four bytes, cut, or lengthened."""
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        return data + rng.randbytes(rng.randrange(1, 60))
    changed = bytearray(data)
    for at in rng.sample(range(len(data)), rng.randrange(1, 5)):
        changed[at] ^= rng.randrange(1, 256)
    return bytes(changed)


def test_of_many_hostile_packets_none_is_answered_with_a_key():
    """Random ones, and good ones that were changed, cut or lengthened; the counts say what they were.

    The flags of the HMAC extension are the one byte that no HMAC covers: a changed one is the same packet.
    """
    rng = random.Random(2)
    talk = Talk(KEY, allowance=WITHOUT_END)
    flags_at = 112 + tlv.WHOLE_BYTES
    for number in range(HOSTILE // 2):
        assert talk.send(rng.randbytes(rng.choice((44, 64, 112, 132, 152, rng.randrange(1473))))) is None
        good = talk.request(number)
        bad = mutated(rng, good)
        if bad[:flags_at] + b"\x80" + bad[flags_at + 1 :] != good:
            assert talk.send(bad) is None
    refused = talk.totals
    assert set(refused) == {"requests", "malformed", "unauthenticated", "forged"}
    assert sum(refused.values()) == 2 * refused["requests"]
    assert talk.reflector.sessions() == []


def test_of_many_hostile_packets_none_breaks_a_reflector_without_a_key():
    """What is answered is answered with as many bytes, which ``send`` holds."""
    rng = random.Random(3)
    talk = Talk(None, allowance=WITHOUT_END)
    for number in range(HOSTILE // 2):
        talk.send(rng.randbytes(rng.choice((44, 64, rng.randrange(1473)))))
        talk.send(mutated(rng, talk.request(number)))
    assert len(talk.reflector.sessions()) <= MOST_SESSIONS
    assert talk.totals["malformed"] > 0
