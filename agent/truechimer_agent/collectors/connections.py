"""connections: what the kernel knows of real TCP connections, by remote: no probe, real traffic."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome, Via
from truechimer.config.addresses import network
from truechimer_agent.collecting import Lacking, Observation
from truechimer_agent.connections.remotes import Remotes, Selection
from truechimer_agent.mesh.members import MembersFile, parse_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from truechimer.config.model import ConnectionsConfig, MeshConfig
    from truechimer_agent.collecting import Host
    from truechimer_agent.connections.remotes import Remote
    from truechimer_agent.connections.tcpinfo import Address, Connection
    from truechimer_agent.mesh.members import Member

INSTALL = "pip install 'truechimer[connections]'"
MS_PER_S = 1000.0
NS = 1e9


class Connections:
    """Asks the kernel every ``interval_s``, in a thread: many sockets take it a while."""

    def __init__(
        self, host: Host, config: ConnectionsConfig, names: Callable[[], Mapping[Address, str]]
    ) -> None:
        self.interval_s = config.interval_s
        self._host = host
        self._names = names
        selection = Selection(
            frozenset(config.ports), [network(text) for text in config.remotes], config.loopback
        )
        self._remotes = Remotes(selection, config.limit)
        self._ask: Callable[[], list[Connection]] | None = None
        self._asked_ns: int | None = None

    async def open(self) -> None:
        """Load pyroute2, which nothing else needs."""
        self._ask = await asyncio.to_thread(_load)

    async def close(self) -> None:
        """Nothing to let go of: the socket lives for one round."""

    async def collect(self) -> list[Observation]:
        """The remotes as they are now."""
        assert self._ask is not None
        found = await asyncio.to_thread(self._ask)
        now_ns = self._host.steady_now_ns()
        since_s = self.interval_s if self._asked_ns is None else (now_ns - self._asked_ns) / NS
        self._asked_ns = now_ns
        remotes = self._remotes.round(found, self._names(), since_s * MS_PER_S)
        return [point for remote in remotes for point in observations(remote, now_ns)]


def observations(remote: Remote, steady_ns: int) -> Iterable[Observation]:
    """The points of one remote."""
    tags = {"peer": remote.peer}
    fields = {
        "connections": remote.connections,
        "srtt_seconds": remote.srtt_s,
        "rttvar_seconds": remote.rttvar_s,
        "min_rtt_seconds": remote.min_rtt_s,
        "rto_seconds": remote.rto_s,
        "segments_sent": remote.segments_sent,
        "retransmitted": remote.retransmitted,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    yield Observation("truechimer_tcp", steady_ns, known, tags)
    if remote.rtt_s is not None:
        measured = {"outcome": int(ProbeOutcome.REPLY), "rtt_seconds": remote.rtt_s}
        yield Observation("truechimer_rtt", steady_ns, measured, tags | {"via": Via.KERNEL})


def names_of(mesh: MeshConfig | None) -> Callable[[], dict[Address, str]]:
    """Tells the nodes by address, where HOST is one; a file of members is looked at each time."""
    if mesh is None:
        return dict
    if mesh.peers_file is None:
        listed = _by_address(parse_members(mesh.peers))
        return lambda: listed
    file = MembersFile(mesh.peers_file)

    def read() -> dict[Address, str]:
        file.look()
        return _by_address(file.members or ())

    return read


def _by_address(members: Iterable[Member]) -> dict[Address, str]:
    found: dict[Address, str] = {}
    for member in members:
        try:
            found[ip_address(member.host)] = member.name
        except ValueError:
            continue
    return found


def _load() -> Callable[[], list[Connection]]:
    try:
        from truechimer_agent.connections.sockdiag import connections  # with pyroute2, which costs 24 MiB
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyroute2":
            raise
        raise Lacking("pyroute2 is not installed", hint=INSTALL) from error
    return connections
