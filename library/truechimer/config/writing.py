"""The tree as TOML again: for ``config show`` and for the files that ``up`` writes."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_toml(config: DataclassInstance) -> str:
    """A configuration as TOML that loads to the same value; keys that are None are left out."""
    lines: list[str] = []
    _write(config, "", lines)
    return "\n".join(lines).strip() + "\n"


def _write(section: DataclassInstance, prefix: str, lines: list[str]) -> None:
    tables: list[tuple[str, DataclassInstance, str]] = []
    for field in fields(section):
        value = getattr(section, field.name)
        if value is None:
            continue
        if is_dataclass(value) and not isinstance(value, type):
            tables.append((field.name, value, "[{}]"))
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            tables += [(field.name, item, "[[{}]]") for item in value]
        elif value != () or field.default is None:
            lines.append(f"{field.name} = {_scalar(value)}")
    for name, table, form in tables:
        lines += ["", form.format(prefix + name)]
        _write(table, f"{prefix}{name}.", lines)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        # A JSON string is a TOML basic string, except that TOML wants DEL escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    return repr(value)
