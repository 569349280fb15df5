"""``truechimer wait``: sleep until a time is certainly past (Spanner's commit wait)."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import click

from truechimer.clock import Clock, NoBound, StillAhead
from truechimer.errors import UserError
from truechimer.readings import NS, mono_ns
from truechimer_cli.amounts import iso, seconds
from truechimer_cli.commands.now import refused
from truechimer_cli.main import as_sentences
from truechimer_cli.output import write_json
from truechimer_cli.places import segment_path

_NUMBER = re.compile(r"\d+(\.\d+)?")
_FRACTION = re.compile(r"[.,](\d+)")
_DIGITS_OF_NS = 18
_LATEST_S = 9_000_000_000


@click.command()
@click.option("--until", metavar="TIME", help="ISO 8601 (UTC unless it says otherwise), Unix seconds or ns.")
@click.option(
    "--past", type=click.Choice(["now"]), help="Wait for the latest that it can be at this moment (default)."
)
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Give up after this long.")
@click.option("--config", type=click.Path(path_type=Path), help="agent.toml of the agent to ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def wait(
    until: str | None, past: str | None, timeout: float | None, config: Path | None, *, as_json: bool
) -> int:
    """Sleep until a time is certainly past on this host: a commit wait.

    Once it returns, no host whose bound holds can take that time for the future. The wait goes by the steady
    clock: setting the wall clock meanwhile changes nothing. Exit code 3 when there is no trustworthy bound or
    it is lost on the way, 4 when --timeout ends the wait.

    Example: truechimer wait --past now --timeout 1
    """
    if until is not None and past is not None:
        raise UserError("--until and --past exclude each other")
    until_ns = None if until is None else unix_ns(until)
    clock = Clock(segment_path(config))
    began_ns = mono_ns()
    try:
        if until_ns is None:
            until_ns = clock.now().latest_ns
        found = clock.wait_until_past(until_ns, timeout_s=timeout)
    except NoBound as error:
        return refused(error, as_json=as_json, more=_waited(until_ns, began_ns))
    except StillAhead as error:
        if as_json:
            write_json({**_waited(until_ns, began_ns), "error": str(error), "hint": error.hint})
        sys.stderr.write(f"truechimer: {as_sentences(str(error), error.hint)}\n")
        return error.exit_code
    waited = _waited(until_ns, began_ns)
    if as_json:
        write_json(
            {
                **waited,
                "earliest": iso(found.earliest_ns),
                "latest": iso(found.latest_ns),
                "status": found.status.name.lower(),
                "as_of_age_s": found.as_of_age_s,
                "reason": found.reason.name.lower() if found.reason else None,
            }
        )
    else:
        sys.stdout.write(
            f"past      {waited['until']}\n"
            f"earliest  {iso(found.earliest_ns)}\n"
            f"waited    {seconds((mono_ns() - began_ns) / NS)}\n"
        )
    return 0


def unix_ns(text: str) -> int:
    """ISO 8601, Unix seconds or Unix ns to Unix ns, rounded up; UserError otherwise."""
    text = text.strip()
    try:
        if _NUMBER.fullmatch(text):
            number = Decimal(text)
            if len(text) < _DIGITS_OF_NS or "." in text:
                number *= NS
            found = int(number.to_integral_value(ROUND_CEILING))
        else:
            # Python's own parser knows no ns: the fraction is taken out and added again.
            fraction = _FRACTION.search(text)
            moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            found = round(moment.timestamp()) * NS
            if fraction is not None:
                part = Decimal(f"0.{fraction[1]}") * NS
                found += int(part.to_integral_value(ROUND_CEILING))
    except (ValueError, OverflowError):
        found = -1
    if not 0 <= found <= _LATEST_S * NS:
        raise UserError(
            f"--until {text!r} is no time",
            hint="write ISO 8601 like 2026-11-22T20:00:00.000123456Z, or seconds since 1970 like 1795377600",
        )
    return found


def _waited(until_ns: int | None, began_ns: int) -> dict[str, object]:
    return {
        "until": None if until_ns is None else iso(until_ns),
        "waited_s": (mono_ns() - began_ns) / NS,
    }
