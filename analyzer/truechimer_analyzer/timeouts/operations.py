"""Probes as operations: which of them waited, which were lost, which count for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import ProbeOutcome, Via
from truechimer_analyzer.window import NS, encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

FIELDS = ("outcome", "rtt_seconds", "dscp")
_UNREACHABLE = (ProbeOutcome.HOST_UNREACHABLE, ProbeOutcome.NET_UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Path:
    """One direction that operations take; each DSCP class is one of its own."""

    cluster: str
    node: str
    peer: str
    via: str
    dscp: int = 0

    def __str__(self) -> str:
        class_ = f"/dscp{self.dscp}" if self.dscp else ""
        return f"path:{self.node}>{self.peer}/{self.via}{class_}"


@dataclass(frozen=True, slots=True)
class Operations:
    """Probes of one kind, as operations that either got a reply or were lost.

    ``rtt_s``, ``time_s`` (Unix seconds) and ``path`` (index into ``paths``) have one row per reply, in
    time order; ``lost_s`` the times of the lost ones, ``lost_path`` their paths. Refusals and
    unreachability answer at once, own stalls are the prober's fault: they are counted in ``others`` and
    are no operations. ``unreachable_s`` and ``unreachable_path`` are when and where there was no way: at
    once an answer to a request, and a loss to whoever waits for a heartbeat. ``unlisted``: of each path how
    many operations more there were, too quick to be listed; ``gap_s`` is then how far apart they were.
    """

    paths: tuple[Path, ...]
    rtt_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    path: NDArray[np.intp]
    lost_s: NDArray[np.float64]
    lost_path: NDArray[np.intp]
    others: dict[str, int]
    unreachable_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    unreachable_path: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    unlisted: NDArray[np.intp] | None = None
    gap_s: float | None = None

    @property
    def count(self) -> int:
        """Operations: replies and losses."""
        unlisted = 0 if self.unlisted is None else int(self.unlisted.sum())
        return len(self.rtt_s) + len(self.lost_s) + unlisted

    @property
    def by_path(self) -> NDArray[np.intp]:
        """Operations of each path."""
        counts = np.bincount(self.path, minlength=len(self.paths))
        counts = counts + np.bincount(self.lost_path, minlength=len(self.paths))
        return (counts if self.unlisted is None else counts + self.unlisted).astype(np.intp)

    @property
    def span_s(self) -> float:
        """From the first operation to the last."""
        every = np.concatenate([self.time_s, self.lost_s])
        return float(every.max() - every.min()) if len(every) else 0.0

    @property
    def rate_hz(self) -> float | None:
        """How often one path was probed, by the median path; None from single probes."""
        first_s, last_s = np.full(len(self.paths), np.inf), np.full(len(self.paths), -np.inf)
        for times_s, path in ((self.time_s, self.path), (self.lost_s, self.lost_path)):
            np.minimum.at(first_s, path, times_s)
            np.maximum.at(last_s, path, times_s)
        probed = last_s > first_s
        rates = (self.by_path[probed] - 1) / (last_s - first_s)[probed]
        return float(np.median(rates)) if len(rates) else None

    def between(self, since_s: float, until_s: float) -> Operations:
        """Those of [since_s, until_s)."""
        replies = (self.time_s >= since_s) & (self.time_s < until_s)
        lost = (self.lost_s >= since_s) & (self.lost_s < until_s)
        unreachable = (self.unreachable_s >= since_s) & (self.unreachable_s < until_s)
        return Operations(
            self.paths,
            self.rtt_s[replies],
            self.time_s[replies],
            self.path[replies],
            self.lost_s[lost],
            self.lost_path[lost],
            self.others,
            self.unreachable_s[unreachable],
            self.unreachable_path[unreachable],
        )


def operations(probes: Columns, via: Via | None = None) -> Operations:
    """The rows of truechimer_rtt (``FIELDS``) as operations; ``via`` keeps one kind of probe.

    What the kernel says of real connections is smoothed, and no operation of its own: it is left out.
    """
    ours = probes.tags["via"] != Via.KERNEL.value if via is None else probes.tags["via"] == via.value
    kept = np.flatnonzero(ours)
    kept = kept[np.argsort(probes.time_ns[kept], kind="stable")]
    path, paths = _paths(probes, kept)
    outcome, rtt_s = probes.fields["outcome"][kept], probes.fields["rtt_seconds"][kept]
    time_s = probes.time_ns[kept] / NS
    replied = (outcome == ProbeOutcome.REPLY) & np.isfinite(rtt_s)
    lost = outcome == ProbeOutcome.LOST
    unreachable = np.isin(outcome, _UNREACHABLE)
    others = {
        each.name.lower(): int(np.count_nonzero(outcome == each))
        for each in ProbeOutcome
        if each not in (ProbeOutcome.REPLY, ProbeOutcome.LOST)
    }
    return Operations(
        paths,
        rtt_s[replied],
        time_s[replied],
        path[replied],
        time_s[lost],
        path[lost],
        others,
        time_s[unreachable],
        path[unreachable],
    )


def _paths(probes: Columns, kept: NDArray[np.intp]) -> tuple[NDArray[np.intp], tuple[Path, ...]]:
    """Each row's path as a number, and the paths that the numbers stand for."""
    path, names = encode(*(probes.tags[tag][kept] for tag in ("cluster", "node", "peer", "via")))
    classes = probes.fields.get("dscp")
    dscp = np.zeros(len(kept)) if classes is None else np.nan_to_num(classes[kept])
    if not dscp.any():
        return path, tuple(Path(name[0], name[1], name[2], name[3]) for name in names)
    values, which = np.unique(dscp, return_inverse=True)
    found, number = np.unique(path * len(values) + which, return_inverse=True)
    paths = []
    for one in found.tolist():
        cluster, node, peer, via = names[one // len(values)]
        paths.append(Path(cluster, node, peer, via, int(values[one % len(values)])))
    return number.astype(np.intp), tuple(paths)
