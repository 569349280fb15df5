"""One NTP exchange, sans-IO: what was sent, what came back and when, and what it proves.

All local times are S in ns. The packet cannot travel backwards in time, so with the server within E of
UTC, x = UTC − S satisfies x ≥ T3 − E − s4 at s4 and x ≤ T2 + E − s1 at s1, whatever the path's symmetry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer.samples import NtpOutcome, ServerReason
from truechimer_agent.ntp import packet

if TYPE_CHECKING:
    from truechimer.readings import Reading, SteadyClock

ROOT_DISTANCE_LIMIT_S = 3.0
FASTEST_W = 1.101
"""W against RAW at most: the kernel's tick ± 10 %, its frequency and adjtime(3) 500 ppm each."""
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
    """A reply that counts: x ≥ ``lower_ns`` at S = ``received_ns``, x ≤ ``upper_ns`` at S = ``sent_ns``."""

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int
    delay_ns: int
    header: packet.Header

    @property
    def offset_ns(self) -> int:
        """UTC − S by the midpoint, as every NTP client would say."""
        return (self.lower_ns + self.upper_ns) // 2


@dataclass(frozen=True, slots=True)
class Failure:
    """An exchange that proves nothing, and why. ``ignored``: go on waiting, an answer may still come."""

    outcome: NtpOutcome
    reason: ServerReason
    received_ns: int | None = None
    header: packet.Header | None = None
    ignored: bool = False


def judge(data: bytes, sent: Request, received_ns: int) -> Exchange | Failure:
    """Hold a reply against its request; ``received_ns`` is S no earlier than the true arrival.

    A wrong origin is ignored (a late or forged packet must not end the wait); every other flaw ends the
    exchange with its reason (RFC 5905 section 9.2, RFC 8633 section 5).
    """
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
    delay_ns = (received_ns - sent.sent_ns) - (t3 - t2)
    precision_ns = math.ceil(2.0**header.precision * NS)
    if delay_ns < -precision_ns - (t3 - t2) * _SERVER_RATE:
        return Failure(NtpOutcome.BAD_REPLY, ServerReason.NEGATIVE_DELAY, received_ns, header)
    error_ns = math.ceil(header.error_s * NS)
    return Exchange(
        sent_ns=sent.sent_ns,
        received_ns=received_ns,
        lower_ns=t3 - error_ns - received_ns,
        upper_ns=t2 + 1 + error_ns - sent.sent_ns,
        delay_ns=delay_ns,
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


def arrival_ns(
    steady: SteadyClock, before: Reading, after: Reading, sent_ns: int, kernel_wall_ns: int | None
) -> int:
    """S no earlier than a packet's arrival, from the kernel's receive stamp where that can be trusted.

    ``before`` was read before the send, ``after`` after the receive. The kernel stamps in W, which is
    being steered by up to ``FASTEST_W``: so much of W since the stamp was at least so much of S. Between
    the readings W − MONOTONIC changes only by a step; then, or when the stamp lies outside of the
    exchange, the user-space time is used.
    """
    user_ns = steady.at(after.raw_ns) + (after.width_ns + 1) // 2
    if kernel_wall_ns is None:
        return user_ns
    widths_ns = before.width_ns + after.width_ns
    stepped_ns = (after.wall_ns - after.mono_ns) - (before.wall_ns - before.mono_ns)
    if abs(stepped_ns) > widths_ns * FASTEST_W:
        return user_ns
    since_ns = after.wall_ns - kernel_wall_ns - after.width_ns
    if since_ns <= 0:
        return user_ns
    stamped_ns = user_ns - int(since_ns / FASTEST_W)
    return stamped_ns if stamped_ns >= sent_ns else user_ns
