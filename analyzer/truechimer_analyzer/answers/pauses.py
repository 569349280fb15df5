"""``pauses``: how long hosts and processes stop, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.pauses import asking

if TYPE_CHECKING:
    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:  # noqa: ARG001
    """The contract's ``pauses``."""
    return asking.document(reader, question)
