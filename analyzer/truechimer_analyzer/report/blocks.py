"""Pieces of Markdown: escaped text, tables, lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def escaped(text: object) -> str:
    """Text that Markdown shows as it is; one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells that are escaped already."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def listed(items: Iterable[str]) -> str:
    """A list of items that are escaped already; nothing without items."""
    return "\n".join(f"- {item}" for item in items)
