"""Asking again and again: a live view on a terminal, tables in a row into a pipe, JSON lines for programs.

A store that goes away is said, with for how long, and waited for. Ctrl-C ends it well.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape

from truechimer.errors import TruechimerError, UserError
from truechimer.readings import monotonic_s
from truechimer_cli.amounts import seconds
from truechimer_cli.main import as_sentences
from truechimer_cli.output import BAD, QUIET, console, show, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import RenderableType

    from truechimer_cli.asking import Document

    Tables = Callable[[Document], list[RenderableType]]


class View(Protocol):
    """Where answers and failures are shown."""

    def answered(self, document: Document) -> None:
        """Show an answer."""
        ...

    def failed(self, error: TruechimerError, since_s: float) -> None:
        """Show that there has been no answer for ``since_s`` seconds, and why."""
        ...


class JsonLines:
    """One document a line; a failure is a document with ``error``, ``hint`` and ``failing_s``."""

    def answered(self, document: Document) -> None:
        """One line."""
        write_json(document)

    def failed(self, error: TruechimerError, since_s: float) -> None:
        """One line too, so that a reader sees that time goes by."""
        write_json({"error": str(error), "hint": error.hint, "failing_s": round(since_s, 3)})


class Rows:
    """Tables one after the other, a blank line between; failures go to stderr, once each."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._said: str | None = None
        self._first = True

    def answered(self, document: Document) -> None:
        """Print it below the last one."""
        if self._said is not None:
            sys.stderr.write("truechimer: the store answers again.\n")
        self._said = None
        if not self._first:
            sys.stdout.write("\n")
        self._first = False
        show(*self._tables(document))
        sys.stdout.flush()

    def failed(self, error: TruechimerError, since_s: float) -> None:  # noqa: ARG002 - said as it begins
        """Say it when it is new."""
        text = as_sentences(str(error), error.hint)
        if text != self._said:
            self._said = text
            sys.stderr.write(f"truechimer: {text}\n")
            sys.stderr.flush()


class Screen:
    """The whole terminal, drawn anew; what was answered last stays below a failure."""

    def __init__(self, tables: Tables, screen: Console, every_s: float) -> None:
        self._tables = tables
        self._live = Live(console=screen, screen=True, auto_refresh=False, vertical_overflow="crop")
        self._title = f"[{QUIET}]every {seconds(every_s)}; Ctrl-C ends[/]"
        self._last: list[RenderableType] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def answered(self, document: Document) -> None:
        """Draw it."""
        self._last = self._tables(document)
        self._draw()

    def failed(self, error: TruechimerError, since_s: float) -> None:
        """Draw the failure above the last answer."""
        why = escape(as_sentences(str(error), error.hint))
        self._draw(f"[{BAD}]No answer for {seconds(since_s)}:[/] {why}")

    def _draw(self, *above: RenderableType) -> None:
        self._live.update(Group(self._title, *above, "", *self._last), refresh=True)


def watch(ask: Callable[[], Document], tables: Tables, every_s: float, *, as_json: bool) -> int:
    """Until Ctrl-C: exit code 0. Raises what was wrongly asked, unless it was answered before."""
    with _interruptible() as stop, contextlib.ExitStack() as drawn:
        if as_json:
            view: View = JsonLines()
        elif sys.stdout.isatty():
            view = drawn.enter_context(Screen(tables, console(), every_s))
        else:
            view = Rows(tables)
        _ask_on(ask, view, every_s, stop)
    return 0


def _ask_on(ask: Callable[[], Document], view: View, every_s: float, stop: threading.Event) -> None:
    answered = False
    failing_since_s: float | None = None
    due_s = monotonic_s()
    while not stop.is_set():
        try:
            document = ask()
        except TruechimerError as error:
            if stop.is_set():
                return
            # A node that is unknown may be one that a store which has just begun does not know yet.
            if isinstance(error, UserError) and not answered:
                raise
            now_s = monotonic_s()
            failing_since_s = now_s if failing_since_s is None else failing_since_s
            view.failed(error, now_s - failing_since_s)
        else:
            answered, failing_since_s = True, None
            view.answered(document)
        due_s = max(due_s + every_s, monotonic_s())
        stop.wait(due_s - monotonic_s())


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM end what is under way: an answer that is waited for, too.

    The event is set before anything is raised: a database that was interrupted raises an error of its own.
    """
    stop = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        stop.set()
        if number == signal.SIGTERM:
            sys.exit(128 + number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except (KeyboardInterrupt, Exception):
        if not stop.is_set():
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
