"""The ICMP echo codec: right checksums, and any bytes give a value or DecodeError."""

import contextlib
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.probes import echo
from truechimer_agent.probes.echo import Echo

versions = st.sampled_from([4, 6])
numbers = st.integers(0, 0xFFFF)
nonces = st.binary(min_size=8, max_size=8)


def as_reply(version, request):
    """What an honest peer answers: the request's bytes with the reply's type, checksummed anew."""
    kind = {4: 0, 6: 129}[version]
    blank = struct.pack("!BBH", kind, 0, 0) + request[4:]
    return struct.pack("!BBH", kind, 0, echo.checksum(blank)) + request[4:]


def slow_checksum(data):
    """RFC 1071's own loop."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=200))
@example(b"")
@example(b"\0" * 8)
@example(b"\xff" * 8)
def test_checksum_is_rfc_1071s(data):
    """The arithmetic shortcut gives what the RFC's loop gives."""
    assert echo.checksum(data) == slow_checksum(data)


@given(versions, numbers, numbers, nonces)
def test_a_reply_gives_back_what_the_request_carried(version, identifier, sequence, nonce):
    """Identifier, sequence and nonce survive the way there and back."""
    request = echo.request(version, identifier, sequence, nonce)
    expected = Echo(identifier, sequence, nonce)
    assert echo.reply(version, as_reply(version, request)) == expected
    assert echo.quoted(version, request) == expected
    assert len(request) == 64


@given(numbers, numbers, nonces)
def test_an_ipv4_requests_checksum_is_right(identifier, sequence, nonce):
    """Summed with its checksum, a right packet gives zero."""
    assert echo.checksum(echo.request(4, identifier, sequence, nonce)) == 0


@given(numbers, numbers, nonces, st.integers(0, 63), st.integers(1, 255))
def test_one_changed_byte_is_found(identifier, sequence, nonce, place, change):
    """No single corrupted byte of an IPv4 reply goes unnoticed."""
    data = bytearray(as_reply(4, echo.request(4, identifier, sequence, nonce)))
    data[place] ^= change
    with pytest.raises(DecodeError):
        echo.reply(4, bytes(data))


@given(versions, st.binary(max_size=100))
def test_any_bytes_give_a_value_or_decode_error(version, data):
    """Nothing that a network sends raises anything else."""
    for decode in (echo.reply, echo.quoted):
        with contextlib.suppress(DecodeError):
            assert isinstance(decode(version, data), Echo)


@given(st.binary(max_size=100))
@example(b"\x4f" + b"\0" * 60)
@example(b"\x45" + b"\0" * 19)
def test_any_bytes_lose_their_ip_header_or_give_decode_error(data):
    """An IPv4 header's length field is never trusted beyond the packet."""
    try:
        rest = echo.without_ipv4_header(data)
    except DecodeError:
        return
    assert data.endswith(rest)
    assert 20 <= len(data) - len(rest) <= 60


def test_a_request_is_no_reply():
    """A raw socket on loopback hears its own requests: they do not count."""
    for version in (4, 6):
        with pytest.raises(DecodeError, match="no echo reply"):
            echo.reply(version, echo.request(version, 1, 1, b"12345678"))
        with pytest.raises(DecodeError, match="no echo request"):
            echo.quoted(version, as_reply(version, echo.request(version, 1, 1, b"12345678")))
