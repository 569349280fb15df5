"""A product's settings among the lines of a file: values in their units, each with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.errors import UserError
from truechimer_analyzer.advice.values import WrongValueError, read_value

if TYPE_CHECKING:
    from truechimer_analyzer.advice.current.formats import Line
    from truechimer_analyzer.advice.schema import Product, Setting


def count_matches(product: Product, lines: list[Line]) -> int:
    """How many of the product's settings the lines name, whatever their values."""
    return sum(bool(_named(setting, lines)) for setting in product.settings.values())


def read_settings(product: Product, lines: list[Line]) -> dict[str, float]:
    """The settings that the lines give, by key, in their units; others are not in it.

    Unknown names are no business of ours. Of lines in the same place the last counts. Raises UserError with
    the line for a bad value, and where lines in several places disagree: nobody can tell which counts.
    """
    found: dict[str, float] = {}
    for key, setting in product.settings.items():
        if setting.kind == "fixed":
            continue
        values: dict[str, tuple[float, int]] = {}
        for place, text, number in _named(setting, lines):
            try:
                values[place] = (read_value(setting, text), number)
            except WrongValueError as error:
                raise UserError(
                    f"line {number}: {setting.name}: {error}", hint=f"{setting.name} is {setting.what}"
                ) from error
        if len({value for value, _ in values.values()}) > 1:
            told = ", ".join(f"{value:g} on line {number}" for value, number in values.values())
            raise UserError(f"{setting.name} has several values: {told}", hint="give a file with one of them")
        for value, _ in values.values():
            found[key] = value
    return found


def _named(setting: Setting, lines: list[Line]) -> list[tuple[str, str, int]]:
    """(place, value, line) of every line that names the setting; the exact name before a nested one."""
    exact: list[tuple[str, str, int]] = []
    nested: list[tuple[str, str, int]] = []
    for line in lines:
        if line.keyed:
            key, value = line.words
            for name in (setting.name, *setting.aliases):
                if _same(key, name):
                    exact.append((f"{line.section} {key}", value, line.number))
                elif key.endswith(f".{name}"):
                    nested.append((f"{line.section} {key}", value, line.number))
        else:
            found = _worded(setting, line)
            if found is not None:
                exact.append((f"{line.section} {found[0]}", found[1], line.number))
    return exact or nested


def _worded(setting: Setting, line: Line) -> tuple[str, str] | None:
    """(place, value) in a line of words, by the longest of the setting's names; * stands for any word."""
    for name in sorted((setting.name, *setting.aliases), key=lambda each: -len(each.split())):
        pattern = name.split()
        for at in range(len(line.words) - len(pattern)):
            window = line.words[at : at + len(pattern)]
            if all(want == "*" or _same(word, want) for want, word in zip(pattern, window, strict=True)):
                # In the midst of a line (``server … inter 2s``) the line itself is the place.
                place = " ".join(window) if at == 0 else f"line {line.number}"
                return place, line.words[at + len(pattern)].rstrip(";")
    return None


def _same(key: str, name: str) -> bool:
    """Kernel parameters are written with dots or slashes; Redis and PostgreSQL take names in any case."""
    return key.replace("/", ".").lower() == name.lower()
