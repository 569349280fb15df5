"""``report``: all of the answers as one document for people."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from truechimer.errors import NotEnough
from truechimer_analyzer.answers import clocks, pauses, rtt, skew, stability, timeouts
from truechimer_analyzer.report import Parts, page, render
from truechimer_analyzer.window import iso

if TYPE_CHECKING:
    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    """What was asked for in each of the formats that were."""
    clocks_too, delays_too = question.kind != "timeouts", question.kind != "clocks"
    advised: dict[str, object] | NotEnough | None = None
    if delays_too:
        try:
            advised = timeouts.document(reader, question, limits)
        except NotEnough as refused:
            advised = refused
    apart = None
    if clocks_too:
        # Who has no mesh did not ask for this part.
        with suppress(NotEnough):
            apart = skew.document(reader, question, limits)
    # Curves are for drawing and for programs: Markdown shows none.
    curved = replace(question, histogram=question.formats != ("md",))
    parts = Parts(
        question.window,
        limits,
        clocks=clocks.document(reader, question, limits) if clocks_too else None,
        skew=apart,
        stability=stability.document(reader, question, limits) if clocks_too else None,
        rtt=rtt.document(reader, curved, limits) if delays_too else None,
        pauses=pauses.document(reader, question, limits) if delays_too else None,
        timeouts=advised,
    )
    found: dict[str, object] = {"generated": iso(question.window.as_of_ns)}
    if "md" in question.formats:
        found["markdown"] = render(parts)
    if "html" in question.formats:
        found["html"] = page(parts)
    if "json" in question.formats:
        found |= parts.documents()
    return found
