"""When somebody was looking: the windows of a source, the stretches between them, and whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.pauses import plausible
from truechimer_analyzer.window import NS, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.window import Window

# Windows come every 10 s; three may be on their way.
STALE_S = 35.0
# Stamps of windows that follow each other differ by as much as their clock was corrected between them.
GAP_NS = 2 * NS
GAPS_SHOWN = 100
# What a window counts began within so long before its end, also where less of it was watched.
PERIOD_NS = 10 * NS


@dataclass(frozen=True, slots=True)
class Watched:
    """The stretches watched, as [begin, end] in Unix ns, apart and in order; ``observed_s`` in all.

    ``counted_from_ns`` and ``counted_to_ns`` are the stretches whose pauses the windows count: those
    watched, and all of each window, of which less was watched where its processes came or went in it.
    """

    observed_s: float
    begin_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    counted_from_ns: NDArray[np.int64]
    counted_to_ns: NDArray[np.int64]
    last_heard_ns: int | None

    def covers(self, time_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these times lie in a stretch whose pauses the windows count."""
        if not len(self.counted_from_ns):
            return np.zeros(len(time_ns), dtype=np.bool_)
        after = np.searchsorted(self.counted_from_ns, time_ns, side="right") - 1
        return (after >= 0) & (time_ns <= self.counted_to_ns[np.maximum(after, 0)])

    def age_s(self, window: Window) -> float | None:
        """How long before the answer's instant the source was last heard of; None: never."""
        return None if self.last_heard_ns is None else max(0.0, (window.as_of_ns - self.last_heard_ns) / NS)

    def state(self, window: Window) -> str:
        """``watched``, or ``unknown``: nobody has told anything for longer than the windows take."""
        age_s = self.age_s(window)
        return "watched" if age_s is not None and age_s <= STALE_S else "unknown"

    def unwatched(self, window: Window) -> list[tuple[int, int]]:
        """Stretches of the window in which nobody looked, as (from, to) in Unix ns.

        The newest windows may be on their way: the end counts only once they are overdue, by when they
        arrived and by their stamps.
        """
        if not len(self.begin_ns):
            return [(window.since_ns, window.as_of_ns)]
        begins = [window.since_ns, *self.end_ns.tolist()]
        ends = [*self.begin_ns.tolist(), window.as_of_ns]
        gaps = [(begin, end) for begin, end in zip(begins, ends, strict=True) if end - begin > GAP_NS]
        if self.state(window) == "watched" and gaps and gaps[-1][0] == int(self.end_ns[-1]):
            begin, end = gaps[-1]
            # A spool that is told late is heard of now, and says nothing of now.
            if end - begin <= STALE_S * NS:
                gaps.pop()
        return gaps

    def document(self, window: Window) -> dict[str, object]:
        """``state``, ages and gaps, as an answer has them."""
        gaps = self.unwatched(window)
        return {
            "state": self.state(window),
            "last_watched_s": self.age_s(window),
            "observed_s": self.observed_s,
            "unwatched_s": sum(end - begin for begin, end in gaps) / NS,
            "unwatched": [{"from": iso(begin), "to": iso(end)} for begin, end in gaps[-GAPS_SHOWN:]],
        }


def watched(windows: Columns, rows: NDArray[np.intp], window: Window, longest_s: float = np.inf) -> Watched:
    """From rows with ``observed_seconds``, each stamped at its end.

    ``longest_s``: how far before its end a window reaches at most, where ``observed_seconds`` adds up
    what several watched at once. An answer about now takes a source's age from arrivals: the stamps may
    be of a clock that is wrong.
    """
    observed_s = plausible.seconds(windows.fields["observed_seconds"][rows])
    rows, observed_s = rows[observed_s > 0], observed_s[observed_s > 0]
    none = np.zeros(0, dtype=np.int64)
    if not len(rows):
        return Watched(0.0, none, none, none, none, None)
    heard = windows.received_ns if window.open else windows.time_ns
    end_ns = windows.time_ns[rows]
    span_ns = (np.minimum(observed_s, longest_s) * NS).astype(np.int64)
    return Watched(
        float(observed_s.sum()),
        *_stretches(end_ns - span_ns, end_ns),
        *_stretches(end_ns - np.maximum(span_ns, PERIOD_NS), end_ns),
        int(heard[rows].max()),
    )


def _stretches(
    begin_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows that overlap or nearly touch, as one: beginnings and ends, in order."""
    order = np.argsort(begin_ns, kind="stable")
    begin_ns, end_ns = begin_ns[order], np.maximum.accumulate(end_ns[order])
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = begin_ns[1:] - end_ns[:-1] > GAP_NS
    return begin_ns[opens], end_ns[np.append(opens[1:], True)]
