"""A fleet of agents that probe each other: each under a clock of its own, with servers behind links.

True time is the kernel's W, which all servers tell; each node's W and S are its ShiftedClock's, so the truth
about every pair is known at every moment.
"""

import bisect
import hashlib
import secrets
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.harness import lyingagent
from lab.harness.chrony import ChronyServer
from lab.harness.clocks import raw_ns, wall_ns
from lab.harness.delays import Constant
from lab.harness.fleet import ANALYZER_PORT
from lab.harness.link import Link
from lab.harness.lyingagent import Lie
from lab.harness.network import Host, Network
from lab.harness.processes import Process
from lab.harness.programs import Agent, Analyzer
from lab.harness.shiftclock import ShiftedClock, Stretch, build_shiftclock

CLUSTER = "lab"
STAMP_PORT = 862
READ_EVERY_S = 1.0


class LyingAgent(Agent):
    """An agent whose reflector lies when it is told to (lyingagent.py)."""

    def _start(self) -> Process:
        command = (sys.executable, "-P", lyingagent.__file__, "run", "--config", str(self.config))
        return self.host.popen(*command, log=self.log, env=self.env)


@dataclass
class Node:
    """One host of the mesh with its agent; `clock` is what its processes take for theirs."""

    name: str
    host: Host
    clock: ShiftedClock
    servers: list[Link] = field(default_factory=list)
    agent: Agent | None = None
    lie: Lie | None = None

    @property
    def running(self) -> Agent:
        """Its agent."""
        assert self.agent is not None
        return self.agent


@dataclass(frozen=True)
class Truth:
    """What every node's clocks did, and the kernel's (W, RAW) in ns while that was recorded."""

    histories: Mapping[str, Sequence[Stretch]]
    readings: Sequence[tuple[int, int]]

    def raw_ns(self, true_ns: int) -> int:
        """The kernel's RAW when its W was `true_ns`, which lies within what was recorded."""
        number = min(max(bisect.bisect(self.readings, (true_ns, 0)), 1), len(self.readings) - 1)
        (wall, raw), (wall_next, raw_next) = self.readings[number - 1], self.readings[number]
        return raw + (true_ns - wall) * (raw_next - raw) // (wall_next - wall)

    def ahead_s(self, name: str, true_ns: int) -> float:
        """W − UTC of a node in seconds, when UTC was `true_ns`."""
        raw, history = self.raw_ns(true_ns), self.histories[name]
        stretch = next((each for each in reversed(history) if each.from_raw_ns <= raw), history[0])
        return stretch.at(raw).wall_ns / 1e9


class TrueTime:
    """Readings of the kernel's W and RAW, one a second."""

    def __init__(self) -> None:
        self.readings: list[tuple[int, int]] = []
        self._stop = threading.Event()
        self._note()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _note(self) -> None:
        tries = [(raw_ns(), wall_ns(), raw_ns()) for _ in range(5)]
        before, wall, after = min(tries, key=lambda each: each[2] - each[0])
        self.readings.append((wall, (before + after) // 2))

    def _run(self) -> None:
        while not self._stop.wait(READ_EVERY_S):
            self._note()

    def close(self) -> None:
        """Stop, with a last reading."""
        self._stop.set()
        self._thread.join()
        self._note()


class Mesh:
    """Nodes with agents that probe all others, NTP servers behind one link each, one analyzer for all.

    `direct`: peers reach each other by the bridge. Pairs in `lines` are joined by a link of their own and
    probe each other over that. `ntp_delays_s` are one server's: there, and back.
    """

    def __init__(
        self,
        network: Network,
        directory: Path,
        *,
        nodes: int = 6,
        ntp_delays_s: Sequence[tuple[float, float]] = ((0.004, 0.003), (0.003, 0.004), (0.005, 0.005)),
        lines: Sequence[tuple[int, int]] = (),
        interval_s: float = 0.1,
        ntp_interval_s: float = 2.0,
        timeout_s: float = 0.5,
    ) -> None:
        self.directory = directory
        self._network = network
        self._stack = ExitStack()
        self._settings = (interval_s, ntp_interval_s, timeout_s)
        directory.mkdir(parents=True, exist_ok=True)
        library = build_shiftclock(directory)
        with ExitStack() as stack:
            self._true_time = TrueTime()
            stack.callback(self._true_time.close)
            self.servers = [
                stack.enter_context(ChronyServer(network.host(f"ntp{number}")))
                for number in range(len(ntp_delays_s))
            ]
            self.nodes: dict[str, Node] = {}
            for number in range(nodes):
                name = f"n{number}"
                clock = stack.enter_context(ShiftedClock(library, directory / f"{name}.shift"))
                node = Node(name, network.host(name), clock)
                for server, (there_s, back_s) in zip(self.servers, ntp_delays_s, strict=True):
                    link = network.link(node.host, server.host, seed=number + 1)
                    link.forward.set(delay=Constant(there_s))
                    link.backward.set(delay=Constant(back_s))
                    node.servers.append(link)
                self.nodes[name] = node
            names = list(self.nodes)
            self.lines = {
                (names[near], names[far]): network.link(
                    self.nodes[names[near]].host, self.nodes[names[far]].host, seed=7
                )
                for near, far in lines
            }
            self._secrets(directory)
            self.analyzer = self._analyzer(stack)
            self._stack = stack.pop_all()

    def _secrets(self, directory: Path) -> None:
        self._token = secrets.token_hex(16)
        files = {"token": self._token, "mesh.key": secrets.token_hex(32)}
        for name, text in files.items():
            path = directory / name
            path.touch(mode=0o600)
            path.write_text(text + "\n")

    def _analyzer(self, stack: ExitStack) -> Analyzer:
        host = self._network.host("analyzer")
        self.url = f"http://{host.address}:{ANALYZER_PORT}"
        folder = self.directory / "analyzer"
        folder.mkdir()
        tokens = folder / "tokens.toml"
        tokens.touch(mode=0o600)
        digest = hashlib.sha256(self._token.encode()).hexdigest()
        tokens.write_text(f'[[token]]\nname = "lab"\nsha256 = "{digest}"\nscopes = ["admin"]\n')
        config = folder / "analyzer.toml"
        config.write_text(
            f'[server]\nlisten = "{host.address}:{ANALYZER_PORT}"\ntokens_file = "{tokens}"\n'
            f'[store]\naddress = "embedded:{self.store}"\n'
        )
        return stack.enter_context(Analyzer(host, config))

    @property
    def store(self) -> Path:
        """The analyzer's store, to be opened when it was closed."""
        return self.directory / "analyzer" / "store"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of nodes, in order."""
        return list(combinations(self.nodes, 2))

    def start(self, *names: str, liars: Sequence[str] = ()) -> None:
        """Start the agents of these nodes (all); those of `liars` can be made to lie."""
        for name in names or self.nodes:
            node = self.nodes[name]
            config = self._agent_toml(node)
            if name in liars:
                node.lie = self._stack.enter_context(Lie(self.directory / f"{name}.lie", CLUSTER))
                env = node.clock.env | node.lie.env
                node.agent = LyingAgent(node.host, config, env=env, wait=False)
            else:
                node.agent = Agent(node.host, config, env=node.clock.env, wait=False)
            self._stack.enter_context(node.agent)

    def wait_synchronised(self, *names: str) -> None:
        """Wait until the agents of these nodes (all) have a bound."""
        for name in names or self.nodes:
            self.nodes[name].running.wait_ready()

    def address(self, node: Node, of: Node) -> str:
        """By which `node` probes the node `of`."""
        line = self.lines.get((node.name, of.name)) or self.lines.get((of.name, node.name))
        return of.host.address if line is None else line.address_of(of.host)

    def _agent_toml(self, node: Node) -> Path:
        interval_s, ntp_interval_s, timeout_s = self._settings
        others = [each for each in self.nodes.values() if each is not node]
        peers = [f"{each.name}@{self.address(node, each)}:{STAMP_PORT}" for each in others]
        servers = [link.far_address for link in node.servers]
        folder = self.directory / node.name
        folder.mkdir(exist_ok=True)
        path = folder / f"{node.name}.toml"
        path.write_text(
            f'cluster = "{CLUSTER}"\nnode = "{node.name}"\n'
            f'state_dir = "{folder}/state"\nruntime_dir = "{folder}/run"\n'
            f"[ntp]\nservers = {_array(servers)}\ninterval_s = {ntp_interval_s}\ntimeout_s = 1.0\n"
            f'[mesh]\nlisten = "0.0.0.0:{STAMP_PORT}"\npeers = {_array(peers)}\ndegree = {len(others)}\n'
            f"interval_s = {interval_s}\ntimeout_s = {timeout_s}\n"
            f'key_file = "{self.directory}/mesh.key"\n'
            "[pauses]\ninterval_ms = 50\nthreshold_ms = 20\n"
            f'[[sink]]\nkind = "influx"\nurl = "{self.url}"\ntoken_file = "{self.directory}/token"\n'
        )
        return path

    def ask(self, path: str) -> Any:
        """The analyzer's answer to a query, as JSON."""
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self.analyzer.host.request("GET", self.url + path, headers=headers)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json()

    def truth(self) -> Truth:
        """The truth about the time until now."""
        histories = {name: tuple(node.clock.history) for name, node in self.nodes.items()}
        return Truth(histories, tuple(self._true_time.readings))

    def stop_agents(self) -> None:
        """Stop all agents, so that what they have is with the analyzer."""
        agents = [node.agent for node in self.nodes.values() if node.agent is not None]
        for agent in agents:
            agent.process.signal(signal.SIGTERM)
        for agent in agents:
            agent.stop()

    def close_analyzer(self) -> None:
        """Stop the analyzer cleanly, so that its store can be read."""
        assert self.analyzer.stop() == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _array(texts: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
