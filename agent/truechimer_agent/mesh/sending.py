"""Probes to all chosen peers, on their beat, in the loop's callbacks."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome, Via
from truechimer_agent.mesh.link import Link, Peer
from truechimer_agent.mesh.members import node_id
from truechimer_agent.probes import outcomes
from truechimer_agent.probes.outcomes import Result, is_of_the_route
from truechimer_agent.probes.rounds import Rounds
from truechimer_agent.probes.targets import Address, Target
from truechimer_agent.resolving import lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from truechimer_agent.collecting import Host, Observation
    from truechimer_agent.mesh.link import Manner
    from truechimer_agent.mesh.members import Member
    from truechimer_agent.pauses.stalllog import StallLog

MOST_IN_FLIGHT = 4096
_LATE_S = 0.05
"""What a time-out may come late by when all are waited for."""
NS = 1_000_000_000

log = logging.getLogger("truechimer.mesh")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often every peer is probed, in which DSCP classes, and how long answers are waited for."""

    interval_s: float
    timeout_s: float
    dscp: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Path:
    """A peer in one DSCP class. ``former`` links are to addresses given up: they end what they began."""

    member: Member
    target: Target
    peer: Peer
    link: Link | None = None
    former: list[Link] = field(default_factory=list)

    def links(self) -> list[Link]:
        return self.former if self.link is None else [*self.former, self.link]


class Sending:
    """Probes the members that it was given last; results go to the host, counts are fetched by ``report``.

    Everything is kept for a peer that stays: sequence numbers, address, and its beat.
    """

    def __init__(
        self, host: Host, stalls: StallLog, cluster: str, node: str, manner: Manner, schedule: Schedule
    ) -> None:
        self._host = host
        self._cluster = cluster
        self._manner = manner
        self._schedule = schedule
        self._paths: dict[str, _Path] = {}
        self._last_reports: list[Observation] = []
        self._names = {node_id(cluster, node): node}
        self._strange: set[tuple[str, bytes]] = set()
        self._spoiled: set[str] = set()
        self._rounds = Rounds(host, [], stalls, Via.STAMP, self._begin, look_up, MOST_IN_FLIGHT)

    def start(self) -> None:
        """Begin the beat."""
        self._rounds.start()

    def choose(self, chosen: Iterable[Member], all_members: Iterable[Member]) -> None:
        """Probe ``chosen`` from now on; ``all_members`` are those whose names are known."""
        self._names |= {node_id(self._cluster, member.name): member.name for member in all_members}
        before, self._paths = self._paths, {}
        for member in chosen:
            for dscp in self._schedule.dscp:
                name = f"{member.name} dscp {dscp}" if dscp else member.name
                path = before.get(name)
                if path is not None and path.member == member:
                    self._paths[name] = before.pop(name)
                else:
                    self._paths[name] = self._path(name, member, dscp)
        for path in before.values():
            for link in path.links():
                self._end(path, link)
        self._rounds.change([path.target for path in self._paths.values()])

    def report(self) -> list[Observation]:
        """What became known of every path since this was asked last."""
        reports, self._last_reports = self._last_reports, []
        for path in self._paths.values():
            for link in path.links():
                link.expire()
                report = link.report()
                if report is not None:
                    reports.append(report)
        return reports

    def check(self) -> None:
        """Hand over what waits; raise, once, what went wrong on this host's side."""
        self._rounds.check()

    async def finish(self, longest_s: float) -> None:
        """Begin no more probes; wait until those in flight have ended, at most ``longest_s``."""
        until_s = min(longest_s, self._schedule.timeout_s + _LATE_S)
        asyncio.get_running_loop().call_later(until_s, self._expire_all)
        await self._rounds.finish(longest_s)

    async def stop(self) -> None:
        """Stop probing; what is in flight is dropped, what was answered is handed over."""
        await self._rounds.stop()
        for path in self._paths.values():
            for link in path.links():
                self._close(link)
        self._paths.clear()

    def _path(self, name: str, member: Member, dscp: int) -> _Path:
        interval_s, timeout_s = self._schedule.interval_s, self._schedule.timeout_s
        noted = {"dscp": dscp} if dscp else {}
        target = Target(name, member.host, member.port, interval_s, timeout_s, peer=member.name, noted=noted)
        return _Path(member, target, Peer(member.name, node_id(self._cluster, member.name), dscp))

    def _begin(self, target: Target, address: Address) -> Result | None:
        """Send a probe. The result when that alone decides, None while it is in flight or was not sent."""
        path = self._paths.get(target.name)
        if path is None or path.target is not target:
            return None  # it left the list while its name was being looked up
        self._expire(path)
        try:
            link = self._link(path, address)
            result = link.send()
        except OSError as error:
            if error.errno in outcomes.OWN_WANT:
                self._rounds.want(error)
                return None
            return self._unsendable(path, error)
        if result is not None and is_of_the_route(result.outcome):
            self._renew(link)
        elif self._schedule.interval_s > self._schedule.timeout_s:
            # No beat comes by in time to see that it is lost.
            asyncio.get_running_loop().call_later(self._schedule.timeout_s + _LATE_S, self._overdue, path)
        path.target.in_flight = sum(each.in_flight for each in path.links())
        return result

    def _link(self, path: _Path, address: Address) -> Link:
        """The link to this address: another one begins another session."""
        if path.link is None or path.link.address != address:
            link = Link(self._host, self._manner, path.peer, address, _Listener(self, path))
            if path.link is not None:
                path.former.append(path.link)
            path.link = link
            self._listen(link)
        return path.link

    def _unsendable(self, path: _Path, error: OSError) -> Result:
        """No socket can be had for this address: there is no way to it, or the kernel lacks its family."""
        outcome = outcomes.of_errno(error.errno or 0)
        if not is_of_the_route(outcome):
            outcome = ProbeOutcome.NET_UNREACHABLE
        now_ns = self._host.steady_now_ns()
        return Result(
            path.peer.name, outcome, now_ns, now_ns, self._host.steady().epoch, noted=path.target.noted
        )

    def _renew(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        number = link.socket.sock.fileno()
        loop.remove_reader(number)
        try:
            link.renew()
        except OSError:
            pass  # the old one stays, until this works
        finally:
            self._listen(link)

    def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(link.socket.sock.fileno(), self._rounds.guarded, link.receive)

    def _overdue(self, path: _Path) -> None:
        self._rounds.guarded(lambda: self._expire(path))

    def _expire_all(self) -> None:
        for path in self._paths.values():
            self._overdue(path)

    def _expire(self, path: _Path) -> None:
        for link in path.links():
            link.expire()
        for link in [link for link in path.former if not link.in_flight]:
            path.former.remove(link)
            self._end(path, link)

    def _end(self, path: _Path, link: Link) -> None:
        """No more comes of this link: what it counted last is told at the next report."""
        report = link.report(last=True)
        if report is not None:
            self._last_reports.append(report)
        self._close(link)
        path.target.in_flight = sum(each.in_flight for each in path.links())

    def _close(self, link: Link) -> None:
        asyncio.get_running_loop().remove_reader(link.socket.sock.fileno())
        link.close()

    def ended(self, path: _Path, address: Address, result: Result) -> None:
        """Take the end of a probe that was in flight."""
        path.target.in_flight = sum(each.in_flight for each in path.links())
        self._rounds.ended(path.target, address, result)

    def strange(self, peer: str, found: bytes) -> None:
        """Another node answers than the one that is listed: say so once."""
        if (peer, found) in self._strange:
            return
        self._strange.add((peer, found))
        name = self._names.get(found)
        log.warning(
            "another node answers: listed=%s answers=%s fix=%s",
            peer,
            name or f"unknown node {found.hex()}",
            "correct its address in the member list; all nodes need the same cluster and their own node name",
        )

    def spoiled(self, peer: str, why: str) -> None:
        """Something came that is no valid reply: say so once of each peer."""
        if peer not in self._spoiled:
            self._spoiled.add(peer)
            log.warning("bad reply: peer=%s why=%s fix=%s", peer, why, "all nodes need the same key_file")


@dataclass(frozen=True, slots=True)
class _Listener:
    """What a link tells goes to the sending, with the path that it is of."""

    sending: Sending
    path: _Path

    def ended(self, address: Address, result: Result) -> None:
        self.sending.ended(self.path, address, result)

    def strange(self, peer: str, node_id: bytes) -> None:
        self.sending.strange(peer, node_id)

    def spoiled(self, peer: str, why: str) -> None:
        self.sending.spoiled(peer, why)


async def look_up(host: str, port: int) -> Sequence[Address]:
    """All addresses of a name, in the resolver's order. Raises socket.gaierror."""
    found = await lookup(host, port, socket.SOCK_DGRAM)
    return list(dict.fromkeys(Address(family, sockaddr) for family, sockaddr in found))
