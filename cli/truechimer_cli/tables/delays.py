"""``truechimer rtt`` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import count, seconds, text
from truechimer_cli.output import BAD, QUIET, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_PERCENTILES = ("p50_s", "p90_s", "p99_s", "p999_s", "max_s")
_WAYS = ("lost_forward", "lost_backward", "lost_undetermined", "lost_unknown")


def rtt_tables(document: dict[str, Any]) -> list[RenderableType]:
    """One row a path; where they are told, its losses by direction; where they were asked for, its hours."""
    paths = document.get("paths") or []
    refusing = any(path.get("refused") for path in paths)
    columns = ("node", "peer", "via", ">probes", ">lost", *((">refused",) if refusing else ()))
    times = (">p50", ">p90", ">p99", ">p99.9", ">max", ">over")
    rows = [_path(path, refusing=refusing) for path in paths]
    parts: list[RenderableType] = [table("Round trips", (*columns, *times), rows)]
    told = [path for path in paths if any(path.get(name) is not None for name in _WAYS)]
    if told:
        ways = (">sent", ">there", ">back", ">undetermined", ">unknown", ">reordered", ">at most")
        rows = [_ways(path) for path in told]
        parts += ["", table("Lost by direction", ("node", "peer", "via", *ways), rows)]
    hours = [(path, hour) for path in paths for hour in path.get("hours") or []]
    if hours:
        heads = ("node", "peer", "via", "from (UTC)", ">probes", ">lost", ">there", ">back")
        rows = [_hour(path, hour) for path, hour in hours]
        parts += ["", table("By hour", (*heads, ">p50", ">p99", ">max"), rows)]
    if any(path.get("via") == "kernel" for path in paths):
        parts += ["", Text("kernel: smoothed estimates of real connections, no probes", style=QUIET)]
    return parts


def _path(path: dict[str, Any], *, refusing: bool) -> list[RenderableType]:
    return [
        *_name(path),
        _via(path),
        count(path.get("count")),
        _bad(path.get("lost")),
        *((_bad(path.get("refused")),) if refusing else ()),
        *(seconds(path.get(name)) for name in _PERCENTILES),
        seconds(path.get("span_s")),
    ]


def _ways(path: dict[str, Any]) -> list[RenderableType]:
    limit = path.get("loss_upper")
    return [
        *_name(path),
        _via(path),
        count(path.get("sent")),
        *(_bad(path.get(name)) for name in _WAYS),
        count(path.get("reordered")),
        "–" if limit is None else f"{100 * limit:.2g} %",
    ]


def _hour(path: dict[str, Any], hour: dict[str, Any]) -> list[RenderableType]:
    return [
        *_name(path),
        _via(path),
        text(hour.get("from"))[5:13].replace("T", " ") + "h",
        count(hour.get("count")),
        *(_bad(hour.get(name)) for name in ("lost", "lost_forward", "lost_backward")),
        *(seconds(hour.get(name)) for name in ("p50_s", "p99_s", "max_s")),
    ]


def _name(path: dict[str, Any]) -> tuple[Text, Text]:
    return Text(text(path.get("node"))), Text(text(path.get("peer")))


def _via(path: dict[str, Any]) -> Text:
    """How it was measured, and the DSCP class of probes that are not of the usual one."""
    dscp = path.get("dscp")
    return Text(f"{text(path.get('via'))}/{dscp}" if dscp else text(path.get("via")))


def _bad(number: float | None) -> Text:
    return Text(count(number), style=BAD if number else "")
