"""What binds a timeout: the path, or the pause at one of its ends, that owns the top of the tail."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.pauses import plausible
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.operations import Operations

PAUSE_FIELDS = ("duration_seconds", "pauses")
TOP = 10
_HOST = "host"
DISK = "disk"


def lengths_s(pauses: Columns) -> NDArray[np.float64]:
    """How long each row's longest pause was at least: of a sum of several the mean, never the sum.

    NaN for a disk's (a slow fsync stops nobody but who waits for it), and for lengths that cannot be.
    """
    counts = plausible.counts(pauses.fields["pauses"])
    least_s = plausible.seconds(pauses.fields["duration_seconds"]) / np.where(counts > 1, counts, 1.0)
    return np.where(pauses.tags["runtime"] == DISK, np.nan, least_s)


def binding(operations: Operations, pauses: Columns, usual_s: float = 0.0) -> str:
    """``pause:CAUSE@NODE`` or ``path:NODE>PEER/VIA``: whoever owns most of the longest replies.

    Of the ``TOP`` longest (at most a hundredth of all, at least one). A pause of any source at either end
    owns a reply that it overlaps and of which it explains half at least, ``usual_s`` left out; whole hosts
    come before single processes, and the stamps of both are taken to within their own lengths. Pauses that
    were not seen singly explain no more than their mean. Disks are no pauses of a path: a slow fsync holds
    up who waits for it.
    """
    top = min(TOP, max(1, len(operations.rtt_s) // 100))
    # The longest first, and of equal ones the earliest.
    candidates = np.flatnonzero(operations.rtt_s >= np.partition(operations.rtt_s, -top)[-top])
    longest = candidates[np.argsort(-operations.rtt_s[candidates], kind="stable")][:top]
    least_s = lengths_s(pauses)
    owners = [_owner(operations, int(row), pauses, least_s, usual_s) for row in longest]
    counted = Counter(owners)
    return max(owners, key=lambda owner: counted[owner])


def _owner(
    operations: Operations, row: int, pauses: Columns, least_s: NDArray[np.float64], usual_s: float
) -> str:
    path = operations.paths[operations.path[row]]
    at_s, rtt_s = float(operations.time_s[row]), float(operations.rtt_s[row])
    near = np.abs(pauses.time_ns / NS - at_s) <= least_s + rtt_s
    node = pauses.tags["node"]
    mine = ((node == path.node) | (node == path.peer)) & (pauses.tags["cluster"] == path.cluster)
    explains = np.flatnonzero(near & mine & (least_s >= (rtt_s - usual_s) / 2) & (least_s > 0))
    if not len(explains):
        return str(path)
    of_host = explains[pauses.tags["runtime"][explains] == _HOST]
    candidates = of_host if len(of_host) else explains
    longest = candidates[np.argmax(least_s[candidates])]
    return f"pause:{pauses.tags['cause'][longest]}@{node[longest]}"
