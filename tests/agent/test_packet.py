"""The NTP codec: ntplib for header fields, raw integers for the rest."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.ntp import packet


@given(st.integers(0, 2**64 - 1))
def test_a_request_carries_the_nonce_and_nothing_else(nonce):
    """48 bytes, client mode, version 4; all 64 bits of the nonce survive."""
    data = packet.request(nonce)
    assert len(data) == packet.PACKET_BYTES
    header = packet.parse(data)
    assert (header.version, header.mode, header.transmit) == (4, packet.CLIENT_MODE, nonce)
    assert data[1:40] == bytes(39)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_header_or_a_decode_error(data):
    """Garbage never raises anything else."""
    try:
        header = packet.parse(data)
    except DecodeError:
        assert len(data) < packet.PACKET_BYTES
    else:
        assert header.error_s >= 0 or header.root_delay_s < 0 or header.root_dispersion_s < 0


@given(st.integers(-61_505_152 * 10**9, 4_233_462_143 * 10**9))
def test_unix_time_survives_the_ntp_format(unix_ns):
    """From 1968 to 2104, in both eras, to within the format's quarter of a nanosecond (1 ns of rounding)."""
    assert 0 <= unix_ns - packet.to_unix_ns(packet.from_unix_ns(unix_ns)) <= 1


def test_known_instants():
    """The Unix epoch and the era change, from RFC 5905 figure 4."""
    assert packet.to_unix_ns(2_208_988_800 << 32) == 0
    assert packet.to_unix_ns(0) == 2_085_978_496 * 10**9
    assert packet.to_unix_ns(0xFFFF_FFFF << 32 | 0x8000_0000) == 2_085_978_495 * 10**9 + 500_000_000


def test_error_covers_both_root_fields_and_the_precision():
    """Half the root delay, the dispersion, 2^precision, and 2⁻¹⁶ s of rounding each."""
    data = bytearray(packet.request(1))
    struct.pack_into("!b", data, 3, -20)
    struct.pack_into("!ii", data, 4, 2 << 16, 1 << 16)
    header = packet.parse(bytes(data))
    rounding = 2.0**-16
    assert header.error_s == pytest.approx((2 + rounding) / 2 + 1 + rounding + 2.0**-20, abs=1e-12)
