"""What a detector's deadlines were worth: Chen's T_D, T_MR, T_M and P_A, measured (TC 51(5) 2002, section 2).

The peer is taken to live throughout. What its heartbeats meet is real; its crash is imagined, at a moment
drawn evenly from the time observed, and all means over it are integrals, not samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats, Requests

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quality:
    """A detector over the time that was observed, ``observed_s`` long.

    ``begins_s`` (mistakes,) is when each suspicion of the live peer began, ``lengths_s`` how long it lasted
    (the last may be cut off by the end: ``open``). ``detection_*_s`` is from a crash to the suspicion that
    stays. None where nothing was observed.
    """

    begins_s: Floats
    lengths_s: Floats
    observed_s: float
    open: bool
    detection_min_s: float | None
    detection_mean_s: float | None
    detection_max_s: float | None

    @property
    def mistakes(self) -> int:
        """How often the live peer was suspected."""
        return len(self.begins_s)

    @property
    def mistake_mean_s(self) -> float | None:
        """T_M: how long a mistake lasts."""
        return float(self.lengths_s.mean()) if len(self.lengths_s) else None

    @property
    def recurrence_mean_s(self) -> float | None:
        """T_MR: from one mistake's beginning to the next one's; None below two mistakes."""
        if self.mistakes < 2:
            return None
        return float((self.begins_s[-1] - self.begins_s[0]) / (self.mistakes - 1))

    @property
    def accuracy(self) -> float | None:
        """P_A: the share of the time in which the live peer was trusted."""
        if self.observed_s <= 0:
            return None
        return 1.0 - float(self.lengths_s.sum()) / self.observed_s


def judge(
    heard: Heartbeats, deadline_s: Floats, since_s: float = -np.inf, until_s: float = np.inf
) -> Quality:
    """Deadlines (m,) against what came next, over [since_s, until_s) of the time observed.

    That begins with the first arrival. Counted are the mistakes that begin within, up to its end.
    """
    arrived_s = heard.arrived_s
    first = max(0, int(np.searchsorted(arrived_s, since_s, side="right")) - 1)
    last = int(np.searchsorted(arrived_s, until_s, side="left"))
    if first >= last:
        return Quality(np.empty(0), np.empty(0), 0.0, False, None, None, None)
    since_s = max(since_s, float(arrived_s[0]))
    until_s = min(until_s, heard.until_s)
    here_s, deadline_s = arrived_s[first:last], deadline_s[first:last]
    begins_s, lengths_s, is_open = _mistakes(here_s, deadline_s, since_s, until_s)
    least_s, mean_s, most_s = _detection(heard, deadline_s, slice(first, last))
    return Quality(begins_s, lengths_s, until_s - since_s, is_open, least_s, mean_s, most_s)


def suspicions_s(heard: Heartbeats, deadline_s: Floats, until_s: float) -> Floats:
    """When each mistake before ``until_s`` began: what ``judge`` calls ``begins_s``, without the rest."""
    last = int(np.searchsorted(heard.arrived_s, until_s, side="left"))
    until_s = min(until_s, heard.until_s)
    return _mistakes(heard.arrived_s[:last], deadline_s[:last], -np.inf, until_s)[0]


def by_window(heard: Heartbeats, deadline_s: Floats, window_s: float) -> list[Quality]:
    """``judge`` for each ``window_s`` of the time observed, from the first arrival on."""
    if not len(heard.arrived_s):
        return []
    begin_s = float(heard.arrived_s[0])
    count = max(1, int(np.ceil((heard.until_s - begin_s) / window_s)))
    edges_s = begin_s + window_s * np.arange(count + 1)
    return [judge(heard, deadline_s, since_s, until_s) for since_s, until_s in pairwise(edges_s.tolist())]


def _mistakes(
    here_s: Floats, deadline_s: Floats, since_s: float, until_s: float
) -> tuple[Floats, Floats, bool]:
    """Suspicions from the gaps between arrivals in which one was in force; one may last over several gaps."""
    wrong = np.flatnonzero(deadline_s[:-1] < here_s[1:])
    # After the last arrival, nothing came until the end.
    if len(here_s) and deadline_s[-1] < until_s:
        wrong = np.append(wrong, len(here_s) - 1)
    if not len(wrong):
        return np.empty(0), np.empty(0), False
    # An arrival whose own deadline is over already does not end the suspicion before it (NFD-E, figure 9).
    overdue = deadline_s[wrong] <= here_s[wrong]
    goes_on = np.zeros(len(wrong), dtype=np.bool_)
    goes_on[1:] = overdue[1:] & (np.diff(wrong) == 1)
    starts = np.flatnonzero(~goes_on)
    begins_s = np.maximum(deadline_s[wrong], here_s[wrong])[starts]
    stops = np.append(starts[1:] - 1, len(wrong) - 1)
    nexts = wrong[stops] + 1
    over = nexts >= len(here_s)
    ends_s = np.where(over, until_s, here_s[np.minimum(nexts, len(here_s) - 1)])
    within = (begins_s >= since_s) & (begins_s < until_s)
    lengths_s = np.minimum(ends_s, until_s) - begins_s
    return begins_s[within], lengths_s[within], bool(over[-1])


def _detection(heard: Heartbeats, deadline_s: Floats, rows: slice) -> tuple[float, float, float]:
    """Least, mean and greatest of max(0, deadline − crash) over crashes between the first and last sending.

    Of heartbeats sent before the crash those on their way still arrive: between the sending of one fresh
    heartbeat and that of the next, the deadline that counts is the last before that next one's arrival.
    """
    sent_s = heard.sent_s[rows]
    if heard.fresh is not None:
        fresh = np.flatnonzero(heard.fresh[rows])
        fresh = fresh if len(fresh) else np.zeros(1, dtype=np.intp)
        deadline_s = deadline_s[np.append(fresh[1:] - 1, len(sent_s) - 1)]
        sent_s = sent_s[fresh]
    # The peer is thought to send on at its interval after the last that was heard of.
    final_s = sent_s[-1] + heard.interval_s
    longest = max(float(deadline_s[-1] - sent_s[-1]), 0.0)
    shortest = max(float(deadline_s[-1] - final_s), 0.0)
    area = (longest * longest - shortest * shortest) / 2
    if len(sent_s) > 1:
        ahead_s = deadline_s[:-1] - sent_s[:-1]
        np.maximum(ahead_s, 0.0, out=ahead_s)
        longest = max(longest, float(ahead_s.max()))
        area += float(np.square(ahead_s, out=ahead_s).sum()) / 2
        np.subtract(deadline_s[:-1], sent_s[1:], out=ahead_s)
        np.maximum(ahead_s, 0.0, out=ahead_s)
        shortest = min(shortest, float(ahead_s.min()))
        area -= float(np.square(ahead_s, out=ahead_s).sum()) / 2
    return shortest, area / float(final_s - sent_s[0]), longest


@dataclass(frozen=True, slots=True)
class RequestQuality:
    """A detector of requests: ``late`` (n,) are the replies that came after the timeout, its mistakes."""

    operations: int
    lost: int
    late: NDArray[np.bool_]
    timeout_min_s: float | None
    timeout_mean_s: float | None
    timeout_max_s: float | None

    @property
    def mistakes(self) -> int:
        """How many replies came too late."""
        return int(np.count_nonzero(self.late))


def judge_requests(asked: Requests, timeout_s: Floats, rows: slice = slice(None)) -> RequestQuality:
    """Timeouts (n,) against replies; a lost request (NaN) is a true timeout, so no mistake.

    The timeout is the detection time, as from the sending of a request to a peer that has crashed.
    """
    rtt_s, timeout_s = asked.rtt_s[rows], timeout_s[rows]
    late = rtt_s > timeout_s
    lost = int(np.count_nonzero(np.isnan(rtt_s)))
    if not len(rtt_s):
        return RequestQuality(0, 0, late, None, None, None)
    return RequestQuality(
        len(rtt_s), lost, late, float(timeout_s.min()), float(timeout_s.mean()), float(timeout_s.max())
    )
