"""Which store is asked where none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.errors import NothingThere
from truechimer_cli.overhttp import identify
from truechimer_cli.places import SYSTEM_STORE, data_dir, running_up

if TYPE_CHECKING:
    from pathlib import Path

LOCAL_ANALYZER = "http://127.0.0.1:8723"


def default_store() -> str:
    """An analyzer answering on 8723, else the folder of ``up``, else /var/lib/truechimer/analyzer."""
    if identify(LOCAL_ANALYZER):
        return LOCAL_ANALYZER
    folder = data_dir()
    running = running_up(folder)
    if running is not None and running.url is not None:
        return running.url
    for place in (folder / "analyzer", SYSTEM_STORE):
        if _holds_something(place):
            return f"embedded:{place}"
    raise NothingThere(
        f"no store: tried {LOCAL_ANALYZER}, {folder / 'analyzer'} and {SYSTEM_STORE}",
        hint="start one with `truechimer up`, or name one with --store",
    )


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
