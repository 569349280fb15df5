"""``truechimer doctor``: what works on this host, what does not, and how to fix it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from truechimer.config import AgentConfig, listen_address, load_agent
from truechimer.config.model import HealthConfig, ServerConfig
from truechimer_cli.amounts import UNKNOWN
from truechimer_cli.doctor import host, installation, mesh
from truechimer_cli.output import BAD, GOOD, show, table, write_json
from truechimer_cli.places import data_dir, runtime_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from truechimer_cli.doctor.check import Check


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="agent.toml of the agent that is meant.")
@click.option("--network", is_flag=True, help="Also ask the NTP servers.")
@click.option("--json", "as_json", is_flag=True, help='{"checks": [{"check", "ok", "why", "fix"}]}')
@click.option("--check", is_flag=True, help="Exit code 1 when something is not ok.")
def doctor(config: Path | None, *, network: bool, as_json: bool, check: bool) -> int:
    """What works on this host, why it matters, and what to do about what does not.

    Changes nothing, and sends nothing beyond this host unless --network is given.

    Example: truechimer doctor --network
    """
    checks = [look() for look in _looks(config, network=network)]
    if as_json:
        write_json({"checks": [asdict(found) for found in checks]})
    else:
        columns = ("check", "works", "why", "fix")
        show(table("This host", columns, [_row(found) for found in checks]))
    return 1 if check and not all(found.ok for found in checks) else 0


def _looks(config: Path | None, *, network: bool) -> Iterator[Callable[[], Check]]:
    """The checks in their order, each to be called."""
    agent = load_agent(config).config if config is not None else AgentConfig(state_dir=data_dir())
    runtime = runtime_dir(config)
    health = listen_address((agent.health or HealthConfig()).listen)
    yield installation.python
    yield installation.extras
    yield host.kernel_timestamps
    yield host.steady_clock
    yield host.clocksource
    yield host.pressure
    yield host.schedstat
    yield host.adjtimex
    yield host.icmp
    yield host.time_daemon
    yield host.vm_restores
    yield lambda: installation.folder("state_dir", agent.state_dir)
    yield lambda: installation.folder("runtime_dir", runtime)
    analyzer_at = listen_address(ServerConfig().listen)
    yield lambda: installation.port("analyzer_port", *analyzer_at, "truechimer-analyzer")
    yield lambda: installation.port("agent_port", *health, "truechimer-agent")
    if agent.mesh is not None:
        listen, key_file = agent.mesh.listen, agent.mesh.key_file
        yield lambda: mesh.port(listen)
        yield lambda: mesh.key(key_file)
    yield lambda: installation.agent(runtime)
    if network:
        yield lambda: installation.servers(config)


def _row(found: Check) -> list[str | Text]:
    works = Text("yes", style=GOOD) if found.ok else Text("no", style=BAD)
    return [found.check, works, Text(found.why), Text(found.fix or UNKNOWN)]
