"""NTP packets (RFC 5905 section 7.3): header fields by ntplib, the four timestamps as raw 64-bit integers.

ntplib's floats are off by up to 238 ns and alter almost every random nonce, so timestamps and nonce are
handled beside it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import ntplib

from truechimer.errors import DecodeError

PACKET_BYTES = 48
CLIENT_MODE = 3
SERVER_MODE = 4
VERSION = 4

_STAMPS = struct.Struct("!4Q")
_STAMPS_AT = 16
_UNIX_EPOCH_S = 2_208_988_800
_ERA_S = 1 << 32
_ROUNDING_S = 2.0**-16
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Header:
    """What a server's packet says, timestamps as raw NTP 64-bit integers."""

    leap: int
    version: int
    mode: int
    stratum: int
    poll: int
    precision: int
    root_delay_s: float
    root_dispersion_s: float
    reference_id: int
    origin: int
    receive: int
    transmit: int

    @property
    def kiss_code(self) -> str:
        """The four letters of a kiss-o'-death (RFC 5905 section 7.4); meaningful at stratum 0."""
        return self.reference_id.to_bytes(4, "big").decode("ascii", errors="replace").rstrip("\0")

    @property
    def error_s(self) -> float:
        """E: the server is within this of UTC, by its own word.

        Half its root delay, its root dispersion and its precision; each root field is rounded to 2⁻¹⁶ s.
        """
        return (
            (self.root_delay_s + _ROUNDING_S) / 2 + self.root_dispersion_s + _ROUNDING_S + 2.0**self.precision
        )


def request(nonce: int) -> bytes:
    """A client packet that carries nothing but a 64-bit random transmit timestamp (data minimization)."""
    return struct.pack("!B39xQ", VERSION << 3 | CLIENT_MODE, nonce)


def parse(data: bytes) -> Header:
    """The header of a packet of any mode. Raises DecodeError when there are too few bytes."""
    if len(data) < PACKET_BYTES:
        raise DecodeError(f"an NTP packet has at least {PACKET_BYTES} bytes, this has {len(data)}")
    packet = ntplib.NTPPacket()
    packet.from_data(data[:PACKET_BYTES])
    _, origin, receive, transmit = _STAMPS.unpack_from(data, _STAMPS_AT)
    return Header(
        leap=packet.leap,
        version=packet.version,
        mode=packet.mode,
        stratum=packet.stratum,
        poll=packet.poll,
        precision=packet.precision,
        root_delay_s=packet.root_delay,
        root_dispersion_s=packet.root_dispersion,
        reference_id=packet.ref_id,
        origin=origin,
        receive=receive,
        transmit=transmit,
    )


def to_unix_ns(stamp: int) -> int:
    """A raw NTP timestamp as Unix ns, rounded down by less than 1 ns.

    Timestamps with the high bit set are of era 0 (1968–2036), others of era 1 (RFC 4330 section 3).
    """
    seconds = stamp >> 32
    if not seconds & 0x8000_0000:
        seconds += _ERA_S
    return (seconds - _UNIX_EPOCH_S) * NS + ((stamp & 0xFFFF_FFFF) * NS >> 32)


def from_unix_ns(unix_ns: int) -> int:
    """Unix ns as a raw NTP timestamp, rounded down; the era is dropped."""
    seconds, rest = divmod(unix_ns, NS)
    return (seconds + _UNIX_EPOCH_S) % _ERA_S << 32 | (rest << 32) // NS
