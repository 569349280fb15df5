"""A TOML table read key by key: wrong types, missing and unknown keys are named with where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer.errors import ConfigError
from truechimer_analyzer.advice.expressions import Expression, WrongExpressionError, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Table:
    """One table of a product's file, at ``where``; ``done`` refuses the keys that nobody read."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.where = where
        self._values = values
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without ``default`` it must be there and not empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.wrong(f"{key} = {value!r} is no text")
        return value

    def one_of(self, key: str, known: Collection[str], default: str | None = None) -> str:
        """A string of ``known``."""
        value = self.text(key, default)
        if value not in known:
            raise self.wrong(f"{key} = {value!r} is none of {', '.join(map(repr, known))}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """A boolean."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} = {value!r} is neither true nor false")
        return value

    def number(self, key: str) -> float | None:
        """A number, None where the key is absent."""
        value = self._take(key, None, needed=False)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self.wrong(f"{key} = {value!r} is no number")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, at least one."""
        value = self._take(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise self.wrong(f"{key} = {value!r} is no list of texts")
        return tuple(value)

    def expression(self, key: str, names: Collection[str], functions: Collection[str]) -> Expression:
        """A text that is an expression over ``names`` and ``functions``."""
        text = self.text(key)
        try:
            found = parse(text)
        except WrongExpressionError as error:
            raise self.wrong(f"{key}: {error}") from error
        if stranger := sorted((found.names - set(names)) | (found.calls - set(functions))):
            raise self.wrong(f"{key}: {text!r} names {', '.join(stranger)}, which nothing here defines")
        return found

    def number_or_expression(
        self, key: str, names: Collection[str], functions: Collection[str]
    ) -> float | Expression | None:
        """A number, an expression where it is text, None where the key is absent."""
        if isinstance(self._values.get(key), str):
            return self.expression(key, names, functions)
        return self.number(key)

    def table(self, key: str) -> Table | None:
        """A table inside, None where the key is absent."""
        value = self._take(key, None, needed=False)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(f"{key} is no table")
        return Table(value, f"{self.where}.{key}")

    def tables(self, key: str) -> list[Table]:
        """A list of tables, empty where the key is absent."""
        value = self._take(key, [], needed=False)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(f"{key} is no list of tables")
        return [Table(each, f"{self.where}.{key}[{at}]") for at, each in enumerate(value)]

    def items(self, key: str) -> list[tuple[str, Table]]:
        """The tables of a table, by name."""
        inside = self.table(key)
        if inside is None:
            raise self.wrong(f"{key} is missing")
        names = list(inside._values)
        return [(name, each) for name in names if (each := inside.table(name)) is not None]

    def overlaid(self, over: Table, but: str) -> Table:
        """This table with the keys of ``over`` instead of its own, except the key ``but``."""
        others = {key: value for key, value in over._values.items() if key != but}
        return Table({**self._values, **others}, self.where)

    def done(self, *also: str) -> None:
        """Refuse keys that nothing has read; ``also`` are read elsewhere."""
        if unread := sorted(set(self._values) - self._read - set(also)):
            raise self.wrong(f"unknown {', '.join(unread)}")

    def wrong(self, what: str) -> ConfigError:
        """The error for this table."""
        return ConfigError(f"{self.where}: {what}", hint="docs/advice.md describes a product's file")

    def _take(self, key: str, default: Any, *, needed: bool = True) -> Any:  # noqa: ANN401 - TOML's values
        self._read.add(key)
        if key in self._values:
            return self._values[key]
        if needed and default is None:
            raise self.wrong(f"{key} is missing")
        return default
