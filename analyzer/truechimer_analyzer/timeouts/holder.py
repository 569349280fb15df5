"""How often and how long those who hold leases stop, by what was recorded of hosts and processes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.pauses import plausible
from truechimer_analyzer.timeouts import lease
from truechimer_analyzer.timeouts.binding import DISK, lengths_s
from truechimer_analyzer.window import NS, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

WINDOW_FIELDS = ("observed_seconds",)


@dataclass(frozen=True, slots=True)
class Holder:
    """Stops of all nodes, those of one node that overlap as one; ``observed_s``: node-seconds watched."""

    began_s: NDArray[np.float64]
    lasted_s: NDArray[np.float64]
    observed_s: float

    @property
    def longest_s(self) -> float | None:
        """The longest stop; None: nobody looked."""
        if self.observed_s <= 0:
            return None
        return float(self.lasted_s.max()) if len(self.lasted_s) else 0.0

    def violations(self, guard_s: float) -> dict[str, float] | None:
        """How often a year a node stops for longer than ``guard_s``; None: nobody looked."""
        if self.observed_s <= 0:
            return None
        estimate, upper = lease.violations(self.began_s, self.lasted_s, self.observed_s, guard_s)
        return {"estimate": estimate, "upper": upper}


def holder_of(pauses: Columns, windows: Columns) -> Holder:
    """From rows of truechimer_pause and truechimer_pause_window; disks stop nobody but who waits for them.

    A node was watched for as long as the best watched of its sources was.
    """
    least_s = lengths_s(pauses)
    kept = np.flatnonzero(np.isfinite(least_s) & (least_s > 0))
    begans, lasteds = [np.zeros(0)], [np.zeros(0)]
    for _, rows in groups(pauses.tags["cluster"][kept], pauses.tags["node"][kept]):
        own = kept[rows]
        began_s, lasted_s = _merged(pauses.time_ns[own] / NS, least_s[own])
        begans.append(began_s)
        lasteds.append(lasted_s)
    observed: dict[tuple[str, str], float] = {}
    seconds = plausible.seconds(windows.fields["observed_seconds"])
    for (cluster, node, _, runtime), rows in groups(
        *(windows.tags[tag] for tag in ("cluster", "node", "source", "runtime"))
    ):
        if runtime != DISK:
            watched_s = float(np.nansum(seconds[rows]))
            observed[cluster, node] = max(observed.get((cluster, node), 0.0), watched_s)
    return Holder(np.concatenate(begans), np.concatenate(lasteds), sum(observed.values()))


def _merged(
    began_s: NDArray[np.float64], lasted_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stops that overlap, as one: the same stop seen of the host and of its processes is one stop."""
    order = np.argsort(began_s, kind="stable")
    began_s, lasted_s = began_s[order], lasted_s[order]
    until_s = np.maximum.accumulate(began_s + lasted_s)
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = began_s[1:] > until_s[:-1]
    closes = np.append(opens[1:], True)
    return began_s[opens], until_s[closes] - began_s[opens]
