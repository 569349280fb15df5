"""``truechimer now``: this host's interval of true time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from truechimer.clock import Clock, NoBound, WallError
from truechimer.readings import NS, wall_ns
from truechimer_cli.amounts import iso, seconds
from truechimer_cli.main import as_sentences
from truechimer_cli.output import write_json
from truechimer_cli.places import segment_path


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="agent.toml of the agent to ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def now(config: Path | None, *, as_json: bool) -> int:
    """This host's interval of true time, as its agent publishes it.

    UTC is certainly between `earliest` and `latest` under the assumptions that docs/segment.md states;
    lower and upper bound UTC - wall. Exit code 3 when there is no trustworthy bound.

    Example: truechimer now --json
    """
    segment = segment_path(config)
    try:
        found = Clock(segment).error_of_wall()
    except NoBound as error:
        return refused(error, as_json=as_json)
    if as_json:
        write_json(document(found))
        return 0
    interval = found.interval
    sys.stdout.write(
        f"earliest  {iso(interval.earliest_ns)}\n"
        f"latest    {iso(interval.latest_ns)}   ({seconds(interval.width_ns / NS)} wide)\n"
        f"wall      {iso(found.wall_ns)}   UTC − wall is "
        f"{seconds(found.lower_ns / NS, signed=True)} to {seconds(found.upper_ns / NS, signed=True)}\n"
        f"status    {interval.status.name.lower()}{_why(interval.reason.name.lower())}, "
        f"as of {seconds(interval.as_of_age_s)} ago\n"
    )
    return 0


def document(found: WallError) -> dict[str, Any]:
    """The contract's document of a bound."""
    interval = found.interval
    return {
        "earliest": iso(interval.earliest_ns),
        "latest": iso(interval.latest_ns),
        "wall": iso(found.wall_ns),
        "lower_s": found.lower_ns / NS,
        "upper_s": found.upper_ns / NS,
        "status": interval.status.name.lower(),
        "as_of_age_s": interval.as_of_age_s,
        "reason": interval.reason.name.lower() if interval.reason else None,
    }


def refused(error: NoBound, *, as_json: bool, more: dict[str, Any] | None = None) -> int:
    """Print why there is no bound, in the contract's document or as text; the exit code."""
    wall = iso(wall_ns())
    if as_json:
        unknown = dict.fromkeys(("earliest", "latest", "lower_s", "upper_s", "as_of_age_s"))
        write_json(
            {**unknown, "wall": wall, "status": error.status, "reason": error.reason}
            | (more or {})
            | {"error": str(error), "hint": error.hint}
        )
    else:
        sys.stdout.write(f"wall      {wall}\nstatus    {error.status} ({error.reason})\n")
    sys.stderr.write(f"truechimer: {as_sentences(str(error), error.hint)}\n")
    return error.exit_code


def _why(reason: str) -> str:
    return "" if reason == "none" else f" ({reason})"
