"""Each setting's least and most by the evidence, in the file's order, and the value between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from truechimer_analyzer.advice.expressions import Expression
from truechimer_analyzer.advice.present import in_unit, resolve
from truechimer_analyzer.advice.scope import Found, Scope
from truechimer_analyzer.advice.values import round_down, round_up, same, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.advice.measured import Measured
    from truechimer_analyzer.advice.schema import Product, Setting

_NOTHING = Found(None)
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting: values in its unit, None where unset or not to be told.

    ``least`` and ``most`` are what the evidence supports, rounded; ``missing`` what is lacking for them;
    ``problem`` why no value can be right.
    """

    setting: Setting
    current: float | None
    advised: float | None
    least: float | None
    most: float | None
    reason: str
    missing: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def changed(self) -> bool:
        """Whether another value than the present one is advised."""
        return not self.missing and not same(self.current, self.advised)


def choose(
    product: Product, measured: Measured, given: Mapping[str, float], generosity: float = 1.0
) -> list[Choice]:
    """A choice for every setting, where ``given`` are the present ones, in their units.

    At ``generosity`` 1 a value that is longer than the least is kept; at 0 it becomes the least; between,
    the geometric way between the two. Settings below see what was chosen above.
    """
    current = resolve(product, given)
    shortened = detecting(product)
    chosen = dict(given)
    choices: list[Choice] = []
    for key, setting in product.settings.items():
        values = resolve(product, chosen)
        choice = _choose(setting, current[key], values, measured, generosity if key in shortened else 1.0)
        choices.append(choice)
        follows = isinstance(setting.default, Expression) and key not in given
        if choice.advised is not None and not (
            follows and same(choice.advised, in_unit(setting, values[key]))
        ):
            chosen[key] = choice.advised
    return choices


def detecting(product: Product) -> frozenset[str]:
    """The settings that the time of detection depends on, by whatever way."""
    if product.prediction is None:
        return frozenset()
    detect = product.prediction.detect
    found: set[str] = set()
    names = set(detect.least.names | detect.mean.names | detect.most.names)
    while names:
        key = names.pop()
        setting = product.settings.get(key)
        if setting is None or key in found:
            continue
        found.add(key)
        rules = [bound.rule for bound in (setting.at_least, setting.at_most) if bound is not None]
        rules += [setting.default] if isinstance(setting.default, Expression) else []
        names |= {name for rule in rules for name in rule.names}
    return frozenset(found)


def advised_values(
    product: Product, given: Mapping[str, float], choices: list[Choice]
) -> dict[str, float | None]:
    """Every setting's value in seconds once the choices are made; where none was, the present one."""
    made = {each.setting.key: each.advised for each in choices if each.advised is not None}
    return resolve(product, {**given, **made})


def _choose(
    setting: Setting,
    current_s: float | None,
    values: Mapping[str, float | None],
    measured: Measured,
    generosity: float,
) -> Choice:
    """The setting's choice; a rule that names its own setting is looked at again until its value stays."""
    current = in_unit(setting, current_s)
    start = in_unit(setting, values[setting.key])
    seen = dict(values)
    choice = _once(setting, current, start, seen, measured, generosity)
    for _ in range(_ROUNDS):
        if choice.advised is None or not _names_itself(setting):
            return choice
        now_s = choice.advised * setting.scale
        if same(now_s, seen[setting.key]):
            return choice
        seen[setting.key] = now_s
        again = _once(setting, current, start, seen, measured, generosity)
        if again.advised is not None and again.least is not None and again.advised < choice.advised:
            # Shorter is enough at the shorter value only if it says so itself: keep what was proven.
            return choice
        choice = again
    return replace(choice, problem=f"no {setting.name} is long enough: what it has to cover grows with it")


def _names_itself(setting: Setting) -> bool:
    bounds = (setting.at_least, setting.at_most)
    return any(setting.key in bound.rule.names for bound in bounds if bound is not None)


def _once(
    setting: Setting,
    current: float | None,
    start: float | None,
    values: Mapping[str, float | None],
    measured: Measured,
    generosity: float,
) -> Choice:
    scope = Scope(measured, values)
    low = scope.find(setting.at_least.rule) if setting.at_least else _NOTHING
    high = scope.find(setting.at_most.rule) if setting.at_most else _NOTHING
    missing = (*low.missing, *high.missing)
    least = None if low.value is None else round_up(setting, low.value / setting.scale)
    most = None if high.value is None else round_down(setting, high.value / setting.scale)
    if least is not None and setting.least is not None:
        least = max(least, setting.least)
    if missing:
        return Choice(setting, current, None, least, most, _needs(missing), missing)
    advised = _between(setting, start, (least, most), generosity)
    if advised is not None and setting.most is not None:
        advised = min(advised, setting.most)
    return Choice(
        setting,
        current,
        advised,
        least,
        most,
        _reason(setting, current, advised, (low, high), (least, most)),
        problem=_problem(setting, least, most),
    )


def _between(
    setting: Setting, now: float | None, bounds: tuple[float | None, float | None], generosity: float
) -> float | None:
    """The present value where it is within the bounds, else the nearer one; None is unset."""
    least, most = bounds
    if now is None:
        return least
    if least is not None and now < least and not same(now, least):
        return least
    value = now
    if most is not None and now > most and not same(now, most):
        value = most if least is None else max(least, most)
    if least is not None and value > least > 0 and generosity < 1:
        return round_up(setting, least * (value / least) ** generosity)
    return value


def _problem(setting: Setting, least: float | None, most: float | None) -> str | None:
    unit = f" {setting.unit}" if setting.unit else ""
    if least is None:
        return None
    if setting.most is not None and least > setting.most:
        return f"{setting.name} would have to be {least:g}{unit}, and {setting.most:g}{unit} is its maximum"
    if most is not None and least > most and not same(least, most):
        return (
            f"{setting.name} would have to be at least {least:g}{unit} ({_why(setting.at_least)}) "
            f"and at most {most:g}{unit} ({_why(setting.at_most)})"
        )
    return None


def _why(bound: object) -> str:
    return str(getattr(bound, "why", ""))


def _reason(
    setting: Setting,
    current: float | None,
    advised: float | None,
    found: tuple[Found, Found],
    bounds: tuple[float | None, float | None],
) -> str:
    low, high = found
    if setting.kind == "fixed":
        return "compiled in"
    if advised is None:
        return "unset, and nothing that was measured asks for it"
    if same(current, advised):
        parts = [
            f"{word} {shown(setting, each.value)} is asked for: {_why(bound)}{_figures(each)}"
            for word, each, bound in (
                ("at least", low, setting.at_least),
                ("at most", high, setting.at_most),
            )
            if each.value is not None
        ]
        return f"kept; {'; '.join(parts)}" if parts else "kept: nothing that was measured binds it"
    if bounds[0] is not None and advised >= bounds[0] and (current is None or advised > current):
        return f"{_why(setting.at_least)}{_figures(low)}"
    if bounds[1] is not None and current is not None and current > bounds[1]:
        return f"{_why(setting.at_most)}{_figures(high)}"
    if low.value is None:
        return "follows the settings that it is made from"
    if current is None or advised > current:
        return (
            f"as much as it can be; at least {shown(setting, low.value)} is needed: "
            f"{_why(setting.at_least)}{_figures(low)}"
        )
    return (
        f"shortened for the detection that was asked for; at least {shown(setting, low.value)} is needed: "
        f"{_why(setting.at_least)}{_figures(low)}"
    )


def _figures(found: Found) -> str:
    return f" ({', '.join(found.figures)})" if found.figures else ""


def _needs(missing: tuple[str, ...]) -> str:
    return f"not told: {'; '.join(dict.fromkeys(missing))}"
