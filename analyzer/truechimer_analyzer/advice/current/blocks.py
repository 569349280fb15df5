"""HOCON and HCL: keys in braces that nest, as settings with dotted paths. No substitutions, no lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PART = re.compile(
    r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|\$\{[^}\n]*\}|/\*[\s\S]*?\*/|(?:#|//)[^\n]*|[{}\[\],\n]'
    r"|[^\"$/#{}\[\],\n]+|."
)
_ASSIGNED = re.compile(r"([\w.\"-]+)\s*(?:\+?=|:)\s*(.*)", re.DOTALL)


def settings(text: str) -> Iterator[tuple[str, str, int]]:
    """(dotted key, value as written, line) of each assignment; what is in a list is left out."""
    path: list[str] = []
    piece, begun, number, lists, is_waiting = "", 1, 1, 0, False
    for part in (found.group() for found in _PART.finditer(text + "\n")):
        if lists or part == "[":
            lists += {"[": 1, "]": -1}.get(part, 0)
        elif part == "{":
            path.append(piece.strip().rstrip("=:").strip().replace('"', ""))
            piece = ""
        elif part in {"}", ",", "\n"}:
            assigned = _ASSIGNED.fullmatch(piece.strip())
            if assigned:
                yield ".".join([*path, assigned.group(1).replace('"', "")]), assigned.group(2).strip(), begun
            # A key alone on its line may have its brace on the next one.
            is_waiting = part == "\n" and assigned is None
            piece = piece if is_waiting else ""
            path = path[:-1] if part == "}" else path
        elif part.strip() and not part.startswith(("#", "//", "/*")):
            piece = "" if is_waiting else piece
            begun, is_waiting = begun if piece else number, False
            piece += part
        number += part.count("\n")
