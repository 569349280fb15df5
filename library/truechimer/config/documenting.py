"""docs/configuration.md from the tree: ``python -m truechimer.config.documenting``."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from truechimer.config.loading import ROOTS
from truechimer.config.walking import hints_of, section_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from dataclasses import Field

_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "path"}
_DEFAULT_MEANINGS = {
    ("NtpConfig", "servers"): "those of the host's own time daemon, else a public pool",
    ("AgentConfig", "node"): "the host's name",
    ("DaemonConfig", "chrony"): "/run/chrony/chronyd.sock, else port 323 of loopback",
}
_HEAD = """\
# Configuration

Generated from `library/truechimer/config/model.py` by `make generate`: do not edit.
`truechimer config check FILE` validates a file and names every problem at once; `truechimer config show FILE`
prints the effective configuration. Unknown keys are refused. Secrets are never in these files, only the paths
of files that hold them. Durations are in the unit that the key's name ends with. `HOST:PORT` takes IPv6 in
brackets; port 0 is any free port.
"""


def document() -> str:
    """The whole page."""
    lines = [_HEAD]
    for kind, root in ROOTS.items():
        lines.append(f"## {kind}.toml\n")
        for heading, section in _sections(root, ""):
            title = heading or "top level"
            lines += [f"### {title}\n", _purpose(section), "", "| key | type | default |", "|---|---|---|"]
            lines += [
                f"| `{field.name}` | {_type(hints_of(section)[field.name])} | {_default(section, field)} |"
                for field in fields(section)
                if section_of(hints_of(section)[field.name]) is None
            ]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _sections(cls: type[Any], prefix: str, heading: str = "") -> Iterator[tuple[str, type[Any]]]:
    if any(section_of(hints_of(cls)[field.name]) is None for field in fields(cls)):
        yield heading, cls
    for field in fields(cls):
        hint = hints_of(cls)[field.name]
        section = section_of(hint)
        if section is not None:
            name = prefix + field.name
            yield from _sections(
                section, name + ".", f"[[{name}]]" if get_origin(hint) is tuple else f"[{name}]"
            )


def _purpose(section: type[Any]) -> str:
    text = (section.__doc__ or "").strip().replace("``", "`")
    return " ".join(text.split())


def _type(hint: object) -> str:
    if isinstance(hint, type):
        return _NAMES[hint]
    if get_origin(hint) is Literal:
        return ", ".join(f'`"{choice}"`' for choice in get_args(hint))
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        return f"array of {_type(element)}{'' if get_origin(element) is Literal else 's'}"
    if get_origin(hint) in {Union, types.UnionType}:
        return " or ".join(_type(part) for part in get_args(hint) if part is not type(None))
    raise AssertionError(f"a hint that nobody documents: {hint}")


def _default(section: type[Any], field: Field[Any]) -> str:
    if meaning := _DEFAULT_MEANINGS.get((section.__name__, field.name)):
        return meaning
    if field.default is MISSING:
        return "required"
    value = field.default
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | Path):
        return f'`"{value}"`'
    return f"`{json.dumps(value) if isinstance(value, tuple) else value}`"


if __name__ == "__main__":
    sys.stdout.write(document())
