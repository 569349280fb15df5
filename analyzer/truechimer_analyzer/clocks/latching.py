"""A condition over time, with a duration before it counts and a hysteresis before it counts no more.

Worked out anew from the samples that are stored: nothing is remembered, so every analyzer that reads the
same samples says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether each sample fulfils it, and for how many seconds it must last to count."""

    holds: NDArray[np.bool_]
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Latched:
    """``raised`` now, or ``pending``, or neither; ``since`` is the sample (its row) with which it began.

    ``due_ns``: when a pending condition will count; ``clears_ns``: when a raised one will be taken back,
    None while nothing speaks for that.
    """

    raised: bool = False
    pending: bool = False
    since: int = -1
    due_ns: int | None = None
    clears_ns: int | None = None


NOT_RAISED = Latched()


def latch(
    time_ns: NDArray[np.int64],
    now_ns: int,
    conditions: Sequence[Condition],
    clears: NDArray[np.bool_],
    keep_s: float = 0.0,
) -> Latched:
    """What samples at ascending ``time_ns`` make of a flag at ``now_ns``, each holding until the next one.

    Raised once any of ``conditions`` held without a break for as long as it must; from then on until
    ``clears`` held without a break for ``keep_s``. Samples that fulfil neither change nothing, but they do
    break what has to last.
    """
    if not len(time_ns):
        return NOT_RAISED
    ends_ns = np.append(time_ns, max(now_ns, int(time_ns[-1])))
    first, end = _runs(clears)
    since_ns, lasted_ns = ends_ns[first], ends_ns[end] - ends_ns[first]
    keep_ns = round(keep_s * NS)
    cleared_ns = (since_ns + keep_ns)[lasted_ns >= keep_ns]
    last_cleared_ns = int(cleared_ns[-1]) if len(cleared_ns) else int(time_ns[0])
    begun: list[int] = []
    waiting: list[tuple[int, int]] = []
    for condition in conditions:
        row, end = _runs(condition.holds)
        for_ns = round(condition.for_s * NS)
        counts = (ends_ns[end] - ends_ns[row] >= for_ns) & (ends_ns[row] >= last_cleared_ns)
        begun += row[counts][:1].tolist()
        if len(end) and end[-1] == len(time_ns):
            waiting.append((int(ends_ns[row[-1]]) + for_ns, int(row[-1])))
    if begun:
        clearing = bool(clears[-1])
        return Latched(
            raised=True, since=min(begun), clears_ns=int(since_ns[-1]) + keep_ns if clearing else None
        )
    if waiting:
        due_ns, row_of_it = min(waiting)
        return Latched(pending=True, since=row_of_it, due_ns=due_ns)
    return NOT_RAISED


def _runs(holds: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first row of each run of true values, and the row after its last."""
    padded = np.zeros(len(holds) + 2, dtype=np.int8)
    padded[1:-1] = holds
    edges = np.diff(padded)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
