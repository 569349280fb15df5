"""When somebody was looking: the windows of a source, the stretches between them, and whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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


@dataclass(frozen=True, slots=True)
class Watched:
    """The stretches watched, as [begin, end] in Unix ns, apart and in order; ``observed_s`` in all."""

    observed_s: float
    begin_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    last_heard_ns: int | None

    def covers(self, time_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these times lie in a stretch that was watched."""
        if not len(self.begin_ns):
            return np.zeros(len(time_ns), dtype=np.bool_)
        after = np.searchsorted(self.begin_ns, time_ns, side="right") - 1
        return (after >= 0) & (time_ns <= self.end_ns[np.maximum(after, 0)])

    def age_s(self, window: Window) -> float | None:
        """How long before the answer's instant the source was last heard of; None: never."""
        return None if self.last_heard_ns is None else max(0.0, (window.as_of_ns - self.last_heard_ns) / NS)

    def state(self, window: Window) -> str:
        """``watched``, or ``unknown``: nobody has told anything for longer than the windows take."""
        age_s = self.age_s(window)
        return "watched" if age_s is not None and age_s <= STALE_S else "unknown"

    def unwatched(self, window: Window) -> list[tuple[int, int]]:
        """Stretches of the window in which nobody looked, as (from, to) in Unix ns.

        The newest windows may be on their way: the end counts only once they are overdue.
        """
        if not len(self.begin_ns):
            return [(window.since_ns, window.as_of_ns)]
        begins = [window.since_ns, *self.end_ns.tolist()]
        ends = [*self.begin_ns.tolist(), window.as_of_ns]
        gaps = [(begin, end) for begin, end in zip(begins, ends, strict=True) if end - begin > GAP_NS]
        if self.state(window) == "watched" and gaps and gaps[-1][0] == int(self.end_ns[-1]):
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


def watched(windows: Columns, rows: NDArray[np.intp], window: Window) -> Watched:
    """From rows with ``observed_seconds``, each stamped at its end.

    An answer about now takes a source's age from arrivals: the stamps may be of a clock that is wrong.
    """
    observed_s = windows.fields["observed_seconds"][rows]
    rows = rows[np.isfinite(observed_s) & (observed_s > 0)]
    none = np.zeros(0, dtype=np.int64)
    if not len(rows):
        return Watched(0.0, none, none, None)
    observed_s = windows.fields["observed_seconds"][rows]
    heard = windows.received_ns if window.open else windows.time_ns
    last_heard_ns = int(heard[rows].max())
    end_ns = windows.time_ns[rows]
    begin_ns = end_ns - (np.minimum(observed_s, 1e9) * NS).astype(np.int64)
    order = np.argsort(begin_ns, kind="stable")
    begin_ns, end_ns = begin_ns[order], np.maximum.accumulate(end_ns[order])
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = begin_ns[1:] - end_ns[:-1] > GAP_NS
    closes = np.append(opens[1:], True)
    return Watched(float(observed_s.sum()), begin_ns[opens], end_ns[closes], last_heard_ns)
