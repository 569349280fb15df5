"""The reflector, sans-IO: which requests are answered, how they are counted, and with what.

It is stateful (RFC 8762 section 4.3): its sequence numbers count the distinct requests of a session, so that
a sender can tell loss on the way there from loss on the way back. With a key nothing is answered, kept or
evicted for packets that are not authentic and new.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from truechimer_agent.stamp.errors import Forged, Malformed, Unauthenticated
from truechimer_agent.stamp.packet import (
    Identity,
    Request,
    authenticator_of,
    decode_request,
    finish_reply,
    prepare_reply,
)
from truechimer_agent.stamp.replay import Memory, Window
from truechimer_agent.stamp.sources import Allowance, Sources
from truechimer_agent.stamp.stamps import stamp_down, stamp_up

if TYPE_CHECKING:
    from collections.abc import Hashable

    from truechimer_agent.stamp.key import Key
    from truechimer_agent.stamp.packet import Data

MOST_SESSIONS = 4096


@dataclass(slots=True)
class Totals:
    """What became of all packets since the reflector began: fields of ``truechimer_reflector``."""

    requests: int = 0
    replies: int = 0
    malformed: int = 0
    unauthenticated: int = 0
    forged: int = 0
    replayed: int = 0
    limited: int = 0
    failed: int = 0


@dataclass(slots=True)
class Session:
    """One sender's run of probes, ``seen`` of them by now; the other counts only grow.

    ``sender_id`` None: the sender is not one of ours, and ``host`` is all that is known of it.
    """

    sender_id: bytes | None
    ssid: int
    host: str
    seen: int = 0
    requests: int = 0
    replayed: int = 0
    limited: int = 0
    window: Window = field(default_factory=Window)


class Accepted(NamedTuple):
    """A request that is to be answered; ``sequence``: how many of its session came before it."""

    request: Request
    sequence: int


class Reflector:
    """Judges packets one after the other. Times are S in ns.

    ``totals`` and ``sessions`` may be read from another thread; ``replies`` and ``failed`` are counted by
    who sends.
    """

    def __init__(
        self,
        key: Key | None,
        node_id: bytes,
        instance: int,
        allowance: Allowance | None = None,
        most_sessions: int = MOST_SESSIONS,
    ) -> None:
        self._key = key
        self._node_id = node_id
        self._instance = instance
        self._most_sessions = most_sessions
        self._sessions: OrderedDict[Hashable, Session] = OrderedDict()
        self._memory = Memory()
        self.sources = Sources(allowance or Allowance())
        self.totals = Totals()

    def sessions(self) -> list[Session]:
        """The sessions now, at most 4,096: the one longest unheard of is forgotten first."""
        return list(self._sessions.values())

    def accept(self, data: Data, network: bytes, address: tuple[str, int], now_ns: int) -> Accepted | None:
        """Whether a packet from ``address`` in the source ``network`` is to be answered."""
        totals = self.totals
        totals.requests += 1
        try:
            request = decode_request(data, self._key)
        except Malformed:
            totals.malformed += 1
        except Unauthenticated:
            totals.unauthenticated += 1
        except Forged:
            totals.forged += 1
        else:
            sequence = self._admit(request, data, network, address, now_ns)
            if sequence is not None:
                return Accepted(request, sequence)
        self.sources.unanswered(network, now_ns)
        return None

    def prepare(self, data: Data, accepted: Accepted, received_ns: int, ttl: int, epoch: int) -> bytearray:
        """The reply to the packet that was accepted, but for T3; T2 is rounded up."""
        return prepare_reply(
            data,
            accepted.request,
            accepted.sequence,
            stamp_up(received_ns),
            ttl,
            Identity(epoch & 0xFFFF_FFFF, self._instance, self._node_id),
            self._key,
        )

    def finish(self, reply: bytearray, transmitted_ns: int) -> None:
        """Put T3 into a prepared reply, rounded down."""
        finish_reply(reply, stamp_down(transmitted_ns), self._key)

    def _admit(
        self, request: Request, data: Data, network: bytes, address: tuple[str, int], now_ns: int
    ) -> int | None:
        """The number that the request gets in its session, None when it is not to be answered."""
        name = self._session_name(request, address)
        session = self._sessions.get(name)
        authenticator = None if self._key is None else authenticator_of(data)
        begins = False
        is_new = authenticator is None or authenticator not in self._memory
        if is_new and session is not None:
            window = session.window
            if not window.is_new(request.sequence, request.timestamp):
                is_new = begins = window.is_later(request.timestamp)
        if not is_new:
            self.totals.replayed += 1
            if session is not None:
                session.replayed += 1
            return None
        if not self.sources.may(network, now_ns):
            self.totals.limited += 1
            if session is not None:
                session.limited += 1
            return None
        if authenticator is not None:
            self._memory.add(authenticator)
        if session is None:
            session = self._begin(name, Session(request.sender_id, request.ssid, address[0]))
        else:
            self._sessions.move_to_end(name)
        if begins:
            session.window = Window(session.window)
            session.seen = 0
        session.window.add(request.sequence, request.timestamp)
        session.requests += 1
        session.seen += 1
        return session.seen - 1

    def _session_name(self, request: Request, address: tuple[str, int]) -> Hashable:
        # Without a key anybody may say that he is somebody: then at least from that one's address only.
        if request.sender_id is None:
            return address[0], address[1], request.ssid
        if self._key is None:
            return request.sender_id, request.ssid, address[0]
        return request.sender_id, request.ssid

    def _begin(self, name: Hashable, session: Session) -> Session:
        self._sessions[name] = session
        if len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)
        return session
