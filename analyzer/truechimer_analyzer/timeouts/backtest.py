"""What timeouts would have cost: fitted on the past, judged on what followed, several times over.

The evidence is cut into equal spans. Each but the first is judged by what all before it advised; detectors
that learn as they go have seen it too. There are two forms. ``request``: a reply after the timeout in force
is a mistake, a lost one is not; the timeout is the detection time. ``heartbeat``: replies are heartbeats at
the mean interval of the probes; a suspicion of the peer is a mistake, also when losses cause it; detection
is from a crash. What is predicted of each span is by the mistakes that the same detector made before it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
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
from truechimer_analyzer.detectors.knobs import heartbeat_knobs, least_setting, request_knobs
from truechimer_analyzer.detectors.quality import suspicions_s
from truechimer_analyzer.timeouts.choosing import quickest
from truechimer_analyzer.timeouts.folds import Fold, Span, Trial, spans, spans_of
from truechimer_analyzer.timeouts.use import tail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.streams import Stream
    from truechimer_analyzer.timeouts.tail import Tail

    Floats = NDArray[np.float64]

SPANS = 5
# What programs come with: impatient, TCP's first retransmission of a SYN, and a common HTTP default.
DEFAULTS_S = (0.1, 1.0, 5.0)
# The target itself and less strict ones, so that predictions are put to the test where mistakes are seen.
TARGETS = (1.0, 10.0, 100.0)
REQUESTS: tuple[RequestDetector, ...] = (
    *(Fixed(timeout_s) for timeout_s in DEFAULTS_S),
    *(Percentile(factor, every=250) for factor in (1.0, 2.0, 3.0)),
    Jacobson(),
    Jacobson(k=8.0),
    Jacobson(least_s=0.2),
)
# Of these the margin has no default: it is fitted.
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


def backtest(
    operations: Operations, paths: Sequence[Stream], target: float, per_month: float
) -> list[dict[str, object]]:
    """Walk-forward over every detector: the advised timeouts first, then what learns, then what is shipped.

    ``target`` is a probability per operation, ``per_month`` how many operations a month has. Where the past
    cannot support a target, its strictest timeout is tried. Empty when there is no past with a reply, or
    nothing after it. Detectors that learn are replayed on ``paths``.
    """
    edges_s = _edges(operations)
    if len(edges_s) <= 1:
        return []
    tails = [tail_of(operations.before(edge_s)) for edge_s in edges_s[:-1]]
    independent = [tail.n_eff / tail.operations for tail in tails]
    streamed_s = np.concatenate([path.time_s for path in paths]) if paths else np.empty(0)
    cut = spans(streamed_s, edges_s, independent)
    advised = _advised(
        operations,
        spans_of(operations, edges_s, independent),
        dict(zip(edges_s, tails, strict=False)),
        target,
    )
    fitted = [_fitted(name, of, paths, cut, target) for name, of in FITTED.items()]
    trials = [
        *advised,
        *_quickest(paths, cut, advised[0]),
        *(_requests(detector, paths, cut) for detector in REQUESTS),
        *fitted,
        *_quickest(paths, cut, fitted[-1]),
        *_shipped(paths, cut),
    ]
    return [trial.document(per_month) for trial in trials if trial.folds]


def _edges(operations: Operations) -> list[float]:
    """Where spans begin and end, from the first that has a past with replies; empty without one."""
    if not len(operations.rtt_s) or operations.span_s <= 0:
        return []
    first_s = float(operations.time_s.min())
    if operations.unlisted is not None:
        edges_s = operations.unlisted.edges_s.tolist()
        first_s = min(first_s, float(operations.unlisted.first_s.min()))
    else:
        begin_s = min(first_s, float(operations.lost_s.min(initial=np.inf)))
        edges_s = (begin_s + operations.span_s * np.arange(SPANS + 1) / SPANS).tolist()
        # The very last operation is part of the last span.
        edges_s[-1] = float(np.nextafter(edges_s[-1], np.inf))
    return [edge_s for edge_s in edges_s[1:] if edge_s > first_s]


def _advised(operations: Operations, cut: list[Span], tails: dict[float, Tail], target: float) -> list[Trial]:
    """The fixed timeouts that would have been advised at the beginning of each span, for each target."""
    trials: dict[str, Trial] = {}
    quick_s = 0.0 if operations.unlisted is None else operations.unlisted.quick_s
    for factor in TARGETS:
        folds, timeouts_s = [], []
        for span in cut:
            tail = tails[span.since_s]
            timeout_s = (tail.smallest(min(1.0, target * factor)) or tail.strictest()).timeout_s
            late_s = operations.time_s[operations.rtt_s > timeout_s]
            fold = _fold(span, late_s, span.ahead, timeout_s)
            folds.append(replace(fold, is_least=timeout_s < quick_s))
            timeouts_s.append(timeout_s)
        name = f"fixed({_range(timeouts_s)})"
        trials.setdefault(name, Trial(name, "request", True, folds, timeouts_s))
    return list(trials.values())


def _fold(span: Span, mistakes_s: Floats, operations: int, detection_s: float) -> Fold:
    """From all mistakes, before the span too: they are what is predicted by."""
    within = (mistakes_s >= span.since_s) & (mistakes_s < span.until_s)
    predicted = span.predicted(mistakes_s)
    return Fold(span.since_s, span.until_s, operations, mistakes_s[within], detection_s, predicted)


def _requests(detector: RequestDetector, paths: Sequence[Stream], cut: list[Span]) -> Trial:
    timeouts_s = [detector.timeouts_s(path.requests) for path in paths]
    return Trial(detector.name, "request", False, [_asked(paths, timeouts_s, span) for span in cut])


def _asked(paths: Sequence[Stream], timeouts_s: list[Floats], span: Span) -> Fold:
    """One span of all paths' requests."""
    weighted_s, late_s = 0.0, []
    for path, timeout_s in zip(paths, timeouts_s, strict=True):
        found = judge_requests(path.requests, timeout_s, path.rows(span.since_s, span.until_s))
        weighted_s += found.operations * (found.timeout_mean_s or 0.0)
        late_s.append(path.time_s[path.rtt_s > timeout_s])
    return _fold(span, np.concatenate(late_s), span.ahead, weighted_s / span.ahead)


def _quickest(paths: Sequence[Stream], cut: list[Span], simplest: Trial) -> list[Trial]:
    """In place of the simplest detector, the one that was quickest on each past at equal mistakes."""
    fitted_s = dict(zip([fold.since_s for fold in simplest.folds], simplest.settings_s, strict=True))
    asks = simplest.form == "request"
    knobs = [request_knobs(path.requests) if asks else heartbeat_knobs(path.heartbeats) for path in paths]
    folds: list[Fold] = []
    used: list[str] = []
    for span in cut:
        if span.since_s not in fitted_s:
            continue
        pasts = [path.rows(-np.inf, span.since_s) for path in paths]
        limits = [np.full(len(next(iter(of.values())).took_s), fitted_s[span.since_s]) for of in knobs]
        if asks:
            name, _, limits = quickest(knobs, pasts, limits, partial(_asked_before, paths, pasts))
            folds.append(_asked(paths, limits, span))
        else:
            heard = [
                slice(int(np.searchsorted(path.heartbeats.sequence, past.stop)))
                for path, past in zip(paths, pasts, strict=True)
            ]
            name, _, limits = quickest(knobs, heard, limits, partial(_heard_before, paths, pasts))
            folds += _heartbeats(paths, _deadlines(paths, limits), span)
        used.append(name or simplest.detector.partition("(")[0])
    return [Trial(f"quickest({', '.join(dict.fromkeys(used))})", simplest.form, True, folds)] if folds else []


def _asked_before(paths: Sequence[Stream], pasts: list[slice], limits: list[Floats]) -> tuple[int, float]:
    found = [
        judge_requests(path.requests, limit_s, past)
        for path, past, limit_s in zip(paths, pasts, limits, strict=True)
    ]
    weighted_s = sum(each.operations * (each.timeout_mean_s or 0.0) for each in found)
    return sum(each.mistakes for each in found), weighted_s / max(1, sum(each.operations for each in found))


def _heard_before(paths: Sequence[Stream], pasts: list[slice], limits: list[Floats]) -> tuple[int, float]:
    found = [
        judge(path.heartbeats, deadline_s, until_s=past.stop * path.interval_s)
        for path, past, deadline_s in zip(paths, pasts, _deadlines(paths, limits), strict=True)
    ]
    weights = [
        past.stop if each.detection_mean_s is not None else 0 for past, each in zip(pasts, found, strict=True)
    ]
    weighted_s = sum(
        weight * (each.detection_mean_s or 0.0) for weight, each in zip(weights, found, strict=True)
    )
    return sum(each.mistakes for each in found), weighted_s / max(1, sum(weights))


def _deadlines(paths: Sequence[Stream], limits: list[Floats]) -> list[Floats]:
    return [path.heartbeats.arrived_s + limit_s for path, limit_s in zip(paths, limits, strict=True)]


def _fitted(
    name: str, of: Callable[[float], Detector], paths: Sequence[Stream], cut: list[Span], target: float
) -> Trial:
    """A detector whose margin is the least that would have kept to the target on each span's past."""
    replayed = [of(0.0).deadlines_s(path.heartbeats) for path in paths]
    folds, margins_s = [], []
    for span in cut:
        overdue_s = []
        for path, deadline_s in zip(paths, replayed, strict=True):
            next_s = path.heartbeats.arrived_s[1:]
            before = next_s < path.rows(-np.inf, span.since_s).stop * path.interval_s
            overdue_s.append((next_s - deadline_s[:-1])[before])
        margin_s = least_setting(overdue_s, int(target * sum(len(each) for each in overdue_s)))
        judged = _heartbeats(paths, [deadline_s + margin_s for deadline_s in replayed], span)
        folds += judged
        margins_s += [margin_s for _ in judged]
    return Trial(f"{name}({_range(margins_s)})", "heartbeat", True, folds, margins_s)


def _shipped(paths: Sequence[Stream], cut: list[Span]) -> list[Trial]:
    trials = [Trial(detector.name, "heartbeat", False) for detector in shipped(1.0)]
    told = [shipped(path.interval_s) for path in paths]
    for index, trial in enumerate(trials):
        replayed = [
            detectors[index].deadlines_s(path.heartbeats) for detectors, path in zip(told, paths, strict=True)
        ]
        for span in cut:
            trial.folds.extend(_heartbeats(paths, replayed, span))
    return trials


def _heartbeats(paths: Sequence[Stream], deadlines_s: list[Floats], span: Span) -> list[Fold]:
    """One span of all paths, or nothing where none of them was heard of."""
    count, mistakes_s, weighted_s = 0, [], 0.0
    for path, deadline_s in zip(paths, deadlines_s, strict=True):
        rows = path.rows(span.since_s, span.until_s)
        begin_s, end_s = rows.start * path.interval_s, rows.stop * path.interval_s
        found = judge(path.heartbeats, deadline_s, begin_s, end_s)
        if found.detection_mean_s is None:
            continue
        count += rows.stop - rows.start
        weighted_s += (rows.stop - rows.start) * found.detection_mean_s
        begins_s = suspicions_s(path.heartbeats, deadline_s, end_s)
        number = np.minimum((begins_s / path.interval_s).astype(np.intp), len(path.time_s) - 1)
        mistakes_s.append(path.time_s[number])
    return [_fold(span, np.concatenate(mistakes_s), count, weighted_s / count)] if count else []


def _range(settings_s: list[float]) -> str:
    if not settings_s:
        return "–"
    told = sorted({f"{setting_s:.4g}" for setting_s in settings_s}, key=float)
    return "…".join([told[0], told[-1]] if len(told) > 1 else told) + "s"
