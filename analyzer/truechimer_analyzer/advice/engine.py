"""One product's advice: from what was measured and the present settings to what they should be.

Present values that the evidence supports are kept. Nothing is advised below what the evidence supports:
rules' values are rounded up. Where no setting meets what is asked for the verdict is fix_first, and says
what binds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from truechimer_analyzer.advice import bounding, predicting
from truechimer_analyzer.advice.present import Rewritten, effective, in_unit, resolve
from truechimer_analyzer.advice.scope import Scope, State
from truechimer_analyzer.advice.values import same, shown_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.advice.bounding import Choice
    from truechimer_analyzer.advice.measured import Measured
    from truechimer_analyzer.advice.predicting import Forecast
    from truechimer_analyzer.advice.schema import Figure, Product

Verdict = Literal["tune", "keep", "fix_first", "insufficient_data"]
# How finely a detection that was asked for is approached from the generous side.
_HALVINGS = 10
_SLACK = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Wish:
    """What is tolerated: false alarms a month, and how late a failure may be noticed (None: no matter)."""

    false_per_month: float
    detect_within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule, as the product's own names have it, under the present and under the advised settings."""

    rule: str
    message: str
    source: str
    current: State
    advised: State


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure of the product's under the present and under the advised settings; seconds or plain."""

    figure: Figure
    current: float | None
    advised: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """All that is said about one product; ``values`` (advised) and ``defaults`` are in seconds or plain."""

    product: Product
    verdict: Verdict
    choices: tuple[Choice, ...]
    given: frozenset[str]
    constraints: tuple[Checked, ...]
    figures: tuple[Amount, ...]
    clamped_now: tuple[Rewritten, ...]
    clamped_then: tuple[Rewritten, ...]
    current: Forecast
    advised: Forecast | None
    binding: str | None
    problems: tuple[str, ...]
    missing: tuple[str, ...]
    values: Mapping[str, float | None]
    defaults: Mapping[str, float | None]


def advise(product: Product, measured: Measured, given: Mapping[str, float], wish: Wish) -> Advice:
    """Advice for ``product`` where ``given`` are its present settings by key, in their units.

    Settings that are not given have the product's defaults.
    """
    now = resolve(product, given)
    now_s, clamped_now = effective(product, now)
    choices = bounding.choose(product, measured, given)
    problems: list[str] = []
    if wish.detect_within_s is not None:
        choices, too_slow = _quick_enough(product, measured, given, wish.detect_within_s, choices)
        problems += too_slow
    then = bounding.advised_values(product, given, choices)
    then_s, clamped_then = effective(product, then)
    untold: dict[str, float | None] = {each.setting.key: None for each in choices if each.missing}
    # Rules are for settings as they are written; what they lead to, for what the product makes of them.
    checked = _check(product, measured, now, {**then, **untold})
    current = predicting.forecast(product, measured, now_s)
    advised = predicting.forecast(product, measured, then_s)
    missing = tuple(dict.fromkeys(said for each in choices for said in each.missing))
    problems += _problems(product, measured, choices, then_s, clamped_then, checked)
    if not missing:
        problems += _too_many(advised, wish)
    return Advice(
        product=product,
        verdict=_verdict(choices, problems, missing),
        choices=tuple(choices),
        given=frozenset(given),
        constraints=checked,
        figures=_amounts(product, measured, now_s, {**then_s, **untold}),
        clamped_now=tuple(clamped_now),
        clamped_then=tuple(each for each in clamped_then if each.clamp.setting not in untold),
        current=current,
        advised=None if missing else advised,
        binding=_binding(measured, choices, then),
        problems=tuple(dict.fromkeys(problems)),
        missing=missing,
        values=then,
        defaults=resolve(product, {}),
    )


def _quick_enough(
    product: Product, measured: Measured, given: Mapping[str, float], within_s: float, choices: list[Choice]
) -> tuple[list[Choice], list[str]]:
    """The most generous choices that notice a failure in time; else the quickest, and that they do not."""

    def detects_s(of: list[Choice]) -> float | None:
        values, _ = effective(product, bounding.advised_values(product, given, of))
        detect = predicting.forecast(product, measured, values).detect
        return None if detect is None else detect.most

    longest_s = detects_s(choices)
    if longest_s is None or longest_s <= within_s * _SLACK:
        return choices, []
    quickest = bounding.choose(product, measured, given, 0.0)
    least_s = detects_s(quickest)
    if least_s is None or least_s > within_s * _SLACK:
        took = (
            "" if least_s is None else f": it takes up to {shown_s(least_s)} at the least settings supported"
        )
        return quickest, [f"a failure cannot be noticed within {shown_s(within_s)}{took}"]
    best, low, high = quickest, 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = bounding.choose(product, measured, given, middle)
        tried_s = detects_s(tried)
        if tried_s is not None and tried_s <= within_s * _SLACK:
            best, low = tried, middle
        else:
            high = middle
    return best, []


def _check(
    product: Product,
    measured: Measured,
    now_s: Mapping[str, float | None],
    then_s: Mapping[str, float | None],
) -> tuple[Checked, ...]:
    """Every constraint, and what the product accepts where that is not kept; values as written, seconds."""
    now, then = Scope(measured, now_s), Scope(measured, then_s)
    checked = [
        Checked(
            each.rule.shown(product.names),
            each.message,
            each.source,
            now.state(each.rule),
            then.state(each.rule),
        )
        for each in product.constraints
    ]
    for key, setting in product.settings.items():
        for limit, sign in ((setting.least, ">="), (setting.most, "<=")):
            if limit is None:
                continue
            states = [_kept(in_unit(setting, values.get(key)), sign, limit) for values in (now_s, then_s)]
            if "violated" in states:
                rule = f"{setting.name} {sign} {limit:g}{f' {setting.unit}' if setting.unit else ''}"
                checked.append(Checked(rule, "the product does not take it", setting.source, *states))
    return tuple(checked)


def _amounts(
    product: Product,
    measured: Measured,
    now_s: Mapping[str, float | None],
    then_s: Mapping[str, float | None],
) -> tuple[Amount, ...]:
    now, then = Scope(measured, now_s), Scope(measured, then_s)
    return tuple(
        Amount(each, now.find(each.rule).value, then.find(each.rule).value) for each in product.figures
    )


def _kept(value: float | None, sign: str, limit: float) -> State:
    if value is None or same(value, limit):
        return "holds"
    return "holds" if (value > limit) == (sign == ">=") else "violated"


def _problems(
    product: Product,
    measured: Measured,
    choices: list[Choice],
    then_s: Mapping[str, float | None],
    clamped: list[Rewritten],
    checked: tuple[Checked, ...],
) -> list[str]:
    found = [each.problem for each in choices if each.problem is not None]
    for each in clamped:
        setting = product.settings[each.clamp.setting]
        scope = Scope(measured, then_s)
        needed = scope.find(setting.at_least.rule).value if setting.at_least else None
        if (
            needed is not None
            and each.becomes * setting.scale < needed
            and not same(each.becomes * setting.scale, needed)
        ):
            found.append(
                f"{setting.name} would have to be {each.given:g} {setting.unit}, and becomes "
                f"{each.becomes:g} {setting.unit}: {each.clamp.message}"
            )
    found += [f"{each.rule} cannot be kept: {each.message}" for each in checked if each.advised == "violated"]
    return found


def _too_many(advised: Forecast, wish: Wish) -> list[str]:
    false = advised.false_per_month
    if false is None or false <= wish.false_per_month * _SLACK:
        return []
    return [f"up to {false:.3g} false alarms a month remain, and {wish.false_per_month:g} are tolerated"]


def _verdict(choices: list[Choice], problems: list[str], missing: tuple[str, ...]) -> Verdict:
    if problems:
        return "fix_first"
    if missing:
        return "insufficient_data"
    return "tune" if any(each.changed for each in choices) else "keep"


def _binding(measured: Measured, choices: list[Choice], values: Mapping[str, float | None]) -> str | None:
    """Who or what makes the setting that is nearest to its least, or furthest below it, so long.

    What was measured goes before settings that bind each other; None where nothing asks for anything.
    """

    def tightness(choice: Choice) -> float:
        return (choice.least or 0.0) / choice.current if choice.current else math.inf

    scope = Scope(measured, values)
    by_key = {each.setting.key: each for each in choices}
    asking = [each for each in choices if each.least is not None]
    found = [_dominant(each, scope, by_key) for each in sorted(asking, key=tightness, reverse=True)]
    evidence = [name for name in found if name is not None and name not in by_key]
    if evidence:
        return measured.owners.get(evidence[0], evidence[0])
    return next((f"setting:{by_key[name].setting.name}" for name in found if name is not None), None)


def _dominant(choice: Choice, scope: Scope, by_key: Mapping[str, Choice]) -> str | None:
    """What moves a choice most: a measured name, or the key of a setting that nothing measured moves."""
    for _ in by_key:
        assert choice.setting.at_least is not None
        name = scope.dominant(choice.setting.at_least.rule)
        below = None if name is None else by_key.get(name)
        if below is None or below.setting.at_least is None or not same(below.advised, below.least):
            return name
        choice = below
    return None
