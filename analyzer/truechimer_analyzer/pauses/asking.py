"""The document of ``pauses`` from a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.errors import UserError
from truechimer_analyzer.pauses import felt, surroundings
from truechimer_analyzer.pauses.sources import FIELDS, describe
from truechimer_analyzer.pauses.told import WINDOW_FIELDS

if TYPE_CHECKING:
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question) -> dict[str, object]:
    """Sources, processes, heaps and disks of the question; UserError for a source that is none."""
    named = {} if question.source is None else {"source": question.source}
    wish = felt.Wish(question.stay_s or felt.STAY_S, question.heartbeat_s or felt.HEARTBEAT_S)
    window = question.window
    sources = describe(
        reader.rows("truechimer_pause", FIELDS, tags=named),
        reader.rows("truechimer_pause_window", WINDOW_FIELDS),
        window,
        wish,
        question.source,
    )
    processes = surroundings.processes(
        reader.rows("truechimer_process", surroundings.PROCESS_FIELDS, tags=named), window
    )
    heaps = surroundings.heaps(reader.rows("truechimer_heap", surroundings.HEAP_FIELDS, tags=named), window)
    if question.source is not None and not (sources or processes or heaps):
        raise _unknown(reader, question.source)
    # A disk is no source of pauses: who asks for a source does not ask for disks.
    disks = (
        []
        if named
        else surroundings.disks(reader.rows("truechimer_fsync", surroundings.FSYNC_FIELDS), window)
    )
    return {
        "asked": {"source": question.source, "stay_s": wish.stay_s, "heartbeat_s": wish.heartbeat_s},
        "sources": sources,
        "processes": processes,
        "heaps": heaps,
        "disks": disks,
    }


def _unknown(reader: Reader, source: str) -> UserError:
    every = reader.rows("truechimer_pause_window", ("observed_seconds",)).tags["source"]
    known = sorted(set(every.tolist()))
    hint = f"known sources: {', '.join(known[:20])}" if known else "no source has reported in this window"
    return UserError(f"no source {source!r} was watched in this window", hint=hint)
