"""``rtt``: how long the network delays, and what it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer import rtt

if TYPE_CHECKING:
    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:  # noqa: ARG001
    """The contract's ``rtt``."""
    paths = rtt.describe(rtt.gather(reader), histogram=question.histogram, by_hour=question.by == "hour")
    return {"paths": paths}
