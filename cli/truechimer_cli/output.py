"""How answers leave: one JSON document, or tables."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

GOOD, UNSURE, BAD, QUIET = "green", "yellow", "bold red", "dim"


def write_json(document: Any) -> None:  # noqa: ANN401 - any JSON document
    """One document on stdout, on one line; never NaN."""
    sys.stdout.write(json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def console() -> Console:
    """Stdout as rich draws on it; a pipe gets wide plain text so that nothing is cut."""
    # JSON does not wait for it to load.
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=200, no_color=True)


def show(*parts: RenderableType) -> None:
    """Draw tables and lines."""
    screen = console()
    for part in parts:
        screen.print(part)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """A plain table; columns whose name begins with '>' are right-aligned."""
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn
