"""Configurations of the product for the lab, and a small fleet: servers of known truth, analyzer, agents."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.harness.chrony import ChronyServer
from lab.harness.network import Host, Network
from lab.harness.programs import Agent, Analyzer

ANALYZER_PORT = 8723


def agent_toml(
    directory: Path,
    *,
    node: str,
    servers: Sequence[str],
    sinks: Sequence[str],
    interval_s: float = 2.0,
    tcp: Sequence[str] = (),
    probe_interval_s: float = 1.0,
    chrony: Path | None = None,
) -> Path:
    """Write an agent's configuration into `directory`, where its state lies too.

    `chrony` is the command socket of the chronyd that is the host's time daemon.
    """
    lines = [
        'cluster = "lab"',
        f'node = "{node}"',
        f'state_dir = "{directory / "state"}"',
        f'runtime_dir = "{directory / "run"}"',
        "[ntp]",
        f"servers = {[*servers]!r}".replace("'", '"'),
        f"interval_s = {interval_s}",
    ]
    for target in tcp:
        lines += ["[[probe]]", 'kind = "tcp"', f'target = "{target}"', f"interval_s = {probe_interval_s}"]
    if chrony is not None:
        lines += ["[daemon]", f'chrony = "{chrony}"']
    for url in sinks:
        lines += ["[[sink]]", 'kind = "influx"', f'url = "{url}"']
    path = directory / f"{node}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def analyzer_toml(directory: Path, *, listen: str = f"127.0.0.1:{ANALYZER_PORT}") -> Path:
    """Write an analyzer's configuration into `directory`, where its store lies too."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "analyzer.toml"
    path.write_text(f'[server]\nlisten = "{listen}"\n[store]\naddress = "embedded:{directory / "store"}"\n')
    return path


class Fleet:
    """chronyd servers, and one host with an analyzer and agents beside it (all on its loopback).

    `offsets` has one entry per server: how far behind it is, in seconds.
    """

    def __init__(self, network: Network, directory: Path, offsets: Sequence[float]) -> None:
        self.directory = directory
        self._stack = ExitStack()
        self.servers: list[ChronyServer] = []
        for number, offset in enumerate(offsets):
            server = self._stack.enter_context(ChronyServer(network.host(f"ntp{number}")))
            if offset:
                server.doffset(offset)
            self.servers.append(server)
        self.host: Host = network.host("node")

    @property
    def addresses(self) -> list[str]:
        """The servers' addresses, in the order of `offsets`."""
        return [server.address for server in self.servers]

    def analyzer(self, *, wait: bool = True) -> Analyzer:
        """An analyzer on the node's loopback."""
        config = analyzer_toml(self.directory / "analyzer")
        self._analyzer = self._stack.enter_context(Analyzer(self.host, config, wait=wait))
        return self._analyzer

    def close_analyzer(self) -> None:
        """Stop the analyzer cleanly, so that its store can be read."""
        assert self._analyzer.stop() == 0

    def agent(self, config: Path, *, env: dict[str, str] | None = None, wait: bool = True) -> Agent:
        """An agent of that configuration on the node; it is not healthy without a bound."""
        return self._stack.enter_context(Agent(self.host, config, env=env, wait=wait))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
