"""Cassandra's φ: an exponential tail on the mean interval, so a multiple of the mean.

Apache Cassandra, src/java/org/apache/cassandra/gms/FailureDetector.java (trunk, 5.x; see CASSANDRA-2597): φ =
t / mean / ln 10, convicted when above phi_convict_threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.windows import sliding_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats

MAX_LOCAL_PAUSE_S = 5.0


def intervals_for(threshold: float) -> float:
    """How many mean intervals of silence convict: 18.42 at 8, 27.63 at 12."""
    return threshold * math.log(10)


@dataclass(frozen=True, slots=True)
class Cassandra:
    """Suspects after so many mean intervals of the last ``window``.

    The first interval is taken for ``first_s``, twice gossip's interval; longer ones than ``max_interval_s``
    (the same by default) are never learned, so long pauses are not either. ``stalls_s`` (k, 2), in order, are
    the monitor's own: after one of more than ``max_local_pause_s`` nobody is convicted for as long again.
    Conviction happens there at gossip's rounds of 1 s; here, at once.
    """

    threshold: float = 8.0
    window: int = 1000
    first_s: float = 2.0
    max_interval_s: float | None = None
    max_local_pause_s: float = MAX_LOCAL_PAUSE_S
    stalls_s: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"cassandra-φ({self.threshold:.4g})"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        if not len(heard.arrived_s):
            return np.empty(0)
        learned_s = np.empty(len(heard.arrived_s))
        learned_s[0] = self.first_s
        np.subtract(heard.arrived_s[1:], heard.arrived_s[:-1], out=learned_s[1:])
        most_s = self.first_s if self.max_interval_s is None else self.max_interval_s
        kept = learned_s <= most_s
        kept[0] = True
        if kept.all():
            deadline_s = sliding_mean(learned_s, self.window)
        else:
            deadline_s = sliding_mean(learned_s[kept], self.window)[np.cumsum(kept) - 1]
        deadline_s *= intervals_for(self.threshold)
        deadline_s += heard.arrived_s
        return self._spared(deadline_s)

    def _spared(self, deadline_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deadlines within an own long stall, or as long after it as that counts, move to its end."""
        for begin_s, end_s in self.stalls_s:
            if end_s - begin_s > self.max_local_pause_s:
                spared_until_s = end_s + self.max_local_pause_s
                deadline_s[(deadline_s >= begin_s) & (deadline_s < spared_until_s)] = spared_until_s
        return deadline_s
