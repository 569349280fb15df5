"""STAMP packets: layout byte by byte, what is believed, and what is refused with which error."""

import contextlib
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.stamp import tlv
from truechimer_agent.stamp.errors import Forged, Malformed, Unauthenticated
from truechimer_agent.stamp.key import Key
from truechimer_agent.stamp.packet import (
    ERROR_ESTIMATE,
    Identity,
    Reply,
    decode_reply,
    decode_request,
    encode_request,
    finish_reply,
    prepare_reply,
)

SECRET = b"the secret of this mesh"
KEY = Key(SECRET)
OTHER = Key(b"the secret of another")
SENDER = b"sender-A"
IDENTITY = Identity(epoch=3, instance=0xFEEDBEEF, node_id=b"reflectr")
T1, T2, T3 = 0xE4A1_0000_0000_0001, 0xE4A1_0000_8000_0002, 0xE4A1_0000_8000_0103
BOTH = pytest.mark.parametrize("key", [None, KEY], ids=["unauthenticated", "authenticated"])
U32, U64 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1)
NONZERO = st.integers(1, (1 << 64) - 1)


def hmac_sha256(text):
    """RFC 2104 by hand, 128 bits of it (RFC 8762 section 4.4)."""
    block = SECRET.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + text).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()[:16]


def request(key, sequence=7, timestamp=T1, ssid=9):
    return encode_request(sequence, timestamp, ssid, SENDER, key)


def reply(data, key, sequence=5, ttl=63):
    """What the reflector makes of a request."""
    made = prepare_reply(data, decode_request(data, key), sequence, T2, ttl, IDENTITY, key)
    finish_reply(made, T3, key)
    return bytes(made)


def signed(text):
    """An authenticated packet of any sender's: 96 bytes and their HMAC."""
    return text + KEY.digest(text)


def plain_request(ssid=0, sequence=7):
    """RFC 8762 alone: 44 bytes without anything behind."""
    return struct.pack("!IQHH28x", sequence, T1, 0x8001, ssid)


def test_an_unauthenticated_request_is_laid_out_as_the_rfcs_say():
    """RFC 8762 figure 2 with RFC 8972's SSID; then our extension with its U flag."""
    assert request(None) == (
        bytes.fromhex("00000007 e4a1000000000001")
        + ERROR_ESTIMATE.to_bytes(2, "big")
        + bytes.fromhex("0009")
        + bytes(28)
        + bytes.fromhex("80 f0 0010")
        + SENDER
        + bytes(8)
    )


def test_an_authenticated_request_is_laid_out_as_the_rfcs_say():
    """RFC 8762 figure 4; the HMACs worked out by hand, the second over sequence number and our extension."""
    data = request(KEY)
    text = (
        bytes.fromhex("00000007")
        + bytes(12)
        + bytes.fromhex("e4a1000000000001")
        + ERROR_ESTIMATE.to_bytes(2, "big")
        + bytes.fromhex("0009")
        + bytes(68)
    )
    ours = bytes.fromhex("80 f0 0010") + SENDER + bytes(8)
    assert data[:96] == text
    assert data[96:112] == hmac_sha256(text)
    assert data[112:132] == ours
    assert data[132:] == bytes.fromhex("80 08 0010") + hmac_sha256(data[:4] + ours)


def test_an_unauthenticated_reply_is_laid_out_as_the_rfcs_say():
    """RFC 8762 figure 5; U cleared, epoch, instance and node id in our extension."""
    assert reply(request(None), None) == (
        bytes.fromhex("00000005 e4a1000080000103")
        + ERROR_ESTIMATE.to_bytes(2, "big")
        + bytes.fromhex("0009 e4a1000080000002 00000007 e4a1000000000001")
        + ERROR_ESTIMATE.to_bytes(2, "big")
        + bytes.fromhex("0000 3f 000000")
        + bytes.fromhex("00 f0 0010 00000003 feedbeef")
        + b"reflectr"
    )


def test_an_authenticated_reply_is_laid_out_as_the_rfcs_say():
    """RFC 8762 figure 6; both HMACs worked out by hand."""
    data = reply(request(KEY), KEY)
    text = (
        bytes.fromhex("00000005")
        + bytes(12)
        + bytes.fromhex("e4a1000080000103")
        + ERROR_ESTIMATE.to_bytes(2, "big")
        + bytes.fromhex("0009 00000000 e4a1000080000002")
        + bytes(8)
        + bytes.fromhex("00000007")
        + bytes(12)
        + bytes.fromhex("e4a1000000000001")
        + ERROR_ESTIMATE.to_bytes(2, "big")
        + bytes(6)
        + bytes.fromhex("3f")
        + bytes(15)
    )
    ours = bytes.fromhex("00 f0 0010 00000003 feedbeef") + b"reflectr"
    assert data[:96] == text
    assert data[96:112] == hmac_sha256(text)
    assert data[112:] == ours + bytes.fromhex("00 08 0010") + hmac_sha256(data[:4] + ours)


@BOTH
@given(sequence=U32, timestamp=U64, ssid=st.integers(1, 0xFFFF), sender=st.binary(min_size=8, max_size=8))
def test_requests_come_out_as_they_went_in(key, sequence, timestamp, ssid, sender):
    """Every field."""
    found = decode_request(memoryview(encode_request(sequence, timestamp, ssid, sender, key)), key)
    assert found[:5] == (sequence, timestamp, ERROR_ESTIMATE, ssid, sender)


@BOTH
@given(
    sequence=U32,
    seen=U32,
    timestamps=st.tuples(U64, NONZERO, NONZERO),
    ttl=st.integers(0, 255),
    identity=st.builds(Identity, U32, U32, st.binary(min_size=8, max_size=8)),
)
def test_replies_come_out_as_they_went_in_and_are_as_long_as_requests(
    key, sequence, seen, timestamps, ttl, identity
):
    """Every field; and a request and its reply have the same length."""
    sent, received, transmitted = timestamps
    data = encode_request(sequence, sent, 9, SENDER, key)
    made = prepare_reply(data, decode_request(data, key), seen, received, ttl, identity, key)
    finish_reply(made, transmitted, key)
    assert len(made) == len(data)
    assert decode_reply(made, key) == Reply(seen, transmitted, 9, received, sequence, sent, ttl, identity)


@BOTH
def test_a_reply_is_no_request_and_a_request_no_reply(key):
    """Else a forged address could set two reflectors to answer each other for ever."""
    with pytest.raises(Malformed, match="a reply"):
        decode_request(reply(request(key), key), key)
    with pytest.raises(Malformed, match="a request"):
        decode_reply(request(key), key)


def test_the_reply_to_a_plain_sender_is_no_request_either():
    """It has no extension that tells: T2 is shortly before T3."""
    with pytest.raises(Malformed, match="a reply"):
        decode_request(reply(plain_request(), None), None)


def test_a_plain_sender_is_answered_with_the_base_alone():
    """RFC 8762 without extensions, with and without a session id of RFC 8972."""
    for ssid in (0, 77):
        data = plain_request(ssid)
        answer = reply(data, None)
        assert len(answer) == 44
        assert decode_reply(answer, None) == Reply(5, T3, ssid, T2, 7, T1, 63, None)


def test_a_plain_authenticated_sender_is_answered_with_the_base_alone():
    """112 bytes; RFC 8762 knows no session id."""
    data = signed(struct.pack("!I12xQHH68x", 7, T1, 0x8001, 0))
    answer = reply(data, KEY)
    assert len(answer) == 112
    assert decode_reply(answer, KEY) == Reply(5, T3, 0, T2, 7, T1, 63, None)


@pytest.mark.parametrize("length", [41, 42, 43])
def test_a_shorter_twamp_packet_is_answered_with_no_more_than_it_had(length):
    """RFC 8762 section 4.6 would send 44 bytes: whoever forges the address would gain some."""
    answer = reply(plain_request()[:length], None)
    assert answer == reply(plain_request(), None)[:length]
    assert decode_reply(answer, None).ttl == 63


@given(data=st.binary(max_size=40))
def test_what_is_too_short_for_an_answer_is_malformed(data):
    """41 bytes are a TWAMP reply without padding."""
    for key in (None, KEY):
        with pytest.raises(Malformed, match="at least 41"):
            decode_request(data, key)


def test_twamp_padding_comes_back_as_it_was():
    """Zeros behind 44 bytes are no extensions."""
    data = plain_request() + bytes(1428)
    answer = reply(data, None)
    assert answer[44:] == bytes(1428)
    assert decode_reply(answer, None).identity is None


def test_foreign_extensions_come_back_with_the_u_flag():
    """RFC 8972 section 4: copied, U set; Extra Padding is understood and has it cleared."""
    padding = tlv.HEADER.pack(0x80, tlv.EXTRA_PADDING, 4) + b"padd"
    foreign = tlv.HEADER.pack(0x80, 3, 6) + b"stamps"
    data = request(None) + padding + foreign
    answer = reply(data, None)
    assert answer[44:48] == bytes.fromhex("00f00010")
    assert answer[64:] == b"\0" + padding[1:] + b"\x80" + foreign[1:]
    assert decode_reply(answer, None).identity == IDENTITY


def test_an_extension_that_is_cut_off_comes_back_with_the_m_flag():
    """RFC 8972 section 4: the rest is copied as it is."""
    data = request(None) + tlv.HEADER.pack(0x80, 3, 60) + b"short"
    answer = reply(data, None)
    assert answer[64:] == b"\x40" + data[65:]


def test_without_a_key_an_hmac_extension_is_not_understood():
    """RFC 8972 section 4.8 allows one in unauthenticated packets; nobody here can verify it."""
    data = request(None) + tlv.HEADER.pack(0x80, tlv.HMAC, 16) + bytes(16)
    assert reply(data, None)[64] == 0x80


def test_what_a_reflector_did_not_understand_is_left_aside():
    """One of RFC 8762 alone copies our extensions: then nobody says whose clock it is."""
    ours = request(None)[44:]
    answer = reply(plain_request(9), None) + ours
    assert decode_reply(answer, None).identity is None
    base = reply(request(KEY), KEY)[:112]
    assert decode_reply(base + request(KEY)[112:], KEY).identity is None


def test_twampys_reply_is_read_though_it_is_short():
    """nokia/twampy: 38 bytes and padding, its own layout of the first 24, no TTL."""
    data = struct.pack("!L2I2H2I", 5, T3 >> 32, T3 & 0xFFFFFFFF, 1, 0, T2 >> 32, T2 & 0xFFFFFFFF)
    data += request(None)[:14]
    assert len(data) == 38
    assert decode_reply(data, None) == Reply(5, T3, 0, T2, 7, T1, None, None)
    assert decode_reply(data + bytes(26), None).ttl == 0
    with pytest.raises(Malformed, match="at least 36"):
        decode_reply(data[:35], None)


def test_with_a_key_a_packet_without_authentication_is_told_as_such():
    """A node whose key is missing, most likely."""
    with pytest.raises(Unauthenticated):
        decode_request(request(None), KEY)
    with pytest.raises(Unauthenticated):
        decode_reply(reply(request(None), None), KEY)


def test_a_packet_of_another_key_is_forged():
    """Both ways."""
    with pytest.raises(Forged):
        decode_request(request(OTHER), KEY)
    with pytest.raises(Forged):
        decode_reply(reply(request(OTHER), OTHER), KEY)


@given(at=st.integers(0, 151), change=st.integers(1, 255))
def test_no_byte_of_an_authenticated_packet_can_be_changed(at, change):
    """None goes unnoticed, in the extensions neither; but flags, changed in a reply, make it say less."""
    data = bytearray(request(KEY))
    data[at] ^= change
    # The flags of the HMAC extension itself are the one byte that no HMAC covers.
    if at != 132:
        with pytest.raises((Forged, Malformed)):
            decode_request(data, KEY)
    data = bytearray(reply(request(KEY), KEY))
    data[at] ^= change
    if at in {112, 132}:
        assert decode_reply(data, KEY).identity is None
    else:
        try:
            found = decode_reply(data, KEY)
        except (Forged, Malformed):
            return
        assert found.identity is None


@given(length=st.integers(0, 151))
def test_no_authenticated_packet_can_be_cut_short(length):
    """Also not to 112 bytes, which are authentic by themselves: its session id gives that away.

    A cut reply says nothing of whose clock it is.
    """
    with pytest.raises((Forged, Malformed, Unauthenticated)):
        decode_request(request(KEY)[:length], KEY)
    with contextlib.suppress(Forged, Malformed, Unauthenticated):
        assert decode_reply(reply(request(KEY), KEY)[:length], KEY).identity is None


@given(more=st.binary(min_size=1, max_size=100))
def test_no_authenticated_packet_can_be_lengthened(more):
    """Not with RFC 8972's Extra Padding either."""
    padding = tlv.HEADER.pack(0x80, tlv.EXTRA_PADDING, len(more)) + more
    for data in (request(KEY) + more, request(KEY) + padding, request(KEY)[:112] + padding):
        with pytest.raises(Forged):
            decode_request(data, KEY)


def test_a_field_that_must_be_zero_is_one_with_a_key():
    """RFC 8762 would have it ignored; it is what tells a signed reply from a signed request."""
    for at in range(28, 96):
        text = bytearray(request(KEY, ssid=0)[:96])
        text[at] = 1
        with pytest.raises(Malformed):
            decode_request(signed(bytes(text)), KEY)


@BOTH
@given(data=st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(key, data):
    """No other error than DecodeError; what is decoded can be answered, with exactly as many bytes."""
    try:
        found = decode_request(data, key)
    except DecodeError:
        pass
    else:
        assert len(prepare_reply(data, found, 1, T2, 64, IDENTITY, key)) == len(data)
    with contextlib.suppress(DecodeError):
        decode_reply(data, key)


@BOTH
@given(data=st.binary(max_size=60), base=st.sampled_from([44, 112]))
def test_any_extensions_are_answered_or_refused(key, data, base):
    """As above, behind a base that is right."""
    packet = (plain_request() if base == 44 else signed(struct.pack("!I12xQHH68x", 7, T1, 1, 0))) + data
    try:
        found = decode_request(packet, key)
    except DecodeError:
        return
    answer = prepare_reply(packet, found, 1, T2, 64, IDENTITY, key)
    finish_reply(answer, T3, key)
    assert len(answer) == len(packet)
    decode_reply(answer, key)
