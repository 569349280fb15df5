"""One path's heartbeats, replayed from its probes: when its peer was silent, and for how long. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.lines import Line

UNWATCHED_INTERVALS = 1.9
"""After so many intervals without a probe nobody looked: that is no silence of the peer."""
SLACK = 0.01
"""Probes are jittered: every 10th of probes every 0.1 s stands for one every second."""
# Of rare heartbeats so many phases are replayed: more of them tell the same again.
_MOST_PHASES = 60


@dataclass(slots=True)
class Heard:
    """One path's silences, phase by phase; ``ends`` says where in the arrays each phase ends."""

    begin_s: NDArray[np.float64]
    length_s: NDArray[np.float64]
    interval_s: float
    ends: list[int]
    trip_s: float
    is_unended: bool

    @property
    def phases(self) -> int:
        """In how many phases it was replayed."""
        return len(self.ends)

    def lengthen(self, began_s: NDArray[np.float64], lasted_s: NDArray[np.float64]) -> None:
        """Have the silences that stops (apart, in order) fall into last as they must; others are added."""
        if not len(began_s):
            return
        begins, lengths = [], []
        begin = 0
        for end in self.ends:
            begin_s, length_s = self.begin_s[begin:end], self.length_s[begin:end]
            begin = end
            least_s = lasted_s + self.interval_s
            at = np.searchsorted(begin_s, began_s, side="right") - 1
            inside = (at >= 0) & (began_s <= begin_s[at] + length_s[at]) if len(begin_s) else at >= 0
            hit = at[inside]
            until_s = began_s[inside] + lasted_s[inside]
            np.maximum.at(length_s, hit, np.maximum(least_s[inside], until_s - begin_s[hit]))
            begins.append(np.concatenate([begin_s, began_s[~inside]]))
            lengths.append(np.concatenate([length_s, least_s[~inside]]))
        self.begin_s, self.length_s = np.concatenate(begins), np.concatenate(lengths)
        self.ends = np.cumsum([len(each) for each in begins]).tolist()


def replay(line: Line, judged_s: float) -> Heard | None:
    """Its silences at a heartbeat every ``judged_s``, or as often as it was probed."""
    every = max(1, math.ceil(judged_s / line.gap_s * (1 - SLACK)))
    if every >= len(line.sent_s) / 2:
        return None
    interval_s = every * line.gap_s
    excess_s = line.delay_s - line.delay_s.min()
    # By time, not by number: probes that are missing shift no heartbeat.
    slot = np.floor((line.sent_s - line.sent_s[0]) / line.gap_s + 0.5).astype(np.int64) % every
    begins, lengths = [], []
    phases = np.unique(np.linspace(0, every - 1, min(every, _MOST_PHASES)).astype(np.int64))
    for phase in phases.tolist():
        own = np.flatnonzero(slot == phase) if every > 1 else slice(None)
        begin_s, length_s = _of_stream(line.sent_s[own], excess_s[own], interval_s)
        begins.append(begin_s)
        lengths.append(length_s)
    if not sum(map(len, begins)):
        return None
    return Heard(
        np.concatenate(begins),
        np.concatenate(lengths),
        interval_s,
        np.cumsum([len(each) for each in begins]).tolist(),
        float(line.delay_s.min()),
        not np.isfinite(line.delay_s[-every:]).any(),
    )


def _of_stream(
    sent_s: NDArray[np.float64], excess_s: NDArray[np.float64], interval_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beginnings and lengths of the silences of one stream of heartbeats, in order."""
    # When each heartbeat's predecessor was sent too long before it, nobody looked between them.
    gap = np.zeros(len(sent_s), dtype=np.bool_)
    gap[1:] = np.diff(sent_s) > UNWATCHED_INTERVALS * interval_s
    stretch = np.cumsum(gap)
    arrived = np.flatnonzero(np.isfinite(excess_s))
    if len(arrived) < 2:
        return np.zeros(0), np.zeros(0)
    arrival_s = sent_s[arrived] + excess_s[arrived]
    order = np.argsort(arrival_s, kind="stable")
    arrived, arrival_s = arrived[order], arrival_s[order]
    # The newest that has arrived, whatever the order in which they came.
    newest = np.maximum.accumulate(arrived)[:-1]
    until_s = arrival_s[1:].copy()
    torn = stretch[arrived][1:] != stretch[newest]
    if torn.any():
        # Lost ones before nobody looked: the peer lived, and was silent for as long as was looked at least.
        last_of_stretch = np.searchsorted(stretch, stretch[newest[torn]], side="right") - 1
        until_s[torn] = sent_s[last_of_stretch] + interval_s
    length_s = until_s - sent_s[newest]
    watched = (length_s > 0) & (~torn | (length_s > (1 + SLACK) * interval_s))
    return sent_s[newest][watched], length_s[watched]
