"""STAMP packets of both modes and both directions (RFC 8762 section 4, RFC 8972 sections 3 and 4).

Timestamps are raw 64-bit integers of NTP's format; :mod:`~truechimer_agent.stamp.stamps` makes S of them.
With a key every byte of a packet is authenticated or the packet is refused: the base by its own HMAC, what
follows by the HMAC extension at the very end. That is stricter than RFC 8972, which has a reflector send
back what it could not verify. docs/stamp.md shows the layout.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from truechimer_agent.stamp import tlv
from truechimer_agent.stamp.errors import Forged, Malformed, Unauthenticated

if TYPE_CHECKING:
    from truechimer_agent.stamp.key import Key

Data = bytes | bytearray | memoryview

BASE_BYTES = 44
AUTHENTICATED_BASE_BYTES = 112
LEAST_REQUEST_BYTES = 41
"""A TWAMP Light reply without padding (RFC 5357 section 4.2.1): the least that can be answered in full."""
LEAST_REPLY_BYTES = 36
"""Up to and with the sender's timestamp; nokia's twampy sends 38 and more."""
NODE_ID_BYTES = 8
ERROR_ESTIMATE = 0x0E01
"""Not synchronised to UTC, NTP's format, 2⁻¹⁸ s (RFC 4656 section 4.1.2): timestamps are of S."""

_REQUEST = struct.Struct("!IQHH")
_AUTHENTICATED_REQUEST = struct.Struct("!I12xQHH")
_REPLY = struct.Struct("!IQHHQIQHxxB3x")
_REPLY_STAMPS = struct.Struct("!IQHHQIQ")
_AUTHENTICATED_REPLY = struct.Struct("!I12xQHH4xQ8xI12xQH6xB15x")
_IDENTITY = struct.Struct("!II8s")
_SENDER = struct.Struct("!8s8x")
_STAMP = struct.Struct("!Q")
_TRANSMITTED_AT = 4
_AUTHENTICATED_TRANSMITTED_AT = 16
_RECEIVED_AT = 16
_TTL_AT = 40
_SIGNED_BYTES = 96
_SEQUENCE_BYTES = 4
_MUST_BE_ZERO_AT = 28
_ZEROS = bytes(_SIGNED_BYTES - _MUST_BE_ZERO_AT)
_LONGEST_RESIDENCE = 60 << 32
_MASK = (1 << 64) - 1


class Request(NamedTuple):
    """What a sender's packet says.

    ``sender_id`` None: it has no extension of ours. ``ssid`` 0: its sender knows RFC 8762 alone.
    """

    sequence: int
    timestamp: int
    error_estimate: int
    ssid: int
    sender_id: bytes | None
    extensions: tlv.Extensions | None


class Identity(NamedTuple):
    """Whose steady clock a reply's times are of, and which run of that reflector counted the requests."""

    epoch: int
    instance: int
    node_id: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reflector's packet says.

    ``sequence``: how many distinct requests of the session it had seen before this one. ``received`` is T2,
    ``transmitted`` T3. ``ttl``: of the request on its arrival, None in a packet too short for it.
    ``identity`` None: the reflector is none of ours, or what it says of itself cannot be believed.
    """

    sequence: int
    transmitted: int
    ssid: int
    received: int
    sender_sequence: int
    sender_timestamp: int
    ttl: int | None
    identity: Identity | None


def encode_request(sequence: int, timestamp: int, ssid: int, sender_id: bytes, key: Key | None) -> bytes:
    """A request, authenticated when there is a key."""
    extension = tlv.HEADER.pack(tlv.UNRECOGNISED, tlv.MESH, tlv.VALUE_BYTES) + _SENDER.pack(sender_id)
    if key is None:
        base = _REQUEST.pack(sequence, timestamp, ERROR_ESTIMATE, ssid)
        return base.ljust(BASE_BYTES, b"\0") + extension
    signed = _AUTHENTICATED_REQUEST.pack(sequence, timestamp, ERROR_ESTIMATE, ssid).ljust(
        _SIGNED_BYTES, b"\0"
    )
    hmac_header = tlv.HEADER.pack(tlv.UNRECOGNISED, tlv.HMAC, tlv.VALUE_BYTES)
    return b"".join(
        (signed, key.digest(signed), extension, hmac_header, key.digest(signed[:_SEQUENCE_BYTES] + extension))
    )


def decode_request(data: Data, key: Key | None) -> Request:
    """A sender's packet. Raises Malformed, Unauthenticated or Forged.

    A reply is no request, so that two reflectors cannot be set to answer each other for ever: with a key,
    the fields that must be zero in a request are; without, T2 is not shortly before T3; and in our own
    extension U is set.
    """
    length = len(data)
    if length < LEAST_REQUEST_BYTES:
        raise Malformed(f"a request has at least {LEAST_REQUEST_BYTES} bytes, this has {length}")
    if key is None:
        base_bytes = BASE_BYTES
        sequence, timestamp, error_estimate, ssid = _REQUEST.unpack_from(data)
        (received,) = _STAMP.unpack_from(data, _RECEIVED_AT)
        if received and (timestamp - received) & _MASK < _LONGEST_RESIDENCE:
            raise Malformed("this is a reply")
    else:
        base_bytes = AUTHENTICATED_BASE_BYTES
        _authenticate(data, key)
        sequence, timestamp, error_estimate, ssid = _AUTHENTICATED_REQUEST.unpack_from(data)
        if data[_MUST_BE_ZERO_AT:_SIGNED_BYTES] != _ZEROS:
            raise Malformed("this is a reply")
    if length <= base_bytes:
        _refuse_stripped(ssid, key)
        return Request(sequence, timestamp, error_estimate, ssid, None, None)
    extensions = tlv.read(data, base_bytes)
    if key is not None:
        _authenticate_extensions(data, extensions, key)
    sender_id = None
    mesh_at = extensions.mesh_at
    if mesh_at is not None:
        if not data[mesh_at] & tlv.UNRECOGNISED:
            raise Malformed("this is a reply")
        value_at = mesh_at + tlv.HEADER.size
        sender_id = bytes(data[value_at : value_at + NODE_ID_BYTES])
    return Request(sequence, timestamp, error_estimate, ssid, sender_id, extensions)


def authenticator_of(data: Data) -> bytes:
    """The HMAC of an authenticated packet's base.

    Two requests have the same when number, session id and time to 0.2 ns are the same. What follows the
    base is left out: with the same number it could be another packet's.
    """
    return bytes(data[_SIGNED_BYTES:AUTHENTICATED_BASE_BYTES])


def prepare_reply(
    data: Data,
    request: Request,
    sequence: int,
    received: int,
    ttl: int,
    identity: Identity,
    key: Key | None,
) -> bytearray:
    """The reply to ``request``, which was decoded from ``data``: exactly as long, and as yet without T3."""
    reply = bytearray(data)
    fields = (
        sequence,
        0,
        ERROR_ESTIMATE,
        request.ssid,
        received,
        request.sequence,
        request.timestamp,
        request.error_estimate,
        ttl,
    )
    if key is not None:
        _AUTHENTICATED_REPLY.pack_into(reply, 0, *fields)
    elif len(reply) >= BASE_BYTES:
        _REPLY.pack_into(reply, 0, *fields)
    else:
        reply[:] = _REPLY.pack(*fields)[: len(reply)]
    extensions = request.extensions
    if extensions is not None:
        _answer_extensions(reply, extensions, identity, key)
    return reply


def finish_reply(reply: bytearray, transmitted: int, key: Key | None) -> None:
    """Put T3 into a prepared reply: as little as possible is done between its reading and the sending."""
    if key is None:
        _STAMP.pack_into(reply, _TRANSMITTED_AT, transmitted)
        return
    _STAMP.pack_into(reply, _AUTHENTICATED_TRANSMITTED_AT, transmitted)
    reply[_SIGNED_BYTES:AUTHENTICATED_BASE_BYTES] = key.digest(memoryview(reply)[:_SIGNED_BYTES])


def _answer_extensions(
    reply: bytearray, extensions: tlv.Extensions, identity: Identity, key: Key | None
) -> None:
    for at in extensions.unknown:
        reply[at] = tlv.UNRECOGNISED
    for at in extensions.padding:
        reply[at] = 0
    if extensions.malformed_at is not None:
        reply[extensions.malformed_at] = tlv.MALFORMED
    if extensions.mesh_at is not None:
        reply[extensions.mesh_at] = 0
        _IDENTITY.pack_into(reply, extensions.mesh_at + tlv.HEADER.size, *identity)
    hmac_at = extensions.hmac_at
    if hmac_at is None:
        return
    if key is None:
        reply[hmac_at] = tlv.UNRECOGNISED
        return
    reply[hmac_at] = 0
    digest = key.digest(reply[:_SEQUENCE_BYTES] + reply[AUTHENTICATED_BASE_BYTES:hmac_at])
    reply[hmac_at + tlv.HEADER.size : hmac_at + tlv.WHOLE_BYTES] = digest


def decode_reply(data: Data, key: Key | None) -> Reply:
    """A reflector's packet. Raises Malformed, Unauthenticated or Forged.

    Extensions that the reflector did not understand are left aside (it may know RFC 8762 alone).
    """
    length = len(data)
    if length < LEAST_REPLY_BYTES:
        raise Malformed(f"a reply has at least {LEAST_REPLY_BYTES} bytes, this has {length}")
    stamps: tuple[int, ...]
    ttl: int | None
    if key is None:
        base_bytes = BASE_BYTES
        stamps = _REPLY_STAMPS.unpack_from(data)
        ttl = data[_TTL_AT] if length > _TTL_AT else None
    else:
        base_bytes = AUTHENTICATED_BASE_BYTES
        _authenticate(data, key)
        fields = _AUTHENTICATED_REPLY.unpack_from(data)
        stamps, ttl = fields[:7], fields[8]
    sequence, transmitted, _, ssid, received, sender_sequence, sender_timestamp = stamps
    if not received or not transmitted:
        raise Malformed("a reply without its times: this is a request")
    identity = None
    if length > base_bytes:
        identity = _identity(data, tlv.read(data, base_bytes), key)
    else:
        _refuse_stripped(ssid, key)
    return Reply(sequence, transmitted, ssid, received, sender_sequence, sender_timestamp, ttl, identity)


def _identity(data: Data, extensions: tlv.Extensions, key: Key | None) -> Identity | None:
    mesh_at, hmac_at = extensions.mesh_at, extensions.hmac_at
    if mesh_at is None or data[mesh_at]:
        return None
    if key is not None:
        if hmac_at is not None and data[hmac_at]:
            return None
        _authenticate_extensions(data, extensions, key)
    return Identity(*_IDENTITY.unpack_from(data, mesh_at + tlv.HEADER.size))


def _authenticate(data: Data, key: Key) -> None:
    if len(data) < AUTHENTICATED_BASE_BYTES:
        raise Unauthenticated("a packet without authentication")
    if not key.fits(data[:_SIGNED_BYTES], data[_SIGNED_BYTES:AUTHENTICATED_BASE_BYTES]):
        raise Forged("the authentication of the packet is wrong")


def _authenticate_extensions(data: Data, extensions: tlv.Extensions, key: Key) -> None:
    hmac_at = extensions.hmac_at
    if hmac_at is None or hmac_at + tlv.WHOLE_BYTES != len(data):
        raise Forged("what follows the packet's base is not all authenticated")
    text = bytes(data[:_SEQUENCE_BYTES]) + bytes(data[AUTHENTICATED_BASE_BYTES:hmac_at])
    if not key.fits(text, data[hmac_at + tlv.HEADER.size :]):
        raise Forged("the authentication of the extensions is wrong")


def _refuse_stripped(ssid: int, key: Key | None) -> None:
    # The base's HMAC does not tell that extensions followed: a session id does, for those who know of it.
    if key is not None and ssid:
        raise Forged("the extensions have been cut off")
