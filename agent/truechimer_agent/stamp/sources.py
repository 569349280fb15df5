"""How much one source may ask, sans-IO: a token bucket each, and who floods.

A source is an IPv4 address (4 bytes) or an IPv6 /64 network (8 bytes).
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from dataclasses import dataclass

MOST_SOURCES = 4096
RATE_HZ = 200.0
BURST = 200.0
FLOOD = 500
"""Packets within a second that got no answer: who sends more is a case for the kernel's filter."""
_SECOND_NS = 1_000_000_000
_NETWORK_BYTES = 8
_MAPPED = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one source may ask; and how many unanswered packets within a second are a flood."""

    rate_hz: float = RATE_HZ
    burst: float = BURST
    flood: int = FLOOD


@dataclass(slots=True)
class _Source:
    tokens: float
    at_ns: int
    unanswered: int
    since_ns: int


class Sources:
    """Who asked lately, at most 4,096 of them: the one longest unheard of is forgotten first.

    ``flooding`` holds those that have been seen to flood, for whoever can keep them away to take.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._known: OrderedDict[bytes, _Source] = OrderedDict()
        self.flooding: list[bytes] = []

    def may(self, network: bytes, now_ns: int) -> bool:
        """Whether its request may be answered at ``now_ns`` (S); asked once, it is taken as done."""
        source = self._of(network, now_ns)
        allowance = self._allowance
        elapsed_s = max(0, now_ns - source.at_ns) / _SECOND_NS
        tokens = min(allowance.burst, source.tokens + elapsed_s * allowance.rate_hz)
        source.at_ns = now_ns
        if tokens < 1.0:
            source.tokens = tokens
            return False
        source.tokens = tokens - 1.0
        return True

    def unanswered(self, network: bytes, now_ns: int) -> None:
        """A packet from there gets no answer."""
        source = self._of(network, now_ns)
        if not 0 <= now_ns - source.since_ns < _SECOND_NS:
            source.since_ns = now_ns
            source.unanswered = 0
        source.unanswered += 1
        if source.unanswered == self._allowance.flood:
            self.flooding.append(network)

    def _of(self, network: bytes, now_ns: int) -> _Source:
        known = self._known
        source = known.get(network)
        if source is None:
            source = _Source(self._allowance.burst, now_ns, 0, now_ns)
            known[network] = source
            if len(known) > MOST_SOURCES:
                known.popitem(last=False)
        else:
            known.move_to_end(network)
        return source


def network_of(host: str) -> bytes:
    """The source that an address belongs to; an IPv4 address in IPv6 form is that IPv4 address."""
    if ":" not in host:
        return socket.inet_aton(host)
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return packed[12:] if packed.startswith(_MAPPED) else packed[:_NETWORK_BYTES]
