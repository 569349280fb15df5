"""Files with measurements: the options that say how to read one, and asking one instead of a store."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from truechimer.errors import NotEnough, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMATS = ("csv", "ping", "jvm-gc-log", "hlog")
_READING = (
    click.option("--time-column", metavar="NAME", help="csv: the column of times. [default: time]"),
    click.option("--value-column", metavar="NAME", help="csv: the column of lengths of time."),
    click.option("--unit", metavar="s|ms|us", help="csv, hlog: what lengths are in."),
    click.option("--interval", metavar="1s", help="ping without -D: how often it sent. [default: 1s]"),
    click.option("--begin", metavar="TIME", help="Where a file without times of day begins."),
)
_NAMES = ("time_column", "value_column", "unit", "interval", "begin")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that is asked as if it were a store; ``reading`` are the options that say how to read it."""

    path: Path
    format: str
    kind: str
    reading: Mapping[str, str]

    def ask(self, command: str, options: Mapping[str, str]) -> dict[str, Any]:
        """The document of ``command`` over all of the file unless ``options`` say when."""
        asking = _asking()
        named = {name: options[name] for name in ("cluster", "node", "peer", "source") if name in options}
        wish = asking.Wish(self.format, kind=self.kind, **self.reading, **named)
        try:
            document: dict[str, Any] = asking.answer_file(command, options, self.path, wish)
        except NotEnough as error:
            # A refusal with its reasons is an answer too; the command gives it its exit code.
            refused: dict[str, Any] | None = getattr(error, "document", None)
            if refused is None:
                raise
            document = refused
        return document


def how_to_read(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--format`` and how to read a file; the function gets ``format_`` and ``reading``."""

    @functools.wraps(function)
    def wrapped(**options: Any) -> Any:  # noqa: ANN401 - click's
        given = {name: options.pop(name) for name in _NAMES}
        told = {name: value for name, value in given.items() if value is not None}
        return function(reading=told, **options)

    for option in reversed(_READING):
        wrapped = option(wrapped)
    return click.option("--format", "format_", type=click.Choice(FORMATS), help="What the file is.")(wrapped)


def asking_files(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--input FILE`` and how to read it; the function then gets an :class:`InputFile` for its ``store``.

    ``kind``: what a table is read as, rtt or pauses.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(**options: Any) -> Any:  # noqa: ANN401 - click's
            path, form, reading = (options.pop(name) for name in ("input_", "format_", "reading"))
            if path is None:
                if form is not None or reading:
                    raise UserError("--format and how to read a file go with --input FILE")
                return function(**options)
            if options.get("store") is not None:
                raise UserError("--input and --store both say what to ask", hint="give one of them")
            if form is None:
                raise UserError("--input goes with --format", hint=f"one of {', '.join(FORMATS)}")
            options["store"] = InputFile(path, form, kind, reading)
            return function(**options)

        return click.option(
            "--input",
            "input_",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Ask about this file instead of a store.",
        )(how_to_read(wrapped))

    return decorate


def import_file(path: Path, options: Mapping[str, str], write: Callable[[Any], object]) -> dict[str, Any]:
    """Hand a file's batches to ``write``; what became of its lines."""
    asking = _asking()
    document: dict[str, Any] = asking.import_file(path, asking.Wish(**options), write)
    return document


def summary(imported: Mapping[str, Any]) -> list[str]:
    """What became of a file's lines, as sentences."""
    told = [f"{imported['imported']} measurements from {imported['from']} to {imported['to']}"]
    if imported["refused"]:
        first = imported["first_refused"]
        told.append(f"{imported['refused']} lines refused; the first, line {first['line']}: {first['why']}")
    return told + [str(note) for note in imported["notes"]]


def _asking() -> Any:  # noqa: ANN401 - a module
    from truechimer_cli.asking import need_analyzer

    need_analyzer()
    return importlib.import_module("truechimer_analyzer.importing.asking")
