"""``timeouts``: what they should be, by what was measured, and what they would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer import timeouts
from truechimer_analyzer.timeouts import binding, holder
from truechimer_analyzer.timeouts.gathering import Probes

if TYPE_CHECKING:
    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    """The contract's ``timeouts``; TimeoutsRefused where every use is refused."""
    probes = Probes.of(reader)
    nodes = probes.ends({known.node for known in reader.known}) if probes.rows else None
    stops = reader.rows("truechimer_pause", binding.PAUSE_FIELDS, nodes=nodes)
    watched = reader.every_series("truechimer_pause_window", holder.WINDOW_FIELDS, holder.SOURCE, nodes)
    stopping = holder.holder_of(stops, watched)
    if question.product is not None or question.current is not None:
        from truechimer_analyzer.answers import products

        return products.document(reader, question, limits, probes, stops, stopping)
    record = probes.record(stops, question.heartbeat_s, lates=False)
    return record.settled(lambda: timeouts.advise(record, stops, stopping, question))
