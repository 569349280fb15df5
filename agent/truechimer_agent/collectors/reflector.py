"""reflector: answers the other nodes' STAMP packets, and tells who probes this node and how often."""

from __future__ import annotations

import errno
import ipaddress
import logging
import secrets
import socket
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from truechimer.config.addresses import format_address, listen_address
from truechimer.errors import ConfigError, TruechimerError
from truechimer.readings import SystemClocks
from truechimer_agent.collecting import Lacking, Observation
from truechimer_agent.mesh.members import MembersFile, node_id, parse_member
from truechimer_agent.mesh.reflecting import Reflecting
from truechimer_agent.mesh.reflectorsocket import ReflectorSocket
from truechimer_agent.resolving import lookup
from truechimer_agent.stamp.key import load_key
from truechimer_agent.stamp.reflector import Reflector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer.config.model import MeshConfig
    from truechimer_agent.hostclock import HostClock
    from truechimer_agent.mesh.members import Member
    from truechimer_agent.resolving import Found
    from truechimer_agent.stamp.reflector import Session

NS = 1e9
_MS = 1_000_000
SWITCH_INTERVAL_S = 0.0005
"""Whoever runs Python without pause keeps the thread from a request for so long (by default 5 ms)."""
_TRIES = 2
MOST_STRANGERS = 64
QUIET_ROUNDS = 60
"""So long a session is told of after its last packet."""

log = logging.getLogger("truechimer.reflector")


@dataclass(slots=True)
class _Told:
    """What has been told of a session."""

    requests: int = 0
    replayed: int = 0
    limited: int = 0
    quiet: int = field(default=0, compare=False)
    """For how many rounds nothing came."""


class Reflections:
    """Keeps the reflector's thread, and says every 10 s what it did.

    A point of ``truechimer_reflection`` per session that something came from lately: what ceases to arrive
    is told as well, since a peer that hears no replies cannot know which way its packets are lost. Its
    ``peer`` is the configured member's name, by the node id in its packets or else by its address. Others
    are told by their address when their packets are authentic, 64 of them; the rest are in the totals alone.
    """

    interval_s = 10.0

    def __init__(self, clock: HostClock, config: MeshConfig, cluster: str, node: str) -> None:
        self._clock = clock
        self._config = config
        self._cluster = cluster
        self._node_id = node_id(cluster, node)
        self._file = None if config.peers_file is None else MembersFile(config.peers_file)
        self._by_id: dict[bytes, str] = {}
        self._by_host: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._told: dict[int, tuple[Session, _Told]] = {}
        self._reflector: Reflector | None = None
        self._reflecting: Reflecting | None = None
        self._switch_interval_s: float | None = None
        self.port: int | None = None
        """Where it listens, while it does."""

    async def open(self) -> None:
        """Begin to answer. Raises Lacking when the port cannot be had or the key is not to be used."""
        config = self._config
        if self._file is None:
            self._learn(parse_member(peer) for peer in config.peers)
        self._look_at_file()
        try:
            key = None if config.key_file is None else load_key(config.key_file)
        except ConfigError as error:
            raise Lacking(str(error), hint=error.hint) from error
        sock = await _listen(config.listen)
        # A new one each time: the counts of a new instance have nothing to do with those of another.
        self._reflector = Reflector(key, self._node_id, secrets.randbits(32))
        clocks = self._clock.clocks
        quick = SystemClocks(_TRIES) if isinstance(clocks, SystemClocks) else clocks
        self._reflecting = Reflecting(sock, self._reflector, self._clock, quick)
        self._told = {}
        self._switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._reflecting.start()
        self.port = sock.port
        host, _ = listen_address(config.listen)
        log.info(
            "reflector listens: address=%s authenticated=%s",
            format_address(host, sock.port),
            "no" if key is None else "yes",
        )

    async def collect(self) -> list[Observation]:
        """The totals, and the sessions that were heard of. Raises what ended the thread."""
        reflecting, reflector = self._reflecting, self._reflector
        if reflecting is None or reflector is None or reflecting.failure is not None:
            why = None if reflecting is None else reflecting.failure
            await self.close()
            await self.open()
            raise TruechimerError(f"the reflector had stopped and was begun anew: {why!r}") from why
        self._look_at_file()
        now_ns = self._clock.steady_now_ns()
        fields: dict[str, float | int] = {
            f"{name}_total": count for name, count in asdict(reflector.totals).items()
        }
        fields["residence_seconds_max"] = reflecting.take_residence_ns() / NS
        return [
            Observation("truechimer_reflector", now_ns, fields),
            *self._reflections(reflector.sessions(), now_ns),
        ]

    async def close(self) -> None:
        """Stop answering."""
        if self._reflecting is not None:
            self._reflecting.stop()
            self._reflecting = None
        if self._switch_interval_s is not None:
            sys.setswitchinterval(self._switch_interval_s)
            self._switch_interval_s = None
        self.port = None

    def _look_at_file(self) -> None:
        if self._file is not None and self._file.look():
            self._learn(self._file.members or ())

    def _learn(self, members: Iterable[Member]) -> None:
        self._by_id, self._by_host = {}, {}
        for member in members:
            self._by_id[node_id(self._cluster, member.name)] = member.name
            self._by_host[_plain(member.host)] = member.name

    def _reflections(self, sessions: list[Session], now_ns: int) -> list[Observation]:
        """Sessions of one peer get a millisecond each: stores keep one point of a series a moment."""
        found: list[Observation] = []
        told_before, self._told = self._told, {}
        of_peer: Counter[str] = Counter()
        epoch = self._clock.steady().epoch
        for session in sessions:
            _, told = told_before.get(id(session), (session, _Told()))
            now = _Told(session.requests, session.replayed, session.limited)
            self._told[id(session)] = session, now
            now.quiet = told.quiet + 1 if now == told else 0
            if now.quiet > QUIET_ROUNDS or (peer := self._peer(session)) is None:
                continue
            fields: dict[str, float | int] = {
                "requests": now.requests - told.requests,
                "replayed": now.replayed - told.replayed,
                "limited": now.limited - told.limited,
                "session": session.ssid,
                "seen_total": session.seen,
                "steady_seconds": now_ns / NS,
                "epoch": epoch,
            }
            at_ns = now_ns - of_peer[peer] * _MS
            of_peer[peer] += 1
            found.append(Observation("truechimer_reflection", at_ns, fields, {"peer": peer}))
        return found

    def _peer(self, session: Session) -> str | None:
        """The name by which a session's sender is told, None when it is not."""
        host = _plain(session.host)
        if session.sender_id is not None and session.sender_id in self._by_id:
            return self._by_id[session.sender_id]
        if session.sender_id is None and host in self._by_host:
            return self._by_host[host]
        if self._config.key_file is None:
            return None
        if host not in self._strangers and len(self._strangers) < MOST_STRANGERS:
            self._strangers.add(host)
        return host if host in self._strangers else None


def _plain(host: str) -> str:
    """An address as it is written most plainly: an IPv4 address in IPv6 form is that IPv4 address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


async def _listen(listen: str) -> ReflectorSocket:
    """A socket bound to ``listen``. Raises Lacking that says what keeps it from that."""
    host, port = listen_address(listen)
    address = format_address(host or "*", port)
    try:
        # Every address: IPv6's wildcard takes IPv4 too, where there is IPv6.
        places = await lookup(host, port, socket.SOCK_DGRAM) if host else _everywhere(port)
    except (OSError, UnicodeError) as error:
        raise Lacking(
            f"[mesh] listen: {host} has no address: {error}", hint="write an address of this host"
        ) from error
    failure: OSError | None = None
    for family, sockaddr in places:
        try:
            return ReflectorSocket(family, sockaddr)
        except OSError as error:
            failure = error
    assert failure is not None
    what, hint = explain(failure, port)
    raise Lacking(f"[mesh] listen: cannot use {address}: {what}", hint=hint) from failure


def _everywhere(port: int) -> Found:
    return [(socket.AF_INET6, ("::", port, 0, 0)), (socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104 - asked for


def explain(error: OSError, port: int) -> tuple[str, str]:
    """What keeps the reflector from a port, and what can be done about it."""
    if error.errno == errno.EADDRINUSE:
        return (
            "another program has that port",
            f"ss -ulnp 'sport = {port}' tells which; or choose another port",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            "no permission for that port",
            "the unit gives CAP_NET_BIND_SERVICE; without it choose a port from 1024, the same on all nodes",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this host has no such address", "write one of this host's, or 0.0.0.0 or [::] for every one"
    return error.strerror or str(error), "write an address of this host"
