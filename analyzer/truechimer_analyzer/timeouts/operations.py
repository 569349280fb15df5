"""Probes as operations: which of them waited, which were lost, which count for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import ProbeOutcome, Via
from truechimer_analyzer.window import NS, encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

FIELDS = ("outcome", "rtt_seconds")


@dataclass(frozen=True, slots=True)
class Path:
    """One direction that operations take."""

    cluster: str
    node: str
    peer: str
    via: str

    def __str__(self) -> str:
        return f"path:{self.node}>{self.peer}/{self.via}"


@dataclass(frozen=True, slots=True)
class Operations:
    """Probes of one kind, as operations that either got a reply or were lost.

    ``rtt_s``, ``time_s`` (Unix seconds) and ``path`` (index into ``paths``) have one row per reply, in
    time order; ``lost_s`` the times of the lost ones, ``lost_path`` their paths. Refusals and
    unreachability answer at once, own stalls are the prober's fault: they are counted in ``others`` and
    are no operations.
    """

    paths: tuple[Path, ...]
    rtt_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    path: NDArray[np.intp]
    lost_s: NDArray[np.float64]
    lost_path: NDArray[np.intp]
    others: dict[str, int]

    @property
    def count(self) -> int:
        """Operations: replies and losses."""
        return len(self.rtt_s) + len(self.lost_s)

    @property
    def by_path(self) -> NDArray[np.intp]:
        """Operations of each path."""
        every = np.concatenate([self.path, self.lost_path])
        return np.bincount(every, minlength=len(self.paths)).astype(np.intp)

    @property
    def span_s(self) -> float:
        """From the first operation to the last."""
        every = np.concatenate([self.time_s, self.lost_s])
        return float(every.max() - every.min()) if len(every) else 0.0

    @property
    def rate_hz(self) -> float | None:
        """How often one path was probed, by the median path; None from single probes."""
        every_s = np.concatenate([self.time_s, self.lost_s])
        every_path = np.concatenate([self.path, self.lost_path])
        rates = []
        for index in range(len(self.paths)):
            times = every_s[every_path == index]
            span_s = float(times.max() - times.min()) if len(times) else 0.0
            if span_s > 0:
                rates.append((len(times) - 1) / span_s)
        return float(np.median(rates)) if rates else None

    def between(self, since_s: float, until_s: float) -> Operations:
        """Those of [since_s, until_s)."""
        replies = (self.time_s >= since_s) & (self.time_s < until_s)
        lost = (self.lost_s >= since_s) & (self.lost_s < until_s)
        return Operations(
            self.paths,
            self.rtt_s[replies],
            self.time_s[replies],
            self.path[replies],
            self.lost_s[lost],
            self.lost_path[lost],
            self.others,
        )


def operations(probes: Columns, via: Via | None = None) -> Operations:
    """The rows of truechimer_rtt (``FIELDS``) as operations; ``via`` keeps one kind of probe.

    What the kernel says of real connections is smoothed, and no operation of its own: it is left out.
    """
    ours = probes.tags["via"] != Via.KERNEL.value if via is None else probes.tags["via"] == via.value
    kept = np.flatnonzero(ours)
    kept = kept[np.argsort(probes.time_ns[kept], kind="stable")]
    path, names = encode(*(probes.tags[tag][kept] for tag in ("cluster", "node", "peer", "via")))
    outcome, rtt_s = probes.fields["outcome"][kept], probes.fields["rtt_seconds"][kept]
    time_s = probes.time_ns[kept] / NS
    replied = (outcome == ProbeOutcome.REPLY) & np.isfinite(rtt_s)
    lost = outcome == ProbeOutcome.LOST
    others = {
        each.name.lower(): int(np.count_nonzero(outcome == each))
        for each in ProbeOutcome
        if each not in (ProbeOutcome.REPLY, ProbeOutcome.LOST)
    }
    return Operations(
        tuple(Path(*name) for name in names),
        rtt_s[replied],
        time_s[replied],
        path[replied],
        time_s[lost],
        path[lost],
        others,
    )
