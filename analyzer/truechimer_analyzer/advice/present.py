"""The values that a product runs with: what its file says, its defaults, and what it rewrites of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_analyzer.advice.expressions import Expression, Unknown
from truechimer_analyzer.advice.values import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.advice.schema import Clamp, Product, Setting


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A clamp that applied: what the setting was and what the product makes of it, in its unit."""

    clamp: Clamp
    given: float
    becomes: float


def resolve(product: Product, given: Mapping[str, float]) -> dict[str, float | None]:
    """Each setting's value in seconds (or plain) where ``given`` are those set, in their units.

    None is unset, or unknown where a default follows an unset one. Defaults that follow other settings may
    stand above them in the file, and are what switching the setting off stands for.
    """
    values: dict[str, float | None] = {}
    following: dict[str, Expression] = {}
    for key, setting in product.settings.items():
        if isinstance(setting.default, Expression) and given.get(key, setting.off) == setting.off:
            following[key] = setting.default
        elif key in given:
            values[key] = _in_seconds(setting, given[key])
        else:
            assert not isinstance(setting.default, Expression)
            values[key] = None if setting.default is None else _in_seconds(setting, setting.default)
    for _ in range(len(following)):
        for key, rule in following.items():
            try:
                values[key] = rule.number(values)
            except Unknown:
                values[key] = None
    return values


def effective(
    product: Product, values: Mapping[str, float | None]
) -> tuple[dict[str, float | None], list[Rewritten]]:
    """``values`` as the product really uses them, and which clamps made them so, in the file's order."""
    used = dict(values)
    rewritten: list[Rewritten] = []
    for clamp in product.clamps:
        given = used.get(clamp.setting)
        if given is None:
            continue
        try:
            becomes = clamp.becomes.number(used) if clamp.when.value(used) else given
        except Unknown:
            continue
        if not same(becomes, given):
            scale = product.settings[clamp.setting].scale
            rewritten.append(Rewritten(clamp, round(given / scale, 9), round(becomes / scale, 9)))
            used[clamp.setting] = becomes
    return used, rewritten


def in_unit(setting: Setting, value_s: float | None) -> float | None:
    """Seconds (or plain) in the setting's unit; whole numbers stay whole."""
    if value_s is None:
        return None
    # Seconds and back leave the last digits of a float wrong.
    value = float(f"{round(value_s / setting.scale, 9):.13g}")
    return int(value) if value == int(value) else value


def _in_seconds(setting: Setting, value: float) -> float | None:
    return None if setting.off is not None and value == setting.off else value * setting.scale
