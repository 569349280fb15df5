"""One NTP exchange, sans-IO: what was sent, what came back and when, and what it proves.

All local times are S in ns. The packet cannot travel backwards in time, so with the server within E of
UTC, x = UTC − S satisfies x ≥ T3 − E − s4 at s4 and x ≤ T2 + E − s1 at s1, whatever the path's symmetry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import NtpOutcome, ServerReason
from truechimer.errors import DecodeError
from truechimer_agent.ntp import packet

if TYPE_CHECKING:
    from truechimer_agent.packettimes.times import Times

ROOT_DISTANCE_LIMIT_S = 3.0
_SERVER_RATE = 500e-6
NS = 1_000_000_000

_KISSES = {
    "RATE": ServerReason.KISS_RATE,
    "DENY": ServerReason.KISS_DENY,
    "RSTR": ServerReason.KISS_DENY,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way: ``sent_ns`` is S read before the send, so no later than the true sending."""

    nonce: int
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A reply that counts: x ≥ ``lower_ns`` at S = ``received_ns``, x ≤ ``upper_ns`` at S = ``sent_ns``.

    ``offset_ns``: UTC − S by the midpoint of the likely times, as every NTP client would say. ``delay_ns``:
    the round trip less the server's own time, at most.
    """

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int
    delay_ns: int
    offset_ns: int
    header: packet.Header


@dataclass(frozen=True, slots=True)
class Failure:
    """An exchange that proves nothing, and why. ``ignored``: go on waiting, an answer may still come."""

    outcome: NtpOutcome
    reason: ServerReason
    received_ns: int | None = None
    header: packet.Header | None = None
    ignored: bool = False


def judge(data: bytes, sent: Request, times: Times) -> Exchange | Failure:
    """Hold a reply against its request.

    A wrong origin is ignored (a late or forged packet must not end the wait); every other flaw ends the
    exchange with its reason (RFC 5905 section 9.2, RFC 8633 section 5).
    """
    received_ns = times.received_ns
    try:
        header = packet.parse(data)
    except DecodeError:
        return Failure(NtpOutcome.BAD_REPLY, ServerReason.TRUNCATED, received_ns, ignored=True)
    if header.origin != sent.nonce:
        return Failure(NtpOutcome.BAD_REPLY, ServerReason.BOGUS_ORIGIN, received_ns, header, ignored=True)
    reason = _flaw(header)
    if reason is not ServerReason.NONE:
        return Failure(NtpOutcome.BAD_REPLY, reason, received_ns, header)

    t2 = packet.to_unix_ns(header.receive)
    t3 = packet.to_unix_ns(header.transmit)
    if t3 < t2:
        return Failure(NtpOutcome.BAD_REPLY, ServerReason.BOGUS_TIMES, received_ns, header)
    delay_ns = (received_ns - times.sent_ns) - (t3 - t2)
    precision_ns = math.ceil(2.0**header.precision * NS)
    if delay_ns < -precision_ns - (t3 - t2) * _SERVER_RATE:
        return Failure(NtpOutcome.BAD_REPLY, ServerReason.NEGATIVE_DELAY, received_ns, header)
    error_ns = math.ceil(header.error_s * NS)
    return Exchange(
        sent_ns=times.sent_ns,
        received_ns=received_ns,
        lower_ns=t3 - error_ns - received_ns,
        upper_ns=t2 + 1 + error_ns - times.sent_ns,
        delay_ns=delay_ns,
        offset_ns=(t2 - times.likely_sent_ns + t3 - times.likely_received_ns) // 2,
        header=header,
    )


def _flaw(header: packet.Header) -> ServerReason:
    reason = ServerReason.NONE
    if header.mode != packet.SERVER_MODE:
        reason = ServerReason.BOGUS_MODE
    elif header.version not in (3, 4):
        reason = ServerReason.BOGUS_VERSION
    elif header.stratum == 0:
        reason = _KISSES.get(header.kiss_code, ServerReason.KISS_OTHER)
    elif header.stratum >= 16 or header.leap == 3:
        reason = ServerReason.UNSYNCHRONISED
    elif not header.receive or not header.transmit:
        reason = ServerReason.BOGUS_TIMES
    elif header.root_delay_s < 0 or header.error_s > ROOT_DISTANCE_LIMIT_S:
        reason = ServerReason.ROOT_DISTANCE_TOO_LARGE
    return reason
