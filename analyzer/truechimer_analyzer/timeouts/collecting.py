"""Probes as operations: which of them waited, which were lost, which count for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import ProbeOutcome, Via
from truechimer_analyzer.reading import split
from truechimer_analyzer.timeouts.listing import Listing
from truechimer_analyzer.timeouts.operations import Operations, Path
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns, Series

FIELDS = ("outcome", "rtt_seconds", "dscp")
PATH_TAGS = ("cluster", "node", "peer", "via")
_UNREACHABLE = (ProbeOutcome.HOST_UNREACHABLE, ProbeOutcome.NET_UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Probed:
    """One path's probes, ascending by ``time_s``, of equal times those with a reply first.

    ``rtt_s`` is NaN where none came back.
    """

    path: Path
    time_s: NDArray[np.float64]
    rtt_s: NDArray[np.float64]
    outcome: NDArray[np.float64]

    def rows(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Which got a reply, which were lost, which found no way; a reply before its request is none."""
        replied = (self.outcome == ProbeOutcome.REPLY) & np.isfinite(self.rtt_s) & (self.rtt_s >= 0)
        return replied, self.outcome == ProbeOutcome.LOST, np.isin(self.outcome, _UNREACHABLE)


class Collector:
    """Takes one path after the other, and makes operations of them all."""

    def __init__(self, listing: Listing) -> None:
        """``listing`` takes the replies of every path."""
        self._listing = listing
        self._paths: list[Path] = []
        self._lost_s: list[NDArray[np.float64]] = []
        self._unreachable_s: list[NDArray[np.float64]] = []
        self._outcomes = np.zeros(len(ProbeOutcome), dtype=np.intp)

    def add(self, probed: Probed) -> None:
        """The next path."""
        replied, lost, unreachable = probed.rows()
        time_s = probed.time_s
        self._paths.append(probed.path)
        self._listing.add(time_s[replied], probed.rtt_s[replied])
        self._lost_s.append(time_s[lost])
        self._unreachable_s.append(time_s[unreachable])
        for each in ProbeOutcome:
            self._outcomes[each] += np.count_nonzero(probed.outcome == each)

    def operations(self) -> Operations:
        """All that were added; paths are numbered in that order."""
        found = self._listing.listed()
        others = {
            each.name.lower(): int(self._outcomes[each])
            for each in ProbeOutcome
            if each not in (ProbeOutcome.REPLY, ProbeOutcome.LOST)
        }
        return Operations(
            tuple(self._paths),
            found.lasted_s,
            found.time_s,
            found.path,
            *_together(self._lost_s),
            others,
            *_together(self._unreachable_s),
            found.unlisted,
        )


def _together(times_s: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Every path's times in their order, and their paths."""
    time_s = np.concatenate([np.zeros(0), *times_s])
    path = np.repeat(np.arange(len(times_s)), [len(each) for each in times_s])
    order = np.argsort(time_s, kind="stable")
    return time_s[order], path[order].astype(np.intp)


def operations(probes: Columns, via: Via | None = None) -> Operations:
    """The rows of truechimer_rtt (``FIELDS``) as operations; ``via`` keeps one kind of probe."""
    edges_s = np.array([probes.time_ns.min(), probes.time_ns.max()] if len(probes) else [0, 0]) / NS
    collector = Collector(Listing(edges_s, None))
    for series in split(probes, PATH_TAGS):
        for probed in by_class(series):
            if via is None or probed.path.via == via.value:
                collector.add(probed)
    return collector.operations()


def by_class(series: Series) -> Iterator[Probed]:
    """The DSCP classes of one series of truechimer_rtt by ``PATH_TAGS``, each a path.

    What the kernel says of real connections is smoothed, and no operation of its own: it is left out.
    """
    cluster, node, peer, via = series.key
    if via == Via.KERNEL.value:
        return
    time_s, outcome, rtt_s = series.time_ns / NS, series.fields["outcome"], series.fields["rtt_seconds"]
    dscp = series.fields.get("dscp")
    if dscp is None or not (dscp > 0).any():
        yield _ordered(Probed(Path(cluster, node, peer, via), time_s, rtt_s, outcome))
        return
    dscp = np.where(dscp > 0, dscp, 0)
    for value in np.unique(dscp).tolist():
        own = dscp == value
        yield _ordered(
            Probed(Path(cluster, node, peer, via, int(value)), time_s[own], rtt_s[own], outcome[own])
        )


def _ordered(probed: Probed) -> Probed:
    time_s = probed.time_s
    if not (time_s[1:] == time_s[:-1]).any():
        return probed
    replied, _, _ = probed.rows()
    order = np.lexsort((~replied, time_s))
    return Probed(probed.path, time_s[order], probed.rtt_s[order], probed.outcome[order])
