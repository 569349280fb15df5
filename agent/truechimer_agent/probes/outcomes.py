"""What a probe's end means: the kernel's errors, and stalls of the prober itself."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.pauses.stalllog import StallLog

LATE_NS = 5_000_000
"""A timer or an answer that the loop came to later than this is a stall of the agent itself."""
STALLED_SHARE = 0.1
"""One stall counts when it took this share of the time in flight: 5 ms spoil a round trip of 1 ms, not a
silence of 3 s. Short ones are not summed up, or a dead peer would look alive to every busy host."""

_BY_ERRNO = {
    errno.ECONNREFUSED: ProbeOutcome.REFUSED,
    # Only an established connection is reset: the round trip was made.
    errno.ECONNRESET: ProbeOutcome.REPLY,
    errno.EISCONN: ProbeOutcome.REPLY,
    0: ProbeOutcome.REPLY,
    errno.EHOSTUNREACH: ProbeOutcome.HOST_UNREACHABLE,
    errno.EHOSTDOWN: ProbeOutcome.HOST_UNREACHABLE,
    errno.ENETUNREACH: ProbeOutcome.NET_UNREACHABLE,
    errno.ENETDOWN: ProbeOutcome.NET_UNREACHABLE,
    errno.EADDRNOTAVAIL: ProbeOutcome.NET_UNREACHABLE,
    # What a blackhole route tells local senders (ip-route(8)).
    errno.EINVAL: ProbeOutcome.NET_UNREACHABLE,
    errno.EPERM: ProbeOutcome.NOT_PERMITTED,
    errno.EACCES: ProbeOutcome.NOT_PERMITTED,
    errno.ETIMEDOUT: ProbeOutcome.LOST,
}
OWN_WANT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})
"""This host ran out of something: says nothing of the peer."""
_ROUTE_ENDED = frozenset(
    {ProbeOutcome.HOST_UNREACHABLE, ProbeOutcome.NET_UNREACHABLE, ProbeOutcome.NOT_PERMITTED}
)


def of_errno(number: int) -> ProbeOutcome:
    """What an error of a connect or a send says of the peer; unknown ones are silence."""
    return _BY_ERRNO.get(number, ProbeOutcome.LOST)


def of_word(number: int) -> ProbeOutcome:
    """The same for an error that came back over the network after sending went well.

    EACCES is then a router's "administratively prohibited" of ICMPv6, whose IPv4 sisters are EHOSTUNREACH.
    """
    return ProbeOutcome.HOST_UNREACHABLE if number == errno.EACCES else of_errno(number)


def is_of_the_route(outcome: ProbeOutcome) -> bool:
    """Whether the way there failed, so that another address of the same name may fare better."""
    return outcome in _ROUTE_ENDED


@dataclass(frozen=True, slots=True)
class Result:
    """One probe's end, in S ns: ``epoch`` is S's at sending, ``late_ns`` how long the end lay unread.

    ``noted`` are further fields of its sample; ``measured`` those that only hold while the epoch does.
    """

    peer: str
    outcome: ProbeOutcome
    sent_ns: int
    ended_ns: int
    epoch: int
    late_ns: int = 0
    noted: Mapping[str, float | int] = field(default_factory=dict)
    measured: Mapping[str, float | int] = field(default_factory=dict)

    @property
    def rtt_ns(self) -> int:
        """From sending to the end."""
        return self.ended_ns - self.sent_ns


def judge(result: Result, stalls: StallLog, epoch: int) -> ProbeOutcome:
    """The outcome, unless this host's own stall spoilt the time or made the silence.

    Refusals and unreachability are somebody's word and stand.
    """
    if result.outcome not in (ProbeOutcome.REPLY, ProbeOutcome.LOST):
        return result.outcome
    if epoch != result.epoch:
        return ProbeOutcome.OWN_STALL
    stalled_ns = max(result.late_ns, stalls.longest_ns(result.sent_ns, result.ended_ns))
    if stalled_ns > 0 and stalled_ns >= STALLED_SHARE * result.rtt_ns:
        return ProbeOutcome.OWN_STALL
    return result.outcome
