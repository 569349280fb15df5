"""``stability``: how steadily each clock runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.stability import nodes as stability
from truechimer_analyzer.stability import series
from truechimer_analyzer.stability.confidence import CONFIDENCE
from truechimer_analyzer.stability.stretches import SPACING_S
from truechimer_analyzer.window import AHEAD_NS

if TYPE_CHECKING:
    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question

# So many rows of a measurement are read at once, whole nodes at a time.
_ROWS_AT_ONCE = 300_000


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:  # noqa: ARG001
    """ADEV, TDEV and MTIE of every node."""
    keys = sorted(reader.seen_ns())
    names = sorted({node for _, node in keys})
    nodes: list[dict[str, object]] = []
    at_once = max(1, round(_ROWS_AT_ONCE * SPACING_S / question.window.length_s))
    for first in range(0, len(names), at_once):
        some = names[first : first + at_once]
        nodes += stability.describe(
            [key for key in keys if key[1] in some],
            reader.rows("truechimer_clock", series.CLOCK_FIELDS, nodes=some),
            reader.rows("truechimer_bound", series.BOUND_FIELDS, nodes=some),
            # An event is placed by its steady time: its stamp may be of a clock that was stepped.
            reader.rows(
                "truechimer_clock_event",
                series.EVENT_FIELDS,
                nodes=some,
                since_ns=max(0, question.window.since_ns - AHEAD_NS),
            ),
            question.window,
        )
    nodes.sort(key=lambda node: (str(node["cluster"]), str(node["node"])))
    return {"spacing_s": SPACING_S, "confidence": CONFIDENCE, "nodes": nodes}
