"""What binds a timeout: the path, or the pause of a host, that owns the top of the tail."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.operations import Operations

PAUSE_FIELDS = ("duration_seconds",)
TOP = 10


def binding(operations: Operations, pauses: Columns) -> str:
    """``pause:CAUSE@NODE`` or ``path:NODE>PEER/VIA``: whoever owns most of the longest replies.

    Of the ``TOP`` longest (at most a hundredth of all, at least one). A pause owns a reply that it
    overlaps and at least half explains; the stamps of both are taken to within their own lengths.
    """
    top = min(TOP, max(1, len(operations.rtt_s) // 100))
    longest = np.argsort(-operations.rtt_s, kind="stable")[:top]
    owners = [_owner(operations, int(row), pauses) for row in longest]
    counted = Counter(owners)
    return max(owners, key=lambda owner: counted[owner])


def _owner(operations: Operations, row: int, pauses: Columns) -> str:
    path = operations.paths[operations.path[row]]
    at_s, rtt_s = float(operations.time_s[row]), float(operations.rtt_s[row])
    lengths = pauses.fields["duration_seconds"]
    near = np.abs(pauses.time_ns / NS - at_s) <= lengths + rtt_s
    mine = (pauses.tags["node"] == path.node) & (pauses.tags["cluster"] == path.cluster)
    explains = np.flatnonzero(near & mine & (lengths >= rtt_s / 2))
    if not len(explains):
        return str(path)
    longest = explains[np.argmax(lengths[explains])]
    return f"pause:{pauses.tags['cause'][longest]}@{path.node}"
