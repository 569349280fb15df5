"""Asking a store: over HTTP or in this process."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truechimer.errors import NotEnough, NothingThere, UserError
from truechimer_cli.progress import bar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_cli.files import InputFile

Document = dict[str, Any]

ANALYZER_MODULES = ("numpy", "duckdb", "starlette", "uvicorn", "scipy", "apscheduler", "markdown_it", "yaml")
_UNBUILT = ("influxdb", "prometheus")


def ask(command: str, options: Mapping[str, str], store: str | InputFile | None) -> Document:
    """The document of one answering command, from ``store`` or from the first default that is there.

    Raises NothingThere (exit 3), UserError (2), NotEnough (4), or what the store raises.
    """
    if store is not None and not isinstance(store, str):
        return store.ask(command, options)
    # What needs neither HTTP nor a configuration does not wait for these to load.
    if store is None:
        from truechimer_cli.nearest import default_store

        store = default_store()
    address = store
    scheme = address.partition(":")[0].partition("+")[0].lower()
    if scheme in {"http", "https"}:
        from truechimer_cli.overhttp import ask_http

        return ask_http(address, command, options)
    if scheme == "embedded":
        return _ask_embedded(address, command, options)
    if scheme in _UNBUILT:
        raise UserError(
            f"stores at {scheme}:// are not built yet", hint="ask an analyzer by http://HOST:8723"
        )
    raise UserError(f"{address!r} is no store", hint="write http://HOST:8723 or embedded:DIR")


def missing_analyzer_modules() -> list[str]:
    """Those of the analyzer extra that are not installed."""
    return [name for name in ANALYZER_MODULES if importlib.util.find_spec(name) is None]


def need_analyzer() -> None:
    """Raise UserError when the analyzer extra is not installed."""
    if missing := missing_analyzer_modules():
        raise UserError(
            f"this needs the analyzer, and {', '.join(missing)} is not installed",
            hint="install it: pip install 'truechimer[analyzer]'",
        )


def _ask_embedded(address: str, command: str, options: Mapping[str, str]) -> Document:
    folder = Path(address.partition(":")[2]).expanduser()
    if not folder.is_dir():
        raise NothingThere(f"opening {address}: there is no such folder", hint="name a store with --store")
    need_analyzer()
    answers: Any = importlib.import_module("truechimer_analyzer.answers")
    stores: Any = importlib.import_module("truechimer_analyzer.stores")
    store = stores.open_store(f"embedded:{folder}", read_only=True)
    try:
        with bar() as progress:
            document: Document = answers.answer(command, options, store, progress=progress)
    except NotEnough as error:
        # A refusal with its reasons is an answer too; the command gives it its exit code.
        refused: Document | None = getattr(error, "document", None)
        if refused is None:
            raise
        document = refused
    finally:
        store.close()
    return document
