"""From a TOML document onto the frozen tree, by its type hints; every problem is collected, none raised."""

# ruff: noqa: ANN401 - type hints and TOML values have no narrower type

from __future__ import annotations

import difflib
import math
import types
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from truechimer.config.rules import complaint, whole_complaints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the dotted key and what about it; unknown keys read differently."""

    key: str
    what: str
    unknown: bool = False

    def says(self, source: str) -> str:
        """The problem as a sentence about ``source``."""
        if self.unknown:
            return f"unknown key {self.key} in {source}{self.what}"
        return f"{self.key} in {source} {self.what}"


class _Refused:
    """What a value becomes that could not be built; its problem is already noted."""


_REFUSED = _Refused()


def build(cls: type[Any], document: Mapping[str, Any], problems: list[Problem]) -> Any:
    """An instance of ``cls`` from ``document``, or None with the reasons appended to ``problems``."""
    value = _build_table(cls, document, "", problems, cls)
    return None if value is _REFUSED else value


def hints_of(cls: type[Any]) -> dict[str, Any]:
    """The resolved types of a section's fields."""
    return get_type_hints(cls)


def dotted_keys(cls: type[Any], prefix: str = "") -> Iterator[str]:
    """Every key of the tree, dotted, tables of arrays without an index."""
    for field in fields(cls):
        yield prefix + field.name
        section = section_of(hints_of(cls)[field.name])
        if section is not None:
            yield from dotted_keys(section, f"{prefix}{field.name}.")


def section_of(hint: Any) -> type[Any] | None:
    """The dataclass inside a hint: itself, optional, or the element of a tuple."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    for part in get_args(hint):
        if part is not Ellipsis and (found := section_of(part)) is not None:
            return found
    return None


def _build_table(
    cls: type[Any],
    document: Mapping[str, Any],
    prefix: str,
    problems: list[Problem],
    root: type[Any],
) -> Any:
    before = len(problems)
    known: dict[str, Field[Any]] = {field.name: field for field in fields(cls)}
    problems += [
        Problem(prefix + key, _nearest(key, prefix, known, root), unknown=True)
        for key in document
        if key not in known
    ]
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in document:
            if field.default is MISSING and field.default_factory is MISSING:
                problems.append(Problem(prefix + name, "is missing"))
            continue
        value = _build_value(hints_of(cls)[name], document[name], prefix + name, problems, root)
        if value is not _REFUSED:
            values[name] = value
            if what := complaint(cls, name, value):
                problems.append(Problem(prefix + name, what))
    if len(problems) > before:
        return _REFUSED
    built = cls(**values)
    for name, what in whole_complaints(built):
        problems.append(Problem((prefix + name).rstrip("."), what))
    return built if len(problems) == before else _REFUSED


def _nearest(key: str, prefix: str, known: Mapping[str, object], root: type[Any]) -> str:
    if near := difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        return f": did you mean {prefix}{near[0]}?"
    everywhere = list(dotted_keys(root))
    same = [other for other in everywhere if other.rpartition(".")[2] == key]
    near = same[:1] or difflib.get_close_matches(prefix + key, everywhere, n=1, cutoff=0.75)
    return f": did you mean {near[0]}?" if near else ""


def _build_value(hint: Any, value: Any, key: str, problems: list[Problem], root: type[Any]) -> Any:
    """The value that ``hint`` asks for, or _REFUSED with the problem noted."""
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return _build_union(hint, value, key, problems, root)
    if origin is Literal:
        if value in get_args(hint) and not isinstance(value, bool):
            return value
        return _refuse(problems, key, f"must be {_described(hint)}, not {_shown(value)}")
    if origin is tuple:
        return _build_array(get_args(hint)[0], value, key, problems, root)
    if isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(value, dict):
            return _refuse(problems, key, f"must be a table ([{key}]), not {_shown(value)}")
        return _build_table(hint, value, key + ".", problems, root)
    return _build_scalar(hint, value, key, problems)


def _build_union(hint: Any, value: Any, key: str, problems: list[Problem], root: type[Any]) -> Any:
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    if len(choices) == 1:
        return _build_value(choices[0], value, key, problems, root)
    for choice in choices:
        tried: list[Problem] = []
        built = _build_value(choice, value, key, tried, root)
        if built is not _REFUSED:
            return built
    described = " or ".join(_described(choice) for choice in choices)
    return _refuse(problems, key, f"must be {described}, not {_shown(value)}")


def _build_array(element: Any, value: Any, key: str, problems: list[Problem], root: type[Any]) -> Any:
    if not isinstance(value, list):
        form = f"an array of tables ([[{key}]])" if is_dataclass(element) else "an array"
        return _refuse(problems, key, f"must be {form}, not {_shown(value)}")
    built = [_build_value(element, item, f"{key}[{at}]", problems, root) for at, item in enumerate(value)]
    return _REFUSED if any(item is _REFUSED for item in built) else tuple(built)


def _build_scalar(hint: Any, value: Any, key: str, problems: list[Problem]) -> Any:
    # bool is a subclass of int: 'interval_s = true' must not become 1.0.
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        return number if math.isfinite(number) else _refuse(problems, key, "must be a finite number")
    if hint is Path and isinstance(value, str) and value and "\0" not in value:
        return _path(value, key, problems)
    if type(value) is hint:
        return value
    return _refuse(problems, key, f"must be {_described(hint)}, not {_shown(value)}")


def _path(text: str, key: str, problems: list[Problem]) -> Any:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return _refuse(problems, key, f"names a home folder that does not exist: {text}")


def _refuse(problems: list[Problem], key: str, what: str) -> _Refused:
    problems.append(Problem(key, what))
    return _REFUSED


def _described(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice).replace("'", '"') for choice in get_args(hint))
    return _NAMES.get(hint, str(hint))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)[:60]
