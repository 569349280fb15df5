"""``timeouts``: what they should be, by what was measured, and what they would cost."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from truechimer.errors import NotEnough
from truechimer_analyzer import timeouts
from truechimer_analyzer.advice import answering as products
from truechimer_analyzer.timeouts import binding, holder
from truechimer_analyzer.timeouts.gathering import Probes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.stores import Series
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    """The contract's ``timeouts``; TimeoutsRefused where every use is refused."""
    wanted = products.asked_for(question)
    probes = Probes.of(reader)
    nodes = probes.ends({known.node for known in reader.known}) if probes.rows else None
    stops = reader.rows("truechimer_pause", binding.PAUSE_FIELDS, nodes=nodes)
    watched = reader.every_series("truechimer_pause_window", holder.WINDOW_FIELDS, holder.SOURCE, nodes)
    stopping = holder.holder_of(stops, watched)
    fsyncs: Iterable[Series] = ()
    if wanted.needs("fsync"):
        fsyncs = list(reader.every_series("truechimer_fsync", products.FSYNC_FIELDS, products.DISK))
    apart: dict[str, object] = {}
    if wanted.needs("epsilon"):
        from truechimer_analyzer.answers import skew

        # Who has no mesh has no skew either: the advice then says what is missing.
        with suppress(NotEnough):
            apart = skew.document(reader, question, limits)
    record = probes.record(stops, question.heartbeat_s, lates=bool(wanted.products))

    def answered() -> dict[str, object]:
        return products.answer(
            wanted,
            question,
            lambda: timeouts.advise(record, stops, stopping, question),
            record,
            stops,
            stopping,
            fsyncs,
            apart,
        )

    while True:
        refused: NotEnough | None = None
        found: dict[str, object] = {}
        try:
            found = answered()
        except NotEnough as error:
            refused = error
        if record.is_complete():
            break
    if refused is not None:
        raise refused
    return found
