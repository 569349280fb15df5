"""What one answered probe proves, sans-IO: the round trip, and the difference of two steady clocks.

A packet cannot travel backwards in time. Sent at s1 and received at s4 by this node's S, received at T2 and
sent at T3 by the peer's: S_peer − S_node ≥ T3 − s4 at s4, and ≤ T2 − s1 at s1. Both oscillators drift until
s1 and s4 are one instant: the bounds are given as of s1, the lower one widened by what two oscillators can
come apart over the exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from truechimer_agent.stamp.errors import Malformed
from truechimer_agent.stamp.stamps import ns_down, ns_up

if TYPE_CHECKING:
    from truechimer_agent.packettimes.times import Times
    from truechimer_agent.stamp.packet import Reply

_BILLION = 10**9
_SLACK_NS = 1_000
"""What readings and timestamps of both sides may be rounded by."""


class Measured(NamedTuple):
    """``rtt_ns``: on the network, most likely; ``residence_ns``: in the peer.

    S_peer − S_node is in [``lower_ns``, ``upper_ns``] at S_node = ``Times.sent_ns``, if the peer's times are
    of an S.
    """

    rtt_ns: int
    residence_ns: int
    lower_ns: int
    upper_ns: int


def measure(reply: Reply, times: Times, max_drift_ppb: int) -> Measured:
    """What a reply proves; each oscillator is within ``max_drift_ppb`` of true.

    Raises Malformed when the peer claims to have had the probe for longer than it was away.
    """
    near_ns = times.received_ns
    t2_ns, t3_ns = ns_up(reply.received, near_ns), ns_down(reply.transmitted, near_ns)
    away_ns = times.received_ns - times.sent_ns
    apart_ns = drift_ns(away_ns, max_drift_ppb)
    residence_ns = max(0, t3_ns - t2_ns)
    if residence_ns > away_ns + apart_ns + _SLACK_NS:
        raise Malformed(f"it claims to have had a probe for {residence_ns} ns that was away for {away_ns} ns")
    likely_ns = times.likely_received_ns - times.likely_sent_ns
    return Measured(
        rtt_ns=max(0, likely_ns - residence_ns),
        residence_ns=residence_ns,
        lower_ns=t3_ns - times.received_ns - apart_ns,
        upper_ns=t2_ns - times.sent_ns,
    )


def drift_ns(span_ns: int, max_drift_ppb: int) -> int:
    """What two oscillators can come apart over a span of one of them: 2 · d / (1 − d) of it, rounded up."""
    return -(-span_ns * 2 * max_drift_ppb // (_BILLION - max_drift_ppb))
