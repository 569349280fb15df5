"""Advice for products as tables: settings with their reasons, rules, what is rewritten, the snippet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import UNKNOWN, count, seconds, text
from truechimer_cli.output import BAD, GOOD, QUIET, UNSURE, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_VERDICTS = {
    "tune": ("change these settings", UNSURE),
    "keep": ("keep the settings", GOOD),
    "fix_first": ("don't tune, fix this first", BAD),
    "insufficient_data": ("too little was measured", UNSURE),
}
_STATES = {"holds": GOOD, "violated": BAD, "unknown": UNSURE}


def product_tables(document: dict[str, Any]) -> list[RenderableType]:
    """Every product of an answer, one after the other."""
    parts: list[RenderableType] = []
    for product in document.get("products") or []:
        parts += ["", *_product(product)]
    return parts


def _product(product: dict[str, Any]) -> list[RenderableType]:
    said, style = _VERDICTS.get(str(product.get("verdict")), (text(product.get("verdict")), UNSURE))
    name = f"{text(product.get('title'))} {text(product.get('version'))}"
    columns = ("setting", ">default", ">current", ">advised", "reason")
    settings = [_setting(each) for each in product.get("settings") or []]
    parts: list[RenderableType] = [
        Text.assemble((f"{name}: ", "bold"), (said, style)),
        *_unchecked(product),
        *(Text(f"Fix: {each}", style=BAD) for each in [product.get("fix")] if each),
        *(Text(f"Missing: {each}", style=UNSURE) for each in product.get("missing") or []),
        table("Settings", columns, settings),
        *_predicted(product),
    ]
    rules = product.get("constraints") or []
    if rules:
        parts.append(
            table("Rules", ("rule", "current", "advised", "otherwise"), [_rule(each) for each in rules])
        )
    figures = [_figure(each) for each in product.get("figures") or []]
    if figures:
        parts.append(table("What it amounts to", ("", ">current", ">advised"), figures))
    parts += [Text(_clamp(each), style=UNSURE) for each in product.get("clamps") or []]
    if product.get("binding"):
        parts.append(Text(f"What binds: {product['binding']}"))
    if product.get("notes"):
        parts.append(Text(str(product["notes"]), style=QUIET))
    if product.get("snippet"):
        parts += [Text(f"For {text(product.get('snippet_file'))}:"), Text(str(product["snippet"]).rstrip())]
    return parts


def _unchecked(product: dict[str, Any]) -> list[RenderableType]:
    if product.get("checked", True):
        return []
    known = ", ".join(product.get("versions_checked") or [])
    return [Text(f"Nobody checked these figures for this version, but for {known}", style=UNSURE)]


def _setting(each: dict[str, Any]) -> list[RenderableType]:
    current, advised = _value(each, "current"), _value(each, "advised")
    changed = each.get("advised") is not None and each.get("advised") != each.get("current")
    return [
        Text(text(each.get("setting"))),
        _value(each, "default"),
        current if each.get("given") else Text(current, style=QUIET),
        Text(advised, style="bold" if changed else ""),
        Text(text(each.get("reason"))),
    ]


def _value(each: dict[str, Any], key: str) -> str:
    value = each.get(key)
    if value is None:
        return UNKNOWN
    number = f"{value:.10g}"
    return f"{number} {each['unit']}" if each.get("unit") else number


def _figure(each: dict[str, Any]) -> list[RenderableType]:
    shown = seconds if each.get("unit") == "s" else count
    return [Text(text(each.get("figure"))), shown(each.get("current")), shown(each.get("advised"))]


def _rule(each: dict[str, Any]) -> list[RenderableType]:
    return [
        Text(text(each.get("rule"))),
        *(
            Text(text(each.get(key)), style=_STATES.get(str(each.get(key)), ""))
            for key in ("current", "advised")
        ),
        Text(text(each.get("message"))),
    ]


def _predicted(product: dict[str, Any]) -> list[RenderableType]:
    predicted = product.get("predicted") or {}
    rows = [
        _forecast(label, each)
        for label, each in (("current", predicted.get("current")), ("advised", predicted.get("advised")))
        if each
    ]
    if all(cell == UNKNOWN for row in rows for cell in row[1:]):
        return []
    columns = ("", ">false a month (95 %)", ">noticed within", ">failover", ">at worst")
    return [table("Predicted", columns, rows)]


def _forecast(label: str, each: dict[str, Any]) -> list[RenderableType]:
    parts = each.get("failover") or {}
    return [
        label,
        count(each.get("false_per_month")),
        seconds((parts.get("detect") or {}).get("max")),
        seconds(each.get("failover_s")),
        seconds((parts.get("total") or {}).get("max")),
    ]


def _clamp(each: dict[str, Any]) -> str:
    unit = f" {each['unit']}" if each.get("unit") else ""
    said = [
        f"{label} {change['given']:g}{unit} becomes {change['becomes']:g}{unit}"
        for label in ("current", "advised")
        if (change := each.get(label))
    ]
    changes, why = ", ".join(said), text(each.get("message"))
    return f"Rewritten without a word: {text(each.get('setting'))}: {changes}: {why}"
