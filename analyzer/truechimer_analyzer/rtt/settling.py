"""Which way a probe was lost while no later reply tells: the sender's count held against its peer's.

A node knows the direction of a loss from the reflector's own sequence number in the next reply. While one
direction is blocked no reply comes; then what the peer says it has seen of the session decides. Both speak
of their own steady clock, so the wall clocks, which may be wrong, play no part: the latest reply's bounds
place the peer's report in the node's steady time.

What remains possible is kept apart: ``Settled`` claims a loss for a direction only where every assignment
that fits both reports does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import ProbeOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# What has not reached the peer so long after it was sent never will.
ARRIVAL_S = 5.0
# Reports come every 10 s: those further apart have lost one between them.
ADJACENT_S = 15.0
# Of one oscillator against the other while nothing measures it: 500 ppm each (max_drift_ppm).
DRIFT = 1e-3


@dataclass(frozen=True, slots=True)
class Level:
    """The newest row of truechimer_path of one session: losses of which no later reply tells."""

    undetermined: int
    reflected_total: int
    steady_s: float
    epoch: int


@dataclass(frozen=True, slots=True)
class Probes:
    """Probes of the path since before its latest reply, in the order of ``steady_s`` (the node's S)."""

    time_ns: NDArray[np.int64]
    steady_s: NDArray[np.float64]
    epoch: NDArray[np.float64]
    outcome: NDArray[np.float64]
    rtt_s: NDArray[np.float64]
    lower_s: NDArray[np.float64]
    upper_s: NDArray[np.float64]
    peer_epoch: NDArray[np.float64]

    def is_lost(self) -> NDArray[np.bool_]:
        """Those without a reply: also where this host's own stall may be why none was seen."""
        stalled = (self.outcome == ProbeOutcome.OWN_STALL) & np.isnan(self.rtt_s)
        lost: NDArray[np.bool_] = (self.outcome == ProbeOutcome.LOST) | stalled
        return lost

    def only(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Probes:
        """Some of the rows."""
        return Probes(
            self.time_ns[rows],
            self.steady_s[rows],
            self.epoch[rows],
            self.outcome[rows],
            self.rtt_s[rows],
            self.lower_s[rows],
            self.upper_s[rows],
            self.peer_epoch[rows],
        )


@dataclass(frozen=True, slots=True)
class Reflections:
    """The peer's reports on the session, in the order of ``steady_s`` (the peer's S)."""

    steady_s: NDArray[np.float64]
    epoch: NDArray[np.float64]
    requests: NDArray[np.float64]
    seen_total: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settled:
    """Losses of the window that are certainly of a direction, and those of which it stays open."""

    forward: int
    backward: int
    undetermined: int


def settle(level: Level, probes: Probes, reflections: Reflections, since_ns: int) -> Settled:
    """Split the level's losses that were stamped from ``since_ns`` on."""
    mine = probes.only(probes.epoch == level.epoch)
    told = np.flatnonzero(
        np.isfinite(mine.lower_s) & np.isfinite(mine.upper_s) & (mine.steady_s <= level.steady_s)
    )
    if not len(told):
        return Settled(0, 0, level.undetermined)
    reply = int(told[-1])
    lost = np.flatnonzero(
        mine.is_lost() & (mine.steady_s > mine.steady_s[reply]) & (mine.steady_s <= level.steady_s)
    )[: level.undetermined]
    if len(lost) < level.undetermined:
        # Samples are missing, or the row speaks of another reply: nothing may be concluded.
        return Settled(0, 0, level.undetermined)
    earlier = int(np.count_nonzero(mine.time_ns[lost] < since_ns))
    within = level.undetermined - earlier
    best = Settled(0, 0, within)
    for begin_s, end_s, seen in _reports(level, mine, reply, reflections):
        least, most, due = _backward(mine, reply, lost, begin_s, end_s, seen)
        backward = max(0, least - earlier)
        forward = max(0, due - most - earlier)
        if backward + forward > best.backward + best.forward:
            best = Settled(forward, backward, within - forward - backward)
    return best


def _reports(
    level: Level, probes: Probes, reply: int, reflections: Reflections
) -> Iterator[tuple[float, float, int]]:
    """(earliest, latest) in the node's S, and what the peer had seen then since the latest reply.

    Only reports that continue without a break one from before that reply: a peer that began anew counts
    from zero, and after a gap its new count may look like the old one carried on.
    """
    rows = np.flatnonzero(reflections.epoch == probes.peer_epoch[reply])
    begin_s, end_s = placed(reflections.steady_s[rows], probes, reply)
    before = np.flatnonzero(end_s < probes.steady_s[reply])
    if not len(before):
        return
    base = int(before[-1])
    steady_s = reflections.steady_s[rows]
    seen_total, requests = reflections.seen_total[rows], reflections.requests[rows]
    if not 1 <= seen_total[base] <= level.reflected_total:
        return
    for row in range(base + 1, len(rows)):
        continues = seen_total[row] - requests[row] == seen_total[row - 1]
        if not continues or steady_s[row] - steady_s[row - 1] > ADJACENT_S:
            return
        if seen_total[row] >= level.reflected_total:
            yield float(begin_s[row]), float(end_s[row]), int(seen_total[row]) - level.reflected_total


def placed(
    peer_s: NDArray[np.float64], probes: Probes, reply: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the peer's S as the node's S, by one reply's bounds of S_peer − S_node."""
    at_s = probes.steady_s[reply]
    begin_s, end_s = peer_s - probes.upper_s[reply], peer_s - probes.lower_s[reply]
    return begin_s - DRIFT * np.abs(begin_s - at_s), end_s + DRIFT * np.abs(end_s - at_s)


def _backward(
    probes: Probes, reply: int, lost: NDArray[np.intp], begin_s: float, end_s: float, seen: int
) -> tuple[int, int, int]:
    """The least and the most of the losses of which the peer saw the probe, and how many losses are due.

    A loss is due when its probe had had the time to arrive. Of what the peer saw since the latest reply,
    whatever was sent in that time and is no due loss may be a part.
    """
    due = int(np.searchsorted(probes.steady_s[lost], begin_s - ARRIVAL_S, side="right"))
    # A probe may be on its way while the reply to an earlier one arrives.
    from_s = probes.steady_s[reply] - probes.rtt_s[reply]
    # Probes end in order but for the timeout: all before the newest lost one are in the rows.
    known_s = float(probes.steady_s[probes.is_lost()][-1])
    sent = np.count_nonzero((probes.steady_s >= from_s) & (probes.steady_s <= min(end_s, known_s)))
    others = int(sent) - 1 - due
    if end_s > known_s:
        spacing_s = float(np.median(np.diff(probes.steady_s)))
        others += int(np.ceil((end_s - known_s) / spacing_s)) if spacing_s > 0 else seen
    return min(due, max(0, seen - others)), min(due, seen), due
