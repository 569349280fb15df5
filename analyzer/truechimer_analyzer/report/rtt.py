"""Round trips as Markdown: a row for each path, and their curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.report.blocks import escaped, table
from truechimer_analyzer.report.figures import count, length
from truechimer_analyzer.report.plots import Line, percentiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from truechimer_analyzer.report.blocks import Block

Document = dict[str, Any]


def section(rtt: Mapping[str, Any]) -> Iterator[Block]:
    """The blocks of the document of ``rtt``; with its curves, where it has them."""
    if not rtt["paths"]:
        yield "No probes in this window."
        return
    yield table(
        ("path", "via", "probes", "lost", "refused", "p50", "p99", "p99.9", "longest"),
        [
            (
                f"{escaped(path['node'])} → {escaped(path['peer'])}",
                escaped(path["via"]),
                str(path["count"]),
                str(path["lost"]),
                str(path["refused"]),
                *(length(path[name]) for name in ("p50_s", "p99_s", "p999_s", "max_s")),
            )
            for path in rtt["paths"]
        ],
    )
    yield "– stands for a percentile that too few replies support. Lost probes are in no percentile."
    plot = percentiles(
        [line for path in rtt["paths"] if (line := _line(path))],
        "rtt",
        "round trip",
        "Round trips of each path by percentile. Lost probes are in no percentile.",
        "paths",
    )
    if plot:
        yield plot


def _line(path: Document) -> Line | None:
    if not path.get("curve"):
        return None
    name = f"{path['node']} → {path['peer']}, {path['via']}"
    if path["dscp"]:
        name += f", DSCP {path['dscp']}"
    return Line(
        f"{name}: {count(path['replies'], 'reply', 'replies')}, {path['lost']} lost",
        tuple((point["exceedance"], point["rtt_s"]) for point in path["curve"]),
        path["replies"],
    )
