"""Every answer by its command's name: reads a store, asks the pure parts, returns the contract's document."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from truechimer.config.model import LimitsConfig
from truechimer_analyzer.reading import Progress, Reader, silent
from truechimer_analyzer.refused import TimeoutsRefused
from truechimer_analyzer.window import OPTIONS, Question, iso, parse_question

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer_analyzer.stores import Readable

    Answer = Callable[[Reader, Question, LimitsConfig], dict[str, object]]

COMMANDS = tuple(OPTIONS)


def answer(
    command: str,
    options: Mapping[str, str],
    store: Readable,
    limits: LimitsConfig | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """The document of ``command`` (one of ``COMMANDS``) under a query's options, all strings.

    ``progress`` is told of long readings.

    Raises UserError for wrong options and unknown nodes or clusters, NotEnough where nothing can be
    said: TimeoutsRefused then carries the document that was refused.
    """
    now_ns = store.now_ns()
    question = parse_question(command, options, now_ns)
    reader = Reader(store, question, progress)
    head: dict[str, object] = {
        "as_of": iso(question.window.as_of_ns),
        "from": iso(question.window.since_ns),
        "window_s": question.window.length_s,
    }
    try:
        return {**head, **_answer(command)(reader, question, limits or LimitsConfig())}
    except TimeoutsRefused as refused:
        refused.document = {**head, **refused.document}
        raise


def load() -> None:
    """Load every answer, so that nobody waits for it, and an upgrade under what runs mixes no versions."""
    for command in (*COMMANDS, "products"):
        _answer(command)


def _answer(name: str) -> Answer:
    # Each has modules of its own that take a while to load.
    found: Answer = importlib.import_module(f"{__name__}.{name}").document
    return found
