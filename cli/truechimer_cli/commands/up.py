"""``truechimer up``: agent and analyzer on this host, under one folder, until Ctrl-C."""

from __future__ import annotations

import queue
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from truechimer.config import AgentConfig, AnalyzerConfig, listen_address, load_agent
from truechimer.config.model import HealthConfig, ServerConfig, SinkConfig, StoreConfig
from truechimer.errors import TruechimerError, UserError
from truechimer.readings import monotonic_s
from truechimer_cli.asking import need_analyzer
from truechimer_cli.overhttp import identify
from truechimer_cli.places import data_dir
from truechimer_cli.upping.children import Child
from truechimer_cli.upping.folder import Folder
from truechimer_cli.upping.ports import need_free
from truechimer_cli.upping.stopping import StopWish
from truechimer_cli.upping.surroundings import probes

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTEN = "127.0.0.1:8723"
_READY_TIMEOUT_S = 20.0
_LOOK_S = 0.25
_LOOPBACK = ("127.", "::1", "localhost")


class DaemonEnded(TruechimerError):  # noqa: N818 - reads as the statement it is
    """A daemon that ``up`` started ended by itself."""


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), help="agent.toml: node, servers, probes and so on."
)
@click.option("--data-dir", "folder", type=click.Path(path_type=Path), help="Where everything is kept.")
@click.option(
    "--listen", default=LISTEN, show_default=True, metavar="HOST:PORT", help="Port 0: any free one."
)
@click.option("--for", "limit_s", type=click.FloatRange(min=0), metavar="SECONDS", help="End by itself.")
@click.option("-v", "--verbose", is_flag=True, help="Show all that agent and analyzer say.")
def up(config: Path | None, folder: Path | None, listen: str, limit_s: float | None, *, verbose: bool) -> int:
    """Measure this host and show it: agent, analyzer and page, until Ctrl-C.

    Needs no root, no configuration and no server. The data stays in the folder for the next time:
    --data-dir, else $TRUECHIMER_DATA_DIR, else $XDG_STATE_HOME/truechimer.

    Example: truechimer up --listen 127.0.0.1:0 --for 60
    """
    need_analyzer()
    host, port = listen_address(listen)
    if not host.startswith(_LOOPBACK):
        raise UserError(
            f"`up` answers on this host only, not at {listen}",
            hint="for others run `truechimer analyzer run` with a tokens_file (docs/configuration.md)",
        )
    agent_config = _agent_config(config, listen)
    place = Folder(data_dir(folder))
    with StopWish(limit_s) as stop:
        place.hold()
        try:
            need_free(host, port)
            return _run(place, agent_config, listen, stop, verbose=verbose)
        finally:
            place.release()


def _run(place: Folder, agent_config: AgentConfig, listen: str, stop: StopWish, *, verbose: bool) -> int:
    """Start both, wait for the wish to stop, stop both."""
    children: list[Child] = []
    try:
        analyzer_config = AnalyzerConfig(
            server=ServerConfig(listen=listen), store=StoreConfig(address=f"embedded:{place.analyzer}")
        )
        children.append(_start("analyzer", place, place.write_analyzer(analyzer_config), verbose=verbose))
        url = _wait_ready(children[0], stop)
        if url is None:
            return 0
        place.tell(url)
        agent_config = replace(
            agent_config,
            state_dir=place.agent,
            runtime_dir=place.run,
            sink=(SinkConfig(kind="influx", url=url),),
        )
        children.insert(0, _start("agent", place, place.write_agent(agent_config), verbose=verbose))
        sys.stdout.write("\n".join(_greeting(url, agent_config, place)) + "\n")
        sys.stdout.flush()
        while not stop.wait(_LOOK_S):
            for child in children:
                _need_alive(child)
        return 0
    finally:
        # The agent first: what it still has goes to the analyzer.
        for child in children:
            if not child.stop():
                sys.stderr.write(f"truechimer: the {child.name} did not end when asked and was killed\n")


def _agent_config(config: Path | None, listen: str) -> AgentConfig:
    """The agent's part: the file's, else this host's surroundings as probes."""
    loaded = load_agent(config)
    for warning in loaded.warnings:
        sys.stderr.write(f"truechimer: warning: {warning}\n")
    chosen = loaded.config
    if not chosen.probe:
        chosen = replace(chosen, probe=probes())
    if chosen.health == HealthConfig() and listen != LISTEN:
        # A second `up` beside the first must not fight for the agent's port.
        chosen = replace(chosen, health=HealthConfig(listen="127.0.0.1:0"))
    return chosen


def _start(name: str, place: Folder, config: Path, *, verbose: bool) -> Child:
    words = ["-m", f"truechimer_{name}", "run", "--config", str(config)]
    return Child(name, [*words, "-v"] if verbose else words, place.logs / f"{name}.log", verbose=verbose)


def _wait_ready(analyzer: Child, stop: StopWish) -> str | None:
    """The analyzer's address once it answers; None when stopping was wished first."""
    until_s = monotonic_s() + _READY_TIMEOUT_S
    url: str | None = None
    while not stop.wait(0.05):
        _need_alive(analyzer)
        url = url or _announced(analyzer)
        if url is not None and identify(url):
            return url
        if monotonic_s() > until_s:
            raise DaemonEnded(
                f"the analyzer did not answer within {_READY_TIMEOUT_S:.0f} s",
                hint=f"its log is {analyzer.log}",
            )
    return None


def _announced(analyzer: Child) -> str | None:
    """The address of its line ``listening http://HOST:PORT``, when it has printed one."""
    while True:
        try:
            line = analyzer.lines.get_nowait()
        except queue.Empty:
            return None
        word, _, url = line.partition(" ")
        if word == "listening" and url.startswith("http"):
            return url.strip()


def _need_alive(child: Child) -> None:
    code = child.exit_code
    if code is None:
        return
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    said = child.last_lines()
    raise DaemonEnded(
        f"the {child.name} {how}; its log is {child.log}" + (f". It said last:\n{said}" if said else "")
    )


def _greeting(url: str, config: AgentConfig, place: Folder) -> Iterator[str]:
    """The address, and what is measured."""
    from truechimer_agent.ntp import plan

    servers = plan.make(config.ntp)
    named = ", ".join(server.name for server in servers.servers) or "none"
    yield f"truechimer: page and answers at {url}"
    yield f"  host     {config.node} (cluster {config.cluster})"
    yield f"  clock    against {named} ({servers.origin})"
    yield f"  pauses   every {config.pauses.interval_ms:g} ms, those above {config.pauses.threshold_ms:g} ms"
    said = ", ".join(f"{probe.name or probe.target} ({probe.kind})" for probe in config.probe)
    yield f"  delays   {said or 'nobody: no gateway and no resolver found; name targets in a --config'}"
    yield f"  data     {place.path}"
    yield "Ask `truechimer clocks`, `rtt`, `pauses`, `timeouts` or `now`. Ctrl-C ends it; the data stays."
