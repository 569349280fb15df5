"""What timeouts would have cost: fitted on the past, judged on what followed, several times over.

The evidence is cut into equal spans. Each but the first is judged by what all before it advised; detectors
that learn as they go have seen it too. There are two forms. ``request``: a reply after the timeout in force
is a mistake, a lost one is not; the timeout is the detection time. ``heartbeat``: replies are heartbeats at
the
median interval of the probes; a suspicion of the peer is a mistake, also when losses cause it; detection is
from a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors import (
    Akka,
    Bertier,
    Cassandra,
    Detector,
    Fixed,
    Jacobson,
    NfdE,
    Percentile,
    RequestDetector,
    TwoWindow,
    judge,
    judge_requests,
)
from truechimer_analyzer.timeouts.streams import Stream, streams
from truechimer_analyzer.timeouts.tail import measure
from truechimer_analyzer.window import NS, iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_analyzer.timeouts.operations import Operations

SPANS = 5
WINDOW_S = 3600.0
# What programs come with: impatient, TCP's first retransmission of a SYN, and a common HTTP default.
DEFAULTS_S = (0.1, 1.0, 5.0)
# The target itself and less strict ones, so that predictions are put to the test where mistakes are seen.
TARGETS = (1.0, 10.0, 100.0)
REQUESTS: tuple[RequestDetector, ...] = (
    *(Fixed(timeout_s) for timeout_s in DEFAULTS_S),
    *(Percentile(factor, every=100) for factor in (1.0, 2.0, 3.0)),
    Jacobson(),
    Jacobson(k=8.0),
    Jacobson(least_s=0.2),
)
# Margins are not these detectors' defaults, as they have none: they are fitted.
FITTED: dict[str, Callable[[float], Detector]] = {"nfd-e": NfdE, "2w-fd": TwoWindow, "silence": Fixed}


def shipped(interval_s: float) -> tuple[Detector, ...]:
    """Detectors as their programs ship them, told how often heartbeats come."""
    return (
        Akka(heartbeat_s=interval_s),
        Akka(threshold=12.0, heartbeat_s=interval_s),
        Cassandra(first_s=2 * interval_s),
        Cassandra(threshold=12.0, first_s=2 * interval_s),
        Bertier(),
    )


@dataclass(frozen=True, slots=True)
class Fold:
    """One span judged; ``predicted_upper`` is per operation, None where nothing was predicted."""

    since_s: float
    until_s: float
    operations: int
    mistakes_s: tuple[float, ...]
    detection_s: float | None
    predicted_upper: float | None = None

    def document(self, per_month: float) -> dict[str, object]:
        """The fold in the contract's units."""
        return {
            "from": iso(round(self.since_s * NS)),
            "to": iso(round(self.until_s * NS)),
            "operations": self.operations,
            "mistakes": len(self.mistakes_s),
            "mistakes_per_month": _rate(len(self.mistakes_s), self.operations, per_month),
            "predicted_upper_per_month": None
            if self.predicted_upper is None
            else self.predicted_upper * per_month,
            "detection_mean_s": self.detection_s,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One detector over all folds."""

    detector: str
    form: str
    fitted: bool
    folds: list[Fold] = field(default_factory=list)

    @property
    def mistakes(self) -> int:
        """Live peers timed out or suspected."""
        return sum(len(fold.mistakes_s) for fold in self.folds)

    @property
    def operations(self) -> int:
        """Operations judged."""
        return sum(fold.operations for fold in self.folds)

    def document(self, per_month: float) -> dict[str, object]:
        """As the contract's ``backtest`` has it; means over folds are weighted by their operations."""
        predicted = self._mean([fold.predicted_upper for fold in self.folds])
        return {
            "detector": self.detector,
            "form": self.form,
            "fitted": self.fitted,
            "operations": self.operations,
            "mistakes": self.mistakes,
            "mistakes_per_month": _rate(self.mistakes, self.operations, per_month),
            "predicted_upper_per_month": None if predicted is None else predicted * per_month,
            "detection_mean_s": self._mean([fold.detection_s for fold in self.folds]),
            "worst_window": self._worst_window(),
            "folds": [fold.document(per_month) for fold in self.folds],
        }

    def _mean(self, values: list[float | None]) -> float | None:
        told = [
            (value, fold.operations)
            for value, fold in zip(values, self.folds, strict=True)
            if value is not None
        ]
        if not told:
            return None
        return float(np.average([value for value, _ in told], weights=[count for _, count in told]))

    def _worst_window(self) -> str | None:
        """The hour with the most mistakes."""
        mistakes_s = [at_s for fold in self.folds for at_s in fold.mistakes_s]
        if not mistakes_s:
            return None
        hours, counts = np.unique(np.floor(np.array(mistakes_s) / WINDOW_S), return_counts=True)
        return iso(int(hours[np.argmax(counts)] * WINDOW_S) * NS)


def backtest(operations: Operations, target: float, per_month: float) -> list[dict[str, object]]:
    """Walk-forward over every detector: the advised timeouts first, then what learns, then what is shipped.

    ``target`` is a probability per operation, ``per_month`` how many operations a month has. Where the past
    cannot support a target, its strictest timeout is tried. Empty when there is no past with a reply, or
    nothing after it. Detectors that learn are replayed on the most probed ``streams.MOST_PATHS`` paths.
    """
    edges_s = _edges(operations)
    if not edges_s:
        return []
    paths = streams(operations)
    trials = [
        *_advised(operations, edges_s, target),
        *(_requests(detector, paths, edges_s) for detector in REQUESTS),
        *(_fitted(name, of, paths, edges_s, target) for name, of in FITTED.items()),
        *_shipped(paths, edges_s),
    ]
    return [trial.document(per_month) for trial in trials if trial.operations]


def _edges(operations: Operations) -> list[float]:
    """Where spans begin and end, from the first that has a past with replies; empty without one."""
    if not len(operations.rtt_s) or operations.span_s <= 0:
        return []
    begin_s = float(min(operations.time_s.min(), operations.lost_s.min(initial=np.inf)))
    edges_s = (begin_s + operations.span_s * np.arange(SPANS + 1) / SPANS).tolist()
    # The very last operation is part of the last span.
    edges_s[-1] = float(np.nextafter(edges_s[-1], np.inf))
    first_s = float(operations.time_s.min())
    return [edge_s for edge_s in edges_s[1:] if edge_s > first_s]


def _advised(operations: Operations, edges_s: list[float], target: float) -> list[Trial]:
    """The fixed timeouts that would have been advised at the end of each span, for each target."""
    folds: list[list[tuple[float, Fold]]] = [[] for _ in TARGETS]
    for since_s, until_s in pairwise(edges_s):
        past, judged = operations.between(-np.inf, since_s), operations.between(since_s, until_s)
        if not judged.count:
            continue
        tail = measure(past.rtt_s, past.time_s, past.path, past.by_path)
        for each, factor in zip(folds, TARGETS, strict=True):
            fitted = tail.smallest(min(1.0, target * factor)) or tail.strictest()
            late_s = judged.time_s[judged.rtt_s > fitted.timeout_s]
            fold = Fold(
                since_s, until_s, judged.count, tuple(late_s.tolist()), fitted.timeout_s, fitted.upper
            )
            each.append((fitted.timeout_s, fold))
    trials: dict[str, Trial] = {}
    for each in folds:
        if each:
            name = f"fixed({_range([timeout_s for timeout_s, _ in each])})"
            trials.setdefault(name, Trial(name, "request", True, [fold for _, fold in each]))
    return list(trials.values())


def _requests(detector: RequestDetector, paths: list[Stream], edges_s: list[float]) -> Trial:
    timeouts_s = [detector.timeouts_s(path.requests) for path in paths]
    trial = Trial(detector.name, "request", False)
    for since_s, until_s in pairwise(edges_s):
        count, mistakes_s, weighted_s = 0, [], 0.0
        for path, timeout_s in zip(paths, timeouts_s, strict=True):
            rows = path.rows(since_s, until_s)
            found = judge_requests(path.requests, timeout_s, rows)
            count += found.operations
            mistakes_s += path.time_s[rows][found.late].tolist()
            weighted_s += found.operations * (found.timeout_mean_s or 0.0)
        if count:
            trial.folds.append(Fold(since_s, until_s, count, tuple(mistakes_s), weighted_s / count))
    return trial


def _fitted(
    name: str, of: Callable[[float], Detector], paths: list[Stream], edges_s: list[float], target: float
) -> Trial:
    """A detector whose margin is the least that would have kept to the target on each fold's past."""
    replayed = [of(0.0).deadlines_s(path.heartbeats) for path in paths]
    margins_s, folds = [], []
    for since_s, until_s in pairwise(edges_s):
        overdue_s = [
            path.heartbeats.arrived_s[1:] - deadline_s[:-1]
            for path, deadline_s in zip(paths, replayed, strict=True)
        ]
        past_s = np.concatenate(
            [
                each[path.heartbeats.arrived_s[1:] < path.rows(-np.inf, since_s).stop * path.interval_s]
                for path, each in zip(paths, overdue_s, strict=True)
            ]
        )
        if len(past_s):
            allowed = min(len(past_s) - 1, int(target * len(past_s)))
            rank = len(past_s) - 1 - allowed
            margin_s = max(0.0, float(np.partition(past_s, rank)[rank]))
            moved = [deadline_s + margin_s for deadline_s in replayed]
            margins_s.append(margin_s)
            folds += _heartbeats(paths, moved, since_s, until_s)
    return Trial(f"{name}({_range(margins_s)})", "heartbeat", True, folds)


def _shipped(paths: list[Stream], edges_s: list[float]) -> list[Trial]:
    trials = [Trial(detector.name, "heartbeat", False) for detector in shipped(1.0)]
    told = [shipped(path.interval_s) for path in paths]
    for index, trial in enumerate(trials):
        replayed = [
            detectors[index].deadlines_s(path.heartbeats) for detectors, path in zip(told, paths, strict=True)
        ]
        for since_s, until_s in pairwise(edges_s):
            trial.folds.extend(_heartbeats(paths, replayed, since_s, until_s))
    return trials


def _heartbeats(
    paths: list[Stream], deadlines_s: list[np.ndarray], since_s: float, until_s: float
) -> list[Fold]:
    """One span of all paths, or nothing where none of them was probed."""
    count, mistakes_s, weighted_s = 0, [], 0.0
    for path, deadline_s in zip(paths, deadlines_s, strict=True):
        rows = path.rows(since_s, until_s)
        found = judge(path.heartbeats, deadline_s, rows.start * path.interval_s, rows.stop * path.interval_s)
        if found.detection_mean_s is None:
            continue
        here = rows.stop - rows.start
        count += here
        weighted_s += here * found.detection_mean_s
        number = np.minimum((found.begins_s / path.interval_s).astype(np.intp), len(path.time_s) - 1)
        mistakes_s += path.time_s[number].tolist()
    return [Fold(since_s, until_s, count, tuple(mistakes_s), weighted_s / count)] if count else []


def _range(settings_s: list[float]) -> str:
    told = sorted({f"{setting_s:.4g}" for setting_s in settings_s}, key=float)
    return "…".join([told[0], told[-1]] if len(told) > 1 else told) + "s"


def _rate(mistakes: int, operations: int, per_month: float) -> float:
    return mistakes / operations * per_month
