"""``timeouts`` with advice for products: their settings rest on more than the uses do."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from truechimer.errors import NotEnough
from truechimer_analyzer import timeouts
from truechimer_analyzer.advice import answering
from truechimer_analyzer.answers import skew

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.stores import Columns, Series
    from truechimer_analyzer.timeouts.gathering import Probes
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.window import Question


def document(
    reader: Reader,
    question: Question,
    limits: LimitsConfig,
    probes: Probes,
    stops: Columns,
    stopping: Holder,
) -> dict[str, object]:
    """The contract's ``timeouts`` where products are asked for.

    Heartbeats of their intervals are replayed too. Of more probes than fit into memory these are read once
    more when it is known which: what was said until then is said again.
    """
    wanted = answering.asked_for(question)
    fsyncs: Iterable[Series] = ()
    if wanted.needs("fsync"):
        fsyncs = list(reader.every_series("truechimer_fsync", answering.FSYNC_FIELDS, answering.DISK))
    apart: dict[str, object] = {}
    if wanted.needs("epsilon"):
        # Who has no mesh has no skew either: the advice then says what is missing.
        with suppress(NotEnough):
            apart = skew.document(reader, question, limits)
    record = probes.record(stops, question.heartbeat_s)
    return record.settled(
        lambda: answering.answer(
            wanted,
            question,
            lambda: timeouts.advise(record, stops, stopping, question),
            record,
            stops,
            stopping,
            fsyncs,
            apart,
        )
    )
