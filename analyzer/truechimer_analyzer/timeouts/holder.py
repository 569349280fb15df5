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
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

WINDOW_FIELDS = ("observed_seconds",)


@dataclass(frozen=True, slots=True)
class Holder:
    """Stops of all nodes, those of one node that overlap as one: when (Unix s) and how long, one row each.

    ``watched_s``: how long each (cluster, node) was watched; ``node`` counts in its order.
    """

    began_s: NDArray[np.float64]
    lasted_s: NDArray[np.float64]
    node: NDArray[np.intp]
    watched_s: Mapping[tuple[str, str], float]

    @property
    def observed_s(self) -> float:
        """Node-seconds watched."""
        return sum(self.watched_s.values())

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

    A node was watched for as long as the best watched of its sources was; stops of one that was not watched
    do not count.
    """
    least_s = lengths_s(pauses)
    kept = np.flatnonzero(np.isfinite(least_s) & (least_s > 0))
    stops: dict[tuple[str, ...], NDArray[np.intp]] = {
        key: kept[rows] for key, rows in groups(pauses.tags["cluster"][kept], pauses.tags["node"][kept])
    }
    watched: dict[tuple[str, str], float] = {}
    seconds = plausible.seconds(windows.fields["observed_seconds"])
    for (cluster, node, _, runtime), rows in groups(
        *(windows.tags[tag] for tag in ("cluster", "node", "source", "runtime"))
    ):
        if runtime != DISK:
            watched_s = float(np.nansum(seconds[rows]))
            watched[cluster, node] = max(watched.get((cluster, node), 0.0), watched_s)
    begans, lasteds, nodes = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, dtype=np.intp)]
    for index, key in enumerate(watched):
        if (own := stops.get(key)) is not None:
            began_s, lasted_s = _merged(pauses.time_ns[own] / NS, least_s[own])
            begans.append(began_s)
            lasteds.append(lasted_s)
            nodes.append(np.full(len(began_s), index, dtype=np.intp))
    return Holder(np.concatenate(begans), np.concatenate(lasteds), np.concatenate(nodes), watched)


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
