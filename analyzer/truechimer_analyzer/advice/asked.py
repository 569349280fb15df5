"""The options of an answer that are about products: which ones, and their present settings."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from truechimer.errors import UserError
from truechimer_analyzer.advice.loading import load, product_names
from truechimer_analyzer.advice.values import WrongValueError, read_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.advice.schema import Product, Setting

ALL = "all"
# A century in seconds; no setting is more.
_GREATEST = 100 * 366 * 86_400.0
EXAMPLE = '{"etcd": {"election-timeout": 1000}}'


def parse_products(text: str) -> list[Product]:
    """``etcd``, ``etcd@3.5,kafka-consumer`` or ``all`` to products, each once; UserError otherwise."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == [ALL]:
        return [load(name) for name in product_names()]
    found: dict[str, Product] = {}
    for name in names:
        product, _, version = name.partition("@")
        if product in found:
            raise UserError(f"product {product!r} is asked for twice")
        found[product] = load(product, version or None)
    if not found:
        raise UserError("no product is named", hint=f"known: {', '.join(product_names())}, {ALL}")
    return list(found.values())


def parse_current(text: str, products: list[Product]) -> dict[str, dict[str, float]]:
    """``EXAMPLE`` to present settings by product and key, in their units.

    Settings are named as the product or as its file in truechimer does; values are numbers in the unit or
    texts as the product writes them. Raises UserError for anything else, and for a product not asked for.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is no JSON: {error}") from error
    if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
        raise _wrong("it is no object of products, each an object of settings")
    known = {product.product: product for product in products}
    if strange := sorted(set(given) - set(known)):
        raise UserError(
            f"current has settings of {', '.join(strange)}, which is not asked for",
            hint=f"asked for: {', '.join(known)}",
        )
    return {name: _settings(known[name], settings) for name, settings in given.items()}


def _settings(product: Product, settings: Mapping[str, object]) -> dict[str, float]:
    by_name = {setting.name: setting for setting in product.settings.values()} | dict(product.settings)
    found: dict[str, float] = {}
    for name, value in settings.items():
        if name not in by_name:
            raise UserError(
                f"current: {product.product} has no setting {name!r}",
                hint=f"known: {', '.join(setting.name for setting in product.settings.values())}",
            )
        found[by_name[name].key] = _value(by_name[name], value)
    return found


def _value(setting: Setting, value: object) -> float:
    if isinstance(value, str):
        try:
            value = read_value(setting, value)
        except WrongValueError as error:
            raise UserError(f"current: {setting.name}: {error}") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"current: {setting.name} = {value!r} is no number")
    if abs(value) * setting.scale > _GREATEST:
        raise UserError(f"current: {setting.name} = {value!r} is beyond all measure")
    if setting.integer and value != round(value):
        raise UserError(f"current: {setting.name} = {value!r} is no whole number")
    return value


def _wrong(why: str) -> UserError:
    return UserError(f"current: {why}", hint=f"write {EXAMPLE}, or use --current FILE")
