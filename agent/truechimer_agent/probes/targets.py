"""A target and its addresses: looked up in the background, kept for a while, used stale when need be."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome
from truechimer.readings import monotonic_s
from truechimer_agent.resolving import lookup

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from truechimer_agent.resolving import Sockaddr

FRESH_S = 60.0
FAILURES_BEFORE_MOVING = 3

log = logging.getLogger("truechimer.probes")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a probe goes: as getaddrinfo gave it."""

    family: int
    sockaddr: Sockaddr


@dataclass(slots=True, eq=False)
class Target:
    """One that is probed. ``waiting_ns`` are probes (S ns) due before the first address was known.

    ``peer`` is its tag: its name, unless one peer is probed in several manners; ``noted`` says in which.
    """

    name: str
    host: str
    port: int
    interval_s: float
    timeout_s: float
    peer: str = ""
    noted: Mapping[str, float | int] = field(default_factory=dict)
    share: float = 0.0
    in_flight: int = 0
    skipped: int = 0
    waiting_ns: list[int] = field(default_factory=list)
    resolution: asyncio.Task[None] | None = None
    _addresses: list[Address] = field(default_factory=list)
    _resolved_s: float | None = None
    _numeric: bool = False
    _unresolved: bool = False
    _failures: int = 0
    _replied: Address | None = None

    def __post_init__(self) -> None:
        self.peer = self.peer or self.name
        try:
            found = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
            self._addresses = _distinct((family, sockaddr) for family, _, _, _, sockaddr in found)
            self._numeric = True
        except OSError:
            self._addresses = []

    @property
    def address(self) -> Address | None:
        """The one in use: the first in the resolver's order until another one answers."""
        return self._addresses[0] if self._addresses else None

    @property
    def address_count(self) -> int:
        """How many addresses are known."""
        return len(self._addresses)

    @property
    def busy(self) -> bool:
        """Whether a probe is in flight, or waits for an address that is being looked up."""
        looking = self.resolution is not None and not self.resolution.done()
        return self.in_flight > 0 or (looking and bool(self.waiting_ns))

    def needs_resolving(self) -> bool:
        """Whether the addresses are unknown or old, and nobody is asking yet."""
        if self._numeric or (self.resolution is not None and not self.resolution.done()):
            return False
        return self._resolved_s is None or monotonic_s() - self._resolved_s >= FRESH_S

    async def resolve(self, lookup: Callable[[str, int], Awaitable[Sequence[Address]]]) -> None:
        """Ask for the addresses; on failure the old ones stay in use, and the next probe asks again."""
        try:
            found = await lookup(self.host, self.port)
        except (UnicodeError, OSError) as error:
            if not self._unresolved:
                log.warning("name does not resolve: probe=%s host=%s why=%s", self.name, self.host, error)
            self._unresolved = True
            # Old addresses serve for another while; with none, the next probe asks again.
            self._resolved_s = monotonic_s() if self._addresses else None
            return
        current = self.address
        self._addresses = list(dict.fromkeys(found))
        if current in self._addresses:
            self._addresses.remove(current)
            self._addresses.insert(0, current)
        self._resolved_s = monotonic_s()
        if self._unresolved:
            log.info("name resolves again: probe=%s host=%s", self.name, self.host)
        self._unresolved = False

    def heard(self, address: Address, outcome: ProbeOutcome) -> None:
        """Stay with an address that replies, leave one that fails repeatedly.

        A refusal is an answer of one that has replied before: its process is down. From one that never has,
        it may only mean that the service listens on another address.
        """
        if address != self.address:
            return
        if outcome is ProbeOutcome.REPLY:
            self._replied = address
        if address == self._replied and outcome in (ProbeOutcome.REPLY, ProbeOutcome.REFUSED):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= FAILURES_BEFORE_MOVING:
            self.move_on()

    def move_on(self) -> None:
        """Try the next address from now on."""
        self._failures = 0
        self._addresses = self._addresses[1:] + self._addresses[:1]


async def look_up(host: str, port: int) -> list[Address]:
    """All addresses of a name, in the resolver's order. Raises socket.gaierror."""
    return _distinct(await lookup(host, port, socket.SOCK_STREAM))


def _distinct(found: Iterable[tuple[int, Sockaddr]]) -> list[Address]:
    return list(dict.fromkeys(Address(family, sockaddr) for family, sockaddr in found))
