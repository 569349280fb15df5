"""``truechimer agent run|once`` and ``truechimer analyzer run``: the daemons as they are, by exec."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from truechimer.errors import PeerError, UserError
from truechimer_cli.asking import need_analyzer
from truechimer_cli.output import show, write_json
from truechimer_cli.places import AGENT_CONFIG, ANALYZER_CONFIG

_CONFIG = click.Path(path_type=Path)


@click.group()
def agent() -> None:
    """The daemon that measures one host."""


@agent.command("run")
@click.option("--config", type=_CONFIG, help=f"agent.toml. [default: {AGENT_CONFIG}]")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def agent_run(config: Path | None, *, verbose: bool) -> None:
    """Measure and ship until SIGTERM. Needs a [[sink]] in its configuration.

    Example: truechimer agent run --config /etc/truechimer/agent.toml
    """
    _become("truechimer_agent", _needed(config, AGENT_CONFIG), verbose=verbose)


@agent.command("once")
@click.option("--config", type=_CONFIG, help=f"agent.toml. [default: {AGENT_CONFIG} if it exists]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document: samples, bound, servers.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def agent_once(config: Path | None, *, as_json: bool, verbose: bool) -> int:
    """Run every collector once and print what it found; stores and ships nothing.

    Example: truechimer agent once --json
    """
    if config is None and AGENT_CONFIG.exists():
        config = AGENT_CONFIG
    words = [sys.executable, "-m", "truechimer_agent", "once", "--json"]
    words += ["--config", str(config)] if config is not None else []
    words += ["-v"] if verbose else []
    done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    try:
        document: dict[str, Any] | None = json.loads(done.stdout)
    except ValueError:
        document = None
    if done.returncode != 0:
        if as_json:
            write_json(document or {"error": "the agent could not run", "hint": "its message is on stderr"})
        return done.returncode if done.returncode > 0 else 1
    if document is None:
        raise PeerError("running the agent once: it printed no JSON", hint="its messages are above")
    if as_json:
        write_json(document)
        return 0
    from truechimer_cli.tables.once import tables

    show(*tables(document))
    return 0


@click.group()
def analyzer() -> None:
    """The daemon that stores, judges and shows."""


@analyzer.command("run")
@click.option("--config", type=_CONFIG, help=f"analyzer.toml. [default: {ANALYZER_CONFIG}]")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def analyzer_run(config: Path | None, *, verbose: bool) -> None:
    """Store, judge and show until SIGTERM.

    Example: truechimer analyzer run --config /etc/truechimer/analyzer.toml
    """
    need_analyzer()
    _become("truechimer_analyzer", _needed(config, ANALYZER_CONFIG), verbose=verbose)


def _needed(config: Path | None, default: Path) -> Path:
    if config is not None:
        return config
    if default.exists():
        return default
    raise UserError(
        f"no configuration: {default} does not exist",
        hint="name one with --config; `truechimer up` needs none",
    )


def _become(module: str, config: Path, *, verbose: bool) -> NoReturn:
    """This process becomes the daemon, so that signals go straight to it."""
    words = [sys.executable, "-m", module, "run", "--config", str(config)]
    words = [*words, "-v"] if verbose else words
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, words)  # noqa: S606 - the same interpreter, arguments of our own
