"""SVG as text: every attribute and every word is escaped here."""

from __future__ import annotations

import re
from html import escape

# XML allows no other control characters, not even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def tag(name: str, /, *inside: str, **attributes: object) -> str:
    """An element around elements (or ``words``); ``class_`` is class, ``stroke_width`` stroke-width."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_plain(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(inside)}</{name}>"


def words(text: object) -> str:
    """Text between tags."""
    return _plain(str(text))


def path(points: list[tuple[float, float]]) -> str:
    """The ``d`` of a line through points, in px."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _plain(text: str) -> str:
    return escape(_FORBIDDEN.sub("�", text))


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
