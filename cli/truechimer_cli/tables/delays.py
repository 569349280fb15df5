"""``truechimer rtt`` and ``truechimer pauses`` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import count, seconds, text
from truechimer_cli.output import BAD, table
from truechimer_cli.tables.clocks import evidence_value

if TYPE_CHECKING:
    from rich.console import RenderableType

_PERCENTILES = ("min_s", "p50_s", "p90_s", "p99_s", "p999_s", "max_s")


def rtt_tables(document: dict[str, Any]) -> list[RenderableType]:
    """One row a path."""
    columns = ("node", "peer", "via", ">probes", ">lost", ">refused")
    times = (">min", ">p50", ">p90", ">p99", ">p99.9", ">max", ">over")
    return [table("Round trips", (*columns, *times), [_path(path) for path in document.get("paths") or []])]


def pause_tables(document: dict[str, Any]) -> list[RenderableType]:
    """One row a source, then the longest pauses with their causes."""
    sources = document.get("sources") or []
    columns = ("node", "source", ">watched", ">pauses", ">per hour", ">p50", ">p99", ">longest", "causes")
    parts: list[RenderableType] = [table("Pauses", columns, [_source(source) for source in sources])]
    longest = [(source, pause) for source in sources for pause in source.get("longest") or []]
    longest.sort(key=lambda pair: -(pair[1].get("duration_s") or 0.0))
    if longest:
        rows = [_pause(source, pause) for source, pause in longest[:10]]
        heads = ("node", "source", "at", ">duration", "cause", ">sure", "evidence")
        parts += ["", table("The longest", heads, rows)]
    return parts


def _path(path: dict[str, Any]) -> list[RenderableType]:
    lost, refused = path.get("lost"), path.get("refused")
    return [
        Text(text(path.get("node"))),
        Text(text(path.get("peer"))),
        text(path.get("via")),
        count(path.get("count")),
        Text(count(lost), style=BAD if lost else ""),
        Text(count(refused), style=BAD if refused else ""),
        *(seconds(path.get(name)) for name in _PERCENTILES),
        seconds(path.get("span_s")),
    ]


def _source(source: dict[str, Any]) -> list[RenderableType]:
    causes = source.get("causes") or {}
    return [
        Text(text(source.get("node"))),
        Text(text(source.get("source"))),
        seconds(source.get("observed_s")),
        count(source.get("count")),
        count(source.get("per_hour")),
        seconds(source.get("p50_s")),
        seconds(source.get("p99_s")),
        seconds(source.get("max_s")),
        Text(", ".join(f"{number}× {cause}" for cause, number in causes.items())),
    ]


def _pause(source: dict[str, Any], pause: dict[str, Any]) -> list[RenderableType]:
    evidence = pause.get("evidence") or {}
    confidence = pause.get("confidence")
    return [
        Text(text(source.get("node"))),
        Text(text(source.get("source"))),
        text(pause.get("at")),
        seconds(pause.get("duration_s")),
        Text(text(pause.get("cause"))),
        "–" if confidence is None else f"{confidence:.0%}",
        Text(", ".join(f"{name} {evidence_value(name, value)}" for name, value in evidence.items())),
    ]
