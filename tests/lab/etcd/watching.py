"""Agents beside the members of an etcd: they probe each other over its links and watch its processes."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from lab.harness.clocks import wait_until, wall_ns
from lab.harness.fleet import agent_toml
from lab.harness.programs import Agent
from lab.harness.sink import Sink

from truechimer.codes import Cause, ProbeOutcome
from truechimer_analyzer.stores import Batch, open_store

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from lab.etcd.members import Far
    from lab.harness.network import Host, Network

    from truechimer.samples import Sample
    from truechimer_analyzer.stores import Store

PORT = 862
SETTLED_S = 120.0
LEAST_REPLIES = 25
"""Of a path before an etcd suffers: what an advice asks for at least, and more."""


def _is_stop(one: Sample) -> bool:
    return one.tags["source"] == "etcd" and one.tags["cause"] == Cause.STOPPED


class Watching:
    """One agent a host, with STAMP to each other and `[[process]]` on the host's etcd, by its pid file."""

    def __init__(self, network: Network, far: Far, directory: Path, *, interval_s: float = 0.05) -> None:
        self._directory = directory
        self._far = far
        self.pid_files = {host.name: directory / f"{host.name}.pid" for host in far.hosts}
        with ExitStack() as stack:
            self.sink = stack.enter_context(Sink(network.host("sink")))
            for host in far.hosts:
                config = self._config(host, interval_s)
                stack.enter_context(Agent(host, config, wait=False))
            self._stack = stack.pop_all()

    def _config(self, host: Host, interval_s: float) -> Path:
        path = agent_toml(self._directory / host.name, node=host.name, servers=(), sinks=(self.sink.url,))
        peers = [
            f"{other.name}@{link.address_of(other)}:{PORT}"
            for (near, far), link in self._far.links.items()
            for other in (link.near, link.far)
            if host.name in (near, far) and other is not host
        ]
        more = (
            f'[mesh]\nlisten = "0.0.0.0:{PORT}"\npeers = {peers}\ndegree = {len(peers)}\n'
            f"interval_s = {interval_s}\ntimeout_s = 5.0\n"
            f"[[process]]\nname = 'etcd'\npid_file = '{self.pid_files[host.name]}'\n"
        ).replace("'", '"')
        path.write_text(path.read_text() + more)
        return path

    def wait_heard(self) -> None:
        """Wait until every host has had enough replies of every other."""
        pairs = len(self._far.hosts) * (len(self._far.hosts) - 1)

        def heard() -> bool:
            found = self.sink.samples(
                "truechimer_rtt", lambda one: one.fields["outcome"] == ProbeOutcome.REPLY
            )
            paths = Counter((one.tags["node"], one.tags["peer"]) for one in found)
            return len(paths) == pairs and min(paths.values()) >= LEAST_REPLIES

        wait_until(heard, f"{LEAST_REPLIES} replies on every path", timeout_s=SETTLED_S, every_s=0.5)

    def store(self, stops: int) -> Store:
        """An embedded store with all that was told, once it is `stops` of an etcd, or all until now."""
        now_ns = wall_ns()

        def told() -> bool:
            if len(self.sink.samples("truechimer_pause", _is_stop)) >= stops:
                return True
            later = self.sink.samples("truechimer_pause_window", lambda one: one.time_ns > now_ns)
            return {one.tags["node"] for one in later if one.tags["source"] == "etcd"} == {*self.pid_files}

        wait_until(told, "what the agents have to tell", timeout_s=SETTLED_S, every_s=0.5)
        store = open_store(f"embedded:{self._directory / 'store'}")
        store.write(Batch(b"all", self.sink.all_samples()))
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        assert self.sink.refused == 0
