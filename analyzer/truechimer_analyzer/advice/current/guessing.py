"""Whose file it is, and what it says: the product that most of the file's settings belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import UserError
from truechimer_analyzer.advice.current.formats import Line, read_lines
from truechimer_analyzer.advice.current.matching import count_matches, read_settings
from truechimer_analyzer.advice.loading import load, product_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_analyzer.advice.schema import Product

_LARGEST = 8 << 20
# Formats so loose that anything can be read as them: no product is guessed from these.
_LOOSE = frozenset({"code", "xml"})


@dataclass(frozen=True, slots=True)
class Present:
    """A product's present settings, by key, in their units."""

    product: str
    settings: dict[str, float]


def read_present(text: str, products: Sequence[Product] = ()) -> Present:
    """The settings in a configuration's text, of one of ``products``; of any known when there are none.

    Raises UserError where the text holds settings of no product or of several alike, where it cannot be
    read, and for a bad value (naming its line).
    """
    text = text.removeprefix("\ufeff")
    if len(text) > _LARGEST:
        raise UserError(f"more than {_LARGEST >> 20} MiB is no configuration")
    if "\0" in text:
        raise UserError("that is no text: it holds NUL bytes")
    asked = list(products)
    candidates = asked or [load(name) for name in product_names()]
    best: list[tuple[int, Product, list[Line]]] = []
    problems: list[str] = []
    for product in candidates:
        formats = product.reads if asked else [each for each in product.reads if each not in _LOOSE]
        # A unit file has both: variables, and flags of the command.
        lines: list[Line] = []
        read: dict[str, list[Line]] = {}
        for file_format in formats:
            try:
                read[file_format] = read_lines(text, file_format)
            except UserError as error:
                problems.append(f"as {file_format}: {error}")
        if count_matches(product, read.get("yaml", [])):
            # Lines of YAML pass for properties that have lost their places.
            read.pop("properties", None)
        for found in read.values():
            lines += found
        if matched := count_matches(product, lines):
            best.append((matched, product, lines))
    if not best:
        raise UserError(_none(asked, problems), hint=_hint(asked))
    most = max(count for count, _, _ in best)
    winners = [(product, lines) for count, product, lines in best if count == most]
    if len(winners) > 1:
        names = ", ".join(product.product for product, _ in winners)
        raise UserError(f"the file could be of {names}", hint="name one with --product")
    product, lines = winners[0]
    return Present(product.product, read_settings(product, lines))


def _none(asked: list[Product], problems: list[str]) -> str:
    whose = " or ".join(product.product for product in asked) if asked else "a known product"
    why = f" ({'; '.join(dict.fromkeys(problems))})" if asked and problems else ""
    return f"the file holds no setting of {whose}{why}"


def _hint(asked: list[Product]) -> str:
    if not asked:
        return "name the product with --product"
    names = ", ".join(setting.name for product in asked for setting in product.settings.values())
    return f"looked for {names}"
