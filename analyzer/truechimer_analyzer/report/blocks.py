"""Pieces of a report: Markdown (escaped text, tables, lists, code), and plots, which only HTML shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")
# What would begin a list or underline a heading where it stands first in its line.
_LEADING = re.compile(r"^([-+=])|^(\d+)([.)])(?= |$)")


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing: an SVG element, its legend as (SVG element, text) pairs, and a caption. Texts are plain."""

    svg: str
    legend: tuple[tuple[str, str], ...]
    caption: str


Block = str | Plot


def escaped(text: object) -> str:
    """Text that Markdown shows as it is; one line."""
    special = _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
    return _LEADING.sub(lambda found: f"{found[2] or ''}\\{found[3] or found[1]}", special)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells that are escaped already."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def listed(items: Iterable[str]) -> str:
    """A list of items that are escaped already; nothing without items."""
    return "\n".join(f"- {item}" for item in items)


def fenced(text: str) -> str:
    """Code as it is, whatever backticks it holds."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
