"""``truechimer config check|show``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from truechimer.config import AgentConfig, Loaded, load_agent, parse_agent, parse_analyzer, to_toml
from truechimer.config.loading import ROOTS, document_of, kind_of, read_text
from truechimer.errors import ConfigError
from truechimer_cli.output import write_json

if TYPE_CHECKING:
    from truechimer.config.loading import Kind

_KIND = click.Choice(list(ROOTS))


@click.group()
def config() -> None:
    """Check a configuration file; show the effective one."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kind", type=_KIND, help="Which file it is; else its keys tell.")
@click.option("--json", "as_json", is_flag=True, help='{"ok", "kind", "warnings"}')
def check(file: Path, kind: Kind | None, *, as_json: bool) -> None:
    """Validate FILE; every problem is named at once. Exit code 2 when there is one.

    Example: truechimer config check /etc/truechimer/agent.toml
    """
    kind, loaded = _load(file, kind)
    if as_json:
        write_json({"ok": True, "kind": kind, "warnings": list(loaded.warnings)})
        return
    for warning in loaded.warnings:
        sys.stderr.write(f"truechimer: warning: {warning}\n")
    if isinstance(loaded.config, AgentConfig) and not loaded.config.sink:
        sys.stderr.write("truechimer: note: it has no [[sink]], which `truechimer agent run` needs\n")
    sys.stdout.write(f"{file}: fine ({kind}.toml)\n")


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--kind", type=_KIND, help="Which file it is; else its keys tell (agent without a file).")
def show(file: Path | None, kind: Kind | None) -> None:
    """Print the effective configuration as TOML, defaults included; without FILE the defaults.

    Secrets are not in it: only the paths of the files that hold them.

    Example: truechimer config show --kind analyzer
    """
    if file is not None:
        _, loaded = _load(file, kind)
    elif kind == "analyzer":
        loaded = parse_analyzer("")
    else:
        loaded = load_agent()
        loaded = replace(loaded, warnings=())
    for warning in loaded.warnings:
        sys.stderr.write(f"truechimer: warning: {warning}\n")
    sys.stdout.write(to_toml(loaded.config))


def _load(file: Path, kind: Kind | None) -> tuple[Kind, Loaded[Any]]:
    text = read_text(file)
    found = kind if kind is not None else kind_of(document_of(text, file.name))
    try:
        loaded = (parse_agent if found == "agent" else parse_analyzer)(text, source=file.name)
    except ConfigError as error:
        if kind is None and file.stem in ROOTS and file.stem != found:
            raise ConfigError(
                str(error), hint=f"it was read as {found}.toml: name the other with --kind"
            ) from error
        raise
    return found, loaded
