"""Advice for products as Markdown: the verdict, settings with their reasons, rules, forecasts, the snippet.

What an entry lacks is shown as –, what it has besides is left alone: products grow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.report.blocks import escaped, fenced, listed, table
from truechimer_analyzer.report.figures import UNKNOWN, length

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Document = dict[str, Any]
_VERDICTS = {
    "tune": "Change these settings",
    "keep": "Keep the settings",
    "fix_first": "Don't tune: fix what binds first",
    "insufficient_data": "Too little was measured",
}


def section(products: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The blocks of the ``products`` of a document of ``timeouts``."""
    for product in products:
        yield from _product(product)


def _product(product: Mapping[str, Any]) -> Iterator[str]:
    verdict = product.get("verdict")
    name = product.get("title") or product.get("product")
    version = f" {_text(product['version'])}" if product.get("version") else ""
    yield f"### {_text(name)}{version}"
    said = _text(_VERDICTS.get(str(verdict), verdict))
    yield f"**{said}.** What binds: {_text(product.get('binding'))}."
    doubts = [f"**Fix**: {_text(product['fix'])}"] if product.get("fix") else []
    doubts += [f"Missing: {_text(each)}" for each in product.get("missing") or []]
    yield listed(doubts)
    settings = product.get("settings") or []
    if settings:
        heads = ("setting", "default", "current", "advised", "reason")
        yield table(heads, [_setting(each) for each in settings])
    yield from _predicted(product.get("predicted") or {})
    rules = product.get("constraints") or []
    if rules:
        yield "Rules:"
        yield table(("rule", "current", "advised", "otherwise"), [_rule(each) for each in rules])
    figures = product.get("figures") or []
    if figures:
        yield "What that amounts to:"
        yield table(("figure", "current", "advised"), [_figure(each) for each in figures])
    yield listed(_clamp(each) for each in product.get("clamps") or [])
    if product.get("notes"):
        yield _text(product["notes"])
    if product.get("snippet"):
        yield f"For {_text(product['snippet_file'])}:" if product.get("snippet_file") else "To paste:"
        yield fenced(str(product["snippet"]))


def _setting(each: Document) -> tuple[str, ...]:
    advised = _value(each, each.get("advised"))
    changed = each.get("advised") is not None and each.get("advised") != each.get("current")
    return (
        _text(each.get("setting")),
        _value(each, each.get("default")),
        _value(each, each.get("current")),
        f"**{advised}**" if changed else advised,
        _text(each.get("reason")),
    )


def _predicted(predicted: Document) -> Iterator[str]:
    rows = []
    for which in ("current", "advised"):
        forecast = predicted.get(which) or {}
        parts = forecast.get("failover") or {}
        told = [
            _number(forecast.get("false_per_month")),
            length(_figure_of(parts.get("detect"), "max")),
            length(_figure_of(forecast, "failover_s")),
            length(_figure_of(parts.get("total"), "max")),
        ]
        if any(cell != UNKNOWN for cell in told):
            rows.append((which, *told))
    if rows:
        yield "Predicted:"
        yield table(
            ("settings", "false a month (95 %)", "noticed within", "failover", "failover at worst"), rows
        )


def _rule(each: Document) -> tuple[str, ...]:
    states = (
        f"**{state}**" if state == "violated" else state
        for state in (_text(each.get(which)) for which in ("current", "advised"))
    )
    return (_text(each.get("rule")), *states, _text(each.get("message")))


def _figure(each: Document) -> tuple[str, ...]:
    show = length if each.get("unit") == "s" else _number
    return (_text(each.get("figure")), *(show(_figure_of(each, which)) for which in ("current", "advised")))


def _clamp(each: Document) -> str:
    """What the product rewrites without a word."""
    changes = [
        f"{which} {_value(each, change.get('given'))} becomes {_value(each, change.get('becomes'))}"
        for which in ("current", "advised")
        if (change := each.get(which))
    ]
    rewritten = f"Rewritten without a word: {_text(each.get('setting'))}: {', '.join(changes)}"
    return f"{rewritten}: {_text(each.get('message'))}"


def _figure_of(of: Any, name: str) -> float | None:  # noqa: ANN401 - a document's part
    found = of.get(name) if isinstance(of, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _value(each: Document, value: object) -> str:
    """A setting's value in its unit; on and off as products say them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        unit = f" {_text(each['unit'])}" if each.get("unit") else ""
        return f"{value:.10g}{unit}"
    return _text(value)


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else _text(value)


def _text(text: object) -> str:
    return UNKNOWN if text is None or text == "" else escaped(text)
