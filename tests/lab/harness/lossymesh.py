"""Agents on hosts that are joined pair by pair by links of their own, over which they probe each other."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Self

from lab.harness.clocks import wait_until, wall_ns
from lab.harness.delays import LogNormal
from lab.harness.fleet import agent_toml
from lab.harness.programs import Agent
from lab.harness.sink import Sink

from truechimer.codes import ProbeOutcome, Via

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from lab.harness.link import Direction, Link
    from lab.harness.network import Host, Network

COUNTED = ("sent", "received", "lost_forward", "lost_backward", "unknown", "reordered", "duplicated")
REPORT_S = 10.0
_SLACK_S = 1.0


@dataclass(frozen=True)
class Way:
    """One direction of the link between two nodes, and who reports of it.

    What it drops are probes of ``near`` to ``far``, lost there, and replies to probes of ``far``, lost back.
    """

    near: str
    far: str
    direction: Direction


class LossyMesh:
    """Every node probes every other in a mesh of ``count`` nodes, except where ``one_way`` says otherwise.

    One-way pairs (those with an even sum of their numbers) are probed by the lower-numbered node alone.
    """

    def __init__(
        self, network: Network, directory: Path, count: int, *, interval_s: float, timeout_s: float = 1.0
    ) -> None:
        self._stack = ExitStack()
        self._directory = directory
        self.timeout_s = timeout_s
        self.sink = self._stack.enter_context(Sink(network.host("sink")))
        self.hosts: dict[str, Host] = {f"n{number}": network.host(f"n{number}") for number in range(count)}
        self.links: dict[tuple[str, str], Link] = {}
        self.paths: set[tuple[str, str]] = set()
        for (at, near), (also_at, far) in combinations(enumerate(self.hosts), 2):
            self.links[near, far] = network.link(self.hosts[near], self.hosts[far], seed=10 * at + also_at)
            self.paths.add((near, far))
            if (at + also_at) % 2:
                self.paths.add((far, near))
        self.agents: dict[str, Agent] = {}
        try:
            for name, host in self.hosts.items():
                config = self._config(directory / name, name, interval_s)
                self.agents[name] = self._stack.enter_context(Agent(host, config, wait=False))
        except BaseException:
            self._stack.close()
            raise

    def _config(self, directory: Path, name: str, interval_s: float) -> Path:
        path = agent_toml(directory, node=name, servers=(), sinks=(self.sink.url,))
        peers = [f"{far}@{self._address(name, far)}" for near, far in sorted(self.paths) if near == name]
        mesh = (
            f'[mesh]\nlisten = "0.0.0.0:862"\ndegree = {len(self.hosts)}\ninterval_s = {interval_s}\n'
            f"timeout_s = {self.timeout_s}\npeers = {peers}\n".replace("'", '"')
        )
        path.write_text(path.read_text() + mesh)
        return path

    def _address(self, near: str, far: str) -> str:
        link = self.links.get((near, far)) or self.links[far, near]
        return link.address_of(self.hosts[far])

    def ways(self) -> list[Way]:
        """Both directions of every link."""
        return [
            way
            for (near, far), link in self.links.items()
            for way in (Way(near, far, link.forward), Way(far, near, link.backward))
        ]

    def wait_settled(self) -> None:
        """Wait until every path has had a reply, and has told what was lost before all agents were up.

        What comes to a closed port is refused, but not every time (icmp(7), icmp_ratelimit).
        """

        def heard() -> bool:
            replies = self.sink.samples(
                "truechimer_rtt",
                lambda one: one.tags["via"] == Via.STAMP and one.fields["outcome"] == ProbeOutcome.REPLY,
            )
            return {(one.tags["node"], one.tags["peer"]) for one in replies} >= self.paths

        wait_until(heard, "a reply on every path", timeout_s=60.0, every_s=0.5)
        self.wait_reported()

    def wait_reported(self) -> None:
        """Wait until every path has reported what became of all that is sent until now."""
        since_ns = wall_ns() + round((self.timeout_s + _SLACK_S) * 1e9)

        def reported() -> bool:
            rows = self.sink.samples("truechimer_path", lambda one: one.time_ns >= since_ns)
            return {(one.tags["node"], one.tags["peer"]) for one in rows} >= self.paths

        wait_until(reported, "a report of every path", timeout_s=3 * REPORT_S, every_s=0.5)

    def counts(self) -> Mapping[tuple[str, str], Counter[str]]:
        """The sums of all reports by path, and the last level of ``undetermined``."""
        sums: dict[tuple[str, str], Counter[str]] = {path: Counter() for path in self.paths}
        for one in self.sink.samples("truechimer_path"):
            path = sums[one.tags["node"], one.tags["peer"]]
            path.update({name: int(one.fields[name]) for name in COUNTED})
            path["undetermined"] = int(one.fields["undetermined"])
        return sums

    def anchor_ns(self, name: str) -> int:
        """A node's S less the RAW that all nodes share: two of these give the true difference of their S."""
        kept = json.loads((self._directory / name / "state" / "steady.json").read_text())
        return int(kept["anchor_ns"])

    def dropped(self) -> dict[Way, int]:
        """What each way has dropped by its own count."""
        return {way: way.direction.counters.dropped for way in self.ways()}

    def lost_since(self, before: Mapping[tuple[str, str], Counter[str]]) -> dict[Way, int]:
        """What both ends have told since ``before`` to be lost on each way: probes there, replies back."""
        after = self.counts()

        def told(path: tuple[str, str], count: str) -> int:
            return after[path][count] - before[path][count] if path in after else 0

        return {
            way: told((way.near, way.far), "lost_forward") + told((way.far, way.near), "lost_backward")
            for way in self.ways()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for agent in self.agents.values():
            agent.kill()
        self._stack.close()
        assert self.sink.refused == 0


def lossy(fleet: LossyMesh, seconds: float) -> list[str]:
    """Lose 5 % there and 1 % back for a while, reordered and duplicated too; what was told wrongly."""
    before, dropped = fleet.counts(), fleet.dropped()
    for link in fleet.links.values():
        link.forward.set(delay=LogNormal(0.03, 0.8, 0.005), loss=0.05, reorder=0.5, duplicate=0.01)
        link.backward.set(delay=LogNormal(0.02, 0.8, 0.002), loss=0.01, reorder=0.5, duplicate=0.01)
    time.sleep(seconds)
    for link in fleet.links.values():
        link.set(loss=0.0, reorder=0.0, duplicate=0.0)
    fleet.wait_reported()
    return [
        f"{way.near} to {way.far}: told {lost}, dropped {way.direction.counters.dropped - dropped[way]}"
        for way, lost in fleet.lost_since(before).items()
        if lost != way.direction.counters.dropped - dropped[way]
    ]
