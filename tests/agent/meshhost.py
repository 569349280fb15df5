"""A reflector of ours on loopback, on a host whose steady clock is another one, and a mesh that probes it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from typing import TYPE_CHECKING

from agent.listeninghost import checked
from agent.probinghost import ProbingHost

from truechimer.config.model import AgentConfig, MeshConfig
from truechimer.readings import SteadyClock
from truechimer_agent.collectors.mesh import Mesh
from truechimer_agent.mesh.members import node_id
from truechimer_agent.mesh.reflecting import Reflecting
from truechimer_agent.mesh.reflectorsocket import ReflectorSocket
from truechimer_agent.pauses.stalllog import StallLog
from truechimer_agent.stamp.reflector import Reflector

if TYPE_CHECKING:
    from pathlib import Path


class ShiftedHost(ProbingHost):
    """A host whose S is ahead of what this machine's would be, in an epoch of its own."""

    def __init__(self, ahead_ns: int, epoch: int) -> None:
        super().__init__()
        steady = self.clock.steady()
        self._steady = SteadyClock(steady.anchor_ns + ahead_ns, epoch)
        self.suspended_ns = self.clock.suspended_ns

    def steady(self) -> SteadyClock:
        return self._steady


@contextlib.contextmanager
def reflector(name="b", *, ahead_ns=0, epoch=7, key=None, instance=1, port=0, family=socket.AF_INET):
    """A running reflector of node ``name`` of cluster "c"; gives the port."""
    host = ShiftedHost(ahead_ns, epoch)
    place = ("127.0.0.1", port) if family == socket.AF_INET else ("::1", port, 0, 0)
    sock = ReflectorSocket(family, place)
    serving = Reflecting(sock, Reflector(key, node_id("c", name), instance), host, host.clocks)
    serving.start()
    try:
        yield sock.port
    finally:
        serving.stop()


class MeshHost(ProbingHost):
    """Node "a" of cluster "c" with its mesh collector; every observation is held against its declaration."""

    def __init__(self, *peers: str, node: str = "a", **mesh: object) -> None:
        super().__init__()
        self.stalls = StallLog()
        settings: dict[str, object] = {"interval_s": 0.05, "timeout_s": 1.0, "peers": tuple(peers), **mesh}
        config = dataclasses.replace(AgentConfig(), cluster="c", node=node)
        self.mesh = Mesh(self, config, MeshConfig(**settings), self.stalls)

    def emit(self, observation):
        super().emit(checked(observation))

    @property
    def probes(self):
        return [one for one in self.observations if one.measurement == "truechimer_rtt"]

    def counts(self, peer="b"):
        """The sums of all path reports about a peer, and the last level."""
        rows = [one for one in self.observations if one.measurement == "truechimer_path"]
        rows = [one.fields for one in rows if one.tags["peer"] == peer]
        names = ("sent", "received", "lost_forward", "lost_backward", "unknown", "reordered", "duplicated")
        sums = {name: sum(row[name] for row in rows) for name in names}
        return sums | {"undetermined": rows[-1]["undetermined"] if rows else 0}

    @contextlib.asynccontextmanager
    async def probing(self):
        """The collector at work; flushed and closed at the end."""
        try:
            await self.mesh.open()
            yield self
        finally:
            await self.mesh.close()


def key_file(folder: Path, text: str) -> Path:
    """A key that only its owner may read."""
    path = folder / f"{text}.key"
    path.write_text(text * 8)
    path.chmod(0o600)
    return path
