"""Advice as the contract's ``products``, with the snippet to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.advice.present import in_unit
from truechimer_analyzer.advice.schema import PLACEHOLDER
from truechimer_analyzer.advice.values import write_value

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from truechimer_analyzer.advice.bounding import Choice
    from truechimer_analyzer.advice.engine import Advice
    from truechimer_analyzer.advice.present import Rewritten
    from truechimer_analyzer.advice.schema import Product

NO_ADVICE = {"fix_first", "insufficient_data"}


def describe(advice: Advice) -> dict[str, Any]:
    """One entry of ``products``. Values of settings are in their unit, everything else in seconds."""
    product = advice.product
    usable = advice.verdict not in NO_ADVICE
    return {
        "product": product.product,
        "title": product.title,
        "version": product.version,
        "versions_checked": list(product.versions),
        "checked": product.checked,
        "verdict": advice.verdict,
        "settings": [_setting(each, advice) for each in advice.choices],
        "constraints": [
            {
                "rule": each.rule,
                "current": each.current,
                "advised": each.advised,
                "message": each.message,
                "source": each.source,
            }
            for each in advice.constraints
        ],
        "clamps": _clamps(advice),
        "figures": [
            {
                "figure": each.figure.name,
                "unit": each.figure.unit or None,
                "current": each.current,
                "advised": each.advised,
                "source": each.figure.source,
            }
            for each in advice.figures
        ],
        "snippet": snippet(product, advice.values) if usable else None,
        "snippet_format": product.snippet.format,
        "snippet_file": product.snippet.file,
        "predicted": {
            "current": advice.current.document(),
            "advised": None if advice.advised is None else advice.advised.document(),
        },
        "binding": advice.binding,
        "fix": _fix(advice),
        "missing": list(advice.missing),
        "notes": product.notes or None,
    }


def snippet(product: Product, values: Mapping[str, float | None]) -> str:
    """The product's snippet with ``values`` (seconds or plain); lines of unset settings are left out."""
    written = {
        key: write_value(setting, value)
        for key, setting in product.settings.items()
        if (value := in_unit(setting, values.get(key))) is not None
    }

    def write(found: re.Match[str]) -> str:
        return product.settings[found[1]].name if found[2] else written[found[1]]

    lines = [
        PLACEHOLDER.sub(write, line)
        for line in product.snippet.template.splitlines()
        if all(key in written for key, _ in PLACEHOLDER.findall(line))
    ]
    return "\n".join(lines) + "\n"


def _setting(choice: Choice, advice: Advice) -> dict[str, Any]:
    setting = choice.setting
    return {
        "setting": setting.name,
        "unit": setting.unit or None,
        "kind": setting.kind,
        "safety": setting.safety,
        "default": _default(choice, advice),
        "current": choice.current,
        "given": setting.key in advice.given,
        "advised": choice.advised,
        "at_least": choice.least,
        "at_most": choice.most,
        "reason": choice.reason,
        "source": setting.source,
    }


def _default(choice: Choice, advice: Advice) -> float | None:
    return in_unit(choice.setting, advice.defaults.get(choice.setting.key))


def _clamps(advice: Advice) -> list[dict[str, Any]]:
    """What the product rewrites without a word, of the present and of the advised settings."""
    now = {id(each.clamp): each for each in advice.clamped_now}
    then = {id(each.clamp): each for each in advice.clamped_then}
    return [
        {
            "setting": advice.product.settings[clamp.setting].name,
            "unit": advice.product.settings[clamp.setting].unit or None,
            "current": _rewritten(now.get(id(clamp))),
            "advised": _rewritten(then.get(id(clamp))),
            "message": clamp.message,
            "source": clamp.source,
        }
        for clamp in advice.product.clamps
        if id(clamp) in now or id(clamp) in then
    ]


def _rewritten(each: Rewritten | None) -> dict[str, float] | None:
    return None if each is None else {"given": each.given, "becomes": each.becomes}


def _fix(advice: Advice) -> str | None:
    """Don't tune, fix this."""
    if advice.verdict != "fix_first":
        return None
    bound = f"; what binds is {advice.binding}" if advice.binding is not None else ""
    return f"{'; '.join(advice.problems)}{bound}"
