"""``truechimer agent once`` as tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import count, seconds, text
from truechimer_cli.output import BAD, GOOD, QUIET, UNSURE, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_VERDICTS = {"selected": GOOD, "contested": UNSURE, "falseticker": BAD, "unusable": QUIET}


def tables(document: dict[str, Any]) -> list[RenderableType]:
    """The bound, the servers, and what was sampled."""
    bound = document.get("bound") or {}
    reason = f" ({bound['reason']})" if bound.get("reason") else ""
    columns = ("server", "verdict", "reason", ">offset", ">at least", ">at most", ">delay", ">stratum")
    counted = Counter(sample.get("measurement") for sample in document.get("samples") or [])
    return [
        Text(
            f"{text(document.get('node'))}: UTC − wall from {seconds(bound.get('lower_s'), signed=True)} to "
            f"{seconds(bound.get('upper_s'), signed=True)}, {text(bound.get('status'))}{reason}"
        ),
        "",
        table("Servers", columns, [_server(server) for server in document.get("servers") or []]),
        "",
        table("Samples", ("measurement", ">points"), [[text(name), count(n)] for name, n in counted.items()]),
    ]


def _server(server: dict[str, Any]) -> list[RenderableType]:
    verdict = text(server.get("verdict"))
    return [
        Text(text(server.get("server"))),
        Text(verdict, style=_VERDICTS.get(verdict, "")),
        Text(text(server.get("reason"))),
        seconds(server.get("offset_s"), signed=True),
        seconds(server.get("lower_s"), signed=True),
        seconds(server.get("upper_s"), signed=True),
        seconds(server.get("delay_s")),
        text(server.get("stratum")),
    ]
