"""``truechimer timeouts`` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import count, seconds, text
from truechimer_cli.output import UNSURE, table
from truechimer_cli.tables.products import product_tables

if TYPE_CHECKING:
    from rich.console import RenderableType


def tables(document: dict[str, Any]) -> list[RenderableType]:
    """The evidence in a line, the uses, then the products that were asked for or else the frontier."""
    evidence = document.get("evidence") or {}
    columns = ("use", ">timeout", ">false a month", ">at most (95 %)", ">noticed after", "bound by", "basis")
    uses = document.get("uses") or []
    parts: list[RenderableType] = []
    if uses:
        parts += [Text(_evidence(evidence)), "", table("Timeouts", columns, [_use(use) for use in uses])]
    parts += [Text(_refusal(use), style=UNSURE) for use in uses if use.get("refused")]
    shifts = [(use, (use.get("by_time") or {}).get("shift")) for use in uses]
    parts += [Text(_shift(use, shift), style=UNSURE) for use, shift in shifts if shift]
    if document.get("products"):
        return [*parts, *product_tables(document)]
    frontier = document.get("frontier") or []
    if frontier:
        heads = (">timeout", ">false a month", ">at most (95 %)", ">noticed after")
        parts += ["", table("What each timeout would cost", heads, [_point(point) for point in frontier])]
    return parts


def _evidence(evidence: dict[str, Any]) -> str:
    return (
        f"Evidence: {count(evidence.get('samples'))} samples on {count(evidence.get('paths'))} paths over "
        f"{seconds(evidence.get('span_s'))}, {count(evidence.get('lost'))} lost, "
        f"{count(evidence.get('n_eff'))} effective, {count(evidence.get('rate_hz'))} a second; "
        f"longest round trip {seconds(evidence.get('max_rtt_s'))}, "
        f"longest pause {seconds(evidence.get('max_pause_s'))}"
    )


def _use(use: dict[str, Any]) -> list[RenderableType]:
    false = use.get("false_per_month") or {}
    detection = use.get("detection_s") or {}
    timeout = use.get("timeout_s")
    return [
        Text(text(use.get("use"))),
        Text("refused", style=UNSURE) if timeout is None else seconds(timeout),
        count(false.get("estimate")),
        count(false.get("upper")),
        seconds(detection.get("mean")),
        Text(text(use.get("binding"))),
        text(use.get("basis")),
    ]


def _refusal(use: dict[str, Any]) -> str:
    refused, strictest = use["refused"], use.get("strictest_supported") or {}
    said = f"{use.get('use')}: {text(refused.get('reason'))}"
    if refused.get("needed_s") is not None and "needs" not in said:
        said += f"; measure for {seconds(refused['needed_s'])} more"
    if strictest.get("timeout_s") is not None:
        said += (
            f"; the strictest that the evidence supports is {seconds(strictest['timeout_s'])} "
            f"at up to {count(strictest.get('false_per_month'))} false alarms a month"
        )
    return said


def _shift(use: dict[str, Any], shift: dict[str, Any]) -> str:
    return (
        f"{use.get('use')}: from {text(shift.get('from'))} to {text(shift.get('to'))} it was exceeded "
        f"{count(shift.get('seen'))} times in {count(shift.get('operations'))}, more often than the bound "
        "over the whole window, which does not hold for such a time"
    )


def _point(point: dict[str, Any]) -> list[RenderableType]:
    return [
        seconds(point.get("timeout_s")),
        count(point.get("false_per_month")),
        count(point.get("upper")),
        seconds(point.get("detection_s")),
    ]
