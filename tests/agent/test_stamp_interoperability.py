"""Other people's programs: scapy's STAMP layer, and nokia's twampy as its source has it."""

import socket
import struct
import threading

import pytest
from agent.reflectinghost import Peer, ReflectingHost
from scapy.contrib.stamp import (
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)

from truechimer.readings import wall_ns
from truechimer_agent.stamp.packet import Identity, decode_reply, decode_request, encode_request
from truechimer_agent.stamp.stamps import ns_down, stamp_down

ALL_BITS = 0xFFFFFFFF
NTP_OFFSET = 2_208_988_800
TWAMPY_PADDINGS = (0, 8, 27, 514, 1438)


def test_scapy_reads_our_request():
    """Every field, and our extension as one."""
    sent = stamp_down(1_795_000_000 * 10**9 + 500_000_000)
    found = STAMPSessionSenderTestUnauthenticated(encode_request(7, sent, 9, b"sender-A", None))
    assert (found.seq, found.ssid, found.mbz) == (7, 9, 0)
    assert round(found.ts) == (sent >> 32)
    assert (found.err_estimate.S, found.err_estimate.Z) == (0, 0)
    assert 2**-20 <= found.err_estimate.multiplier * 2.0 ** (found.err_estimate.scale - 32) <= 2**-16
    (ours,) = found.tlv_objects
    assert (ours.type, ours.len, ours.value) == (240, 16, b"sender-A" + bytes(8))
    assert bytes(ours)[0] == 0x80


def test_scapys_request_is_answered_and_scapy_reads_the_answer():
    """With an extension that nobody here understands: it comes back with the U flag (0x80)."""
    foreign = STAMPTestTLV(flags=0, type=3, len=4, value=b"abcd")
    asked = STAMPSessionSenderTestUnauthenticated(seq=3, ts=3_913_056_000.5, ssid=4, tlv_objects=[foreign])
    with ReflectingHost() as host, Peer(host) as peer:
        data = peer.ask(bytes(asked))
        second = STAMPSessionReflectorTestUnauthenticated(
            peer.ask(bytes(asked.copy()).replace(b"\3", b"\4", 1))
        )
    found = STAMPSessionReflectorTestUnauthenticated(data)
    assert len(data) == len(bytes(asked))
    assert (found.seq, second.seq) == (0, 1)
    assert (found.ssid, found.seq_sender, found.ttl_sender) == (4, 3, 64)
    assert found.ts_sender == asked.ts
    assert found.ts >= found.ts_rx
    assert abs(float(found.ts) - NTP_OFFSET - wall_ns() / 1e9) < 3600
    (echoed,) = found.tlv_objects
    assert (echoed.type, echoed.value, bytes(echoed)[0]) == (3, b"abcd", 0x80)


def test_our_request_is_answered_and_scapy_reads_the_answer():
    """U is cleared in our extension."""
    with ReflectingHost() as host, Peer(host) as peer:
        found = STAMPSessionReflectorTestUnauthenticated(
            peer.ask(encode_request(7, 99, 9, b"sender-A", None))
        )
    (ours,) = found.tlv_objects
    assert (bytes(ours)[0], ours.type, ours.value[8:]) == (0, 240, b"reflectr")


def test_scapys_reply_is_read():
    """Without an extension nobody says whose clock it is."""
    made = STAMPSessionReflectorTestUnauthenticated(
        seq=5, ts=3_913_056_001.25, ts_rx=3_913_056_001.0, ssid=4, seq_sender=3, ts_sender=1.0, ttl_sender=63
    )
    found = decode_reply(bytes(made), None)
    assert (found.sequence, found.ssid, found.sender_sequence, found.ttl) == (5, 4, 3, 63)
    assert (found.transmitted - found.received, found.sender_timestamp) == (1 << 30, 1 << 32)
    assert found.identity is None


def twampy_request(sequence, padding, seconds=1_795_000_000):
    """TwampySessionSender.run: sequence, seconds, fraction, error estimate 0x3fff, zeros."""
    return struct.pack("!L2IH", sequence, seconds + NTP_OFFSET, 1 << 31, 0x3FFF) + bytes(padding)


@pytest.mark.parametrize("padding", TWAMPY_PADDINGS)
def test_twampys_sender_reads_our_answer_where_it_has_room_for_one(padding):
    """It wants 36 bytes back; we give no more than we got, so that 14 or 22 bytes stay without an answer."""
    with ReflectingHost() as host, Peer(host) as peer:
        data = twampy_request(0, padding)
        if len(data) < 41:
            reply = peer.silence(data, twampy_request(1, 27))
            assert struct.unpack_from("!I", reply, 24) == (1,)
            return
        replies = [peer.ask(twampy_request(number, padding)) for number in range(3)]
    for number, reply in enumerate(replies):
        assert len(reply) == len(data)
        # As it is read there: t3, t2, t1, rseq, sseq.
        t3, t2, t1 = (struct.unpack_from("!Q", reply, at)[0] for at in (4, 16, 28))
        assert t3 >= t2
        assert abs(ns_down(t2, wall_ns()) - wall_ns()) < 3600 * 10**9
        assert t1 == struct.unpack_from("!Q", data, 4)[0]
        assert struct.unpack_from("!I", reply, 0) == struct.unpack_from("!I", reply, 24) == (number,)
        assert reply[44:] == bytes(len(reply[44:]))


def test_twampys_sender_may_be_started_again_from_its_port():
    """It begins at 0 each time, from port 20000: its numbers are not taken for replays."""
    with ReflectingHost() as host, Peer(host) as peer:
        first = [peer.ask(twampy_request(number, 27, 1000)) for number in range(3)]
        again = [peer.ask(twampy_request(number, 27, 2000)) for number in range(3)]
    assert [reply[:4] for reply in first] == [reply[:4] for reply in again]


def twampy_reflector(sock, padding):
    """TwampySessionReflector.run: 24 bytes of its own, the request's first 14, padding of any length."""
    data, address = sock.recvfrom(9216)
    seconds, fraction = 1_795_000_000 + NTP_OFFSET, 7
    own = struct.pack("!L2I2H2I", 0, seconds, fraction, 0x001, 0, seconds, fraction)
    sock.sendto(own + data[0:14] + bytes(padding), address)


@pytest.mark.parametrize("padding", TWAMPY_PADDINGS)
def test_twampys_reflector_is_understood_without_session_and_identity(padding):
    """38 bytes or more: times and sequence numbers are there, no SSID, no TTL, and nobody of ours."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.settimeout(5.0)
        thread = threading.Thread(target=twampy_reflector, args=(server, padding))
        thread.start()
        client.sendto(encode_request(7, 99, 9, b"sender-A", None), server.getsockname())
        found = decode_reply(client.recv(9216), None)
        thread.join()
    assert (found.sequence, found.sender_sequence, found.sender_timestamp, found.ssid) == (0, 7, 99, 0)
    assert found.received == found.transmitted == (1_795_000_000 + NTP_OFFSET) << 32 | 7
    assert found.identity is None


def test_our_own_two_halves_understand_each_other():
    """The same words at both ends of a socket."""
    with ReflectingHost() as host, Peer(host) as peer:
        data = encode_request(7, 99, 9, b"sender-A", None)
        found = decode_reply(peer.ask(data), None)
    assert decode_request(data, None).sender_id == b"sender-A"
    assert found.identity == Identity(host.clock.steady().epoch, 7, b"reflectr")
