"""Whether advised timeouts keep their promise on the days after, and how they compare with other detectors.

    python bench/timeouts_quality.py [--folds 10] [--seed 7] [--unit ms] [FILE …]

Walk-forward: a recording is cut into equal spans; what all before a span advises is judged on it, and nothing
that anybody is tuned by is of that span or later. FILEs are CSV of epoch seconds and round trips (in --unit); by
default the 15 days beside the tests. Synthetic regimes of delay are added (bench/timeouts_regimes.py).

(a) The upper bound of false alarms that was predicted for each advised timeout against the share that came.
(b) Mean detection time at equal mistakes. Each detector is set, on the past only, to make at most 0, 1, 2 … of
    the past's mistakes; of those settings the quickest counts that in the spans judged made no more mistakes than
    the advised one. Detectors as shipped count where they made no more mistakes than the advised setting.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom
from timeouts_regimes import Trace, read, regimes

from truechimer_analyzer import detectors as d
from truechimer_analyzer.timeouts.tail import Point, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHIPPED_TRACE = Path(__file__).parent.parent / "tests/analyzer/traces/rtt-15days.csv.gz"
UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
# Targets, as multiples of the least that the past supports.
TARGETS = (1, 2, 5, 10, 30, 100, 300)
ALLOWED = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450)
INTERVAL_S = 1.0
CASES = 100
HOLDS, DEFAULT_RATIO, BASELINE_RATIO = 0.90, 0.8, 1.05

# Detectors with one knob in which their deadline is linear: at 0 and at 1 tells all settings.
REQUEST_FAMILIES: dict[str, Callable[[float], d.RequestDetector]] = {
    "fixed": d.Fixed,
    "p99.9×": lambda factor: d.Percentile(factor),
    "jacobson K": lambda k: d.Jacobson(k, granularity_s=0.0),
}
BEAT_FAMILIES: dict[str, Callable[[float], d.Detector]] = {
    "fixed": d.Fixed,
    "nfd-s δ": d.NfdS,
    "nfd-e α": d.NfdE,
    "2w-fd": d.TwoWindow,
    "bertier φ": lambda phi: d.Bertier(phi=phi),
    "cassandra φ": lambda threshold: d.Cassandra(threshold, first_s=2 * INTERVAL_S),
    "akka pause": lambda pause_s: d.Akka(pause_s=pause_s, heartbeat_s=INTERVAL_S, min_deviation_s=0.001),
}
REQUEST_SHIPPED: tuple[d.RequestDetector, ...] = (
    d.Fixed(0.1),
    d.Fixed(1.0),
    d.Fixed(5.0),
    d.Jacobson(least_s=0.2),
    d.Jacobson(least_s=1.0),
)
BEAT_SHIPPED: tuple[d.Detector, ...] = (
    d.Fixed(5.0),
    d.Akka(heartbeat_s=INTERVAL_S),
    d.Cassandra(first_s=2 * INTERVAL_S),
)


@dataclass(frozen=True)
class Form:
    """A recording as requests or as heartbeats: what each operation took, judged by deadlines of any detector."""

    name: str
    at_s: np.ndarray
    took_s: np.ndarray
    limits_s: Callable[[object], np.ndarray]
    judged: Callable[[np.ndarray, slice], tuple[int, float]]
    families: dict[str, Callable[[float], object]]
    shipped: tuple[object, ...]


def as_requests(trace: Trace) -> Form:
    asked = d.Requests(trace.sent_s, trace.rtt_s)

    def judged(timeout_s: np.ndarray, rows: slice) -> tuple[int, float]:
        found = d.judge_requests(asked, timeout_s, rows)
        return found.mistakes, found.timeout_mean_s or 0.0

    return Form(
        "request",
        trace.sent_s,
        trace.rtt_s,
        lambda detector: detector.timeouts_s(asked),
        judged,
        dict(REQUEST_FAMILIES),
        REQUEST_SHIPPED,
    )


def as_heartbeats(trace: Trace) -> Form:
    """A heartbeat each second on one connection, so that none overtakes another; an operation is a silence."""
    delay_s = trace.rtt_s.copy()
    arrives_s = np.arange(len(delay_s)) * INTERVAL_S + delay_s
    arrives_s[np.isfinite(arrives_s)] = np.maximum.accumulate(arrives_s[np.isfinite(arrives_s)])
    heard = d.heartbeats(np.arange(len(delay_s)) * INTERVAL_S, arrives_s, INTERVAL_S)
    silence_s = np.append(np.diff(heard.arrived_s), np.nan)

    def judged(limit_s: np.ndarray, rows: slice) -> tuple[int, float]:
        begin, end = heard.arrived_s[rows.start], heard.arrived_s[rows.stop - 1]
        found = d.judge(heard, heard.arrived_s + limit_s, float(begin), float(end))
        return found.mistakes, found.detection_mean_s or 0.0

    return Form(
        "heartbeat",
        heard.arrived_s,
        silence_s,
        lambda detector: detector.deadlines_s(heard) - heard.arrived_s,
        judged,
        dict(BEAT_FAMILIES),
        BEAT_SHIPPED,
    )


@dataclass(frozen=True)
class Advised:
    """One advised timeout of one span, and what became of it."""

    factor: int
    point: Point
    operations: int
    mistakes: int
    detection_s: float
    cluster: float

    @property
    def holds(self) -> bool:
        return self.mistakes / self.operations <= self.point.upper

    @property
    def by_chance(self) -> bool:
        """Could as many have come, 5 % of the time, if the bound were the truth, in clusters as the past's?"""
        clusters = max(1, round(self.mistakes / self.cluster))
        chance = binom.sf(clusters - 1, round(self.operations / self.cluster), self.point.upper)
        return self.holds or bool(chance > 0.05)


def spans(form: Form, folds: int) -> Iterator[tuple[slice, slice]]:
    """Past and judged rows of each fold, by time."""
    edges_s = np.linspace(form.at_s[0], form.at_s[-1], folds + 2)
    edges = np.searchsorted(form.at_s, edges_s[1:]).tolist()
    for begin, end in pairwise(edges):
        if begin and end - begin > 1:
            yield slice(0, begin), slice(begin, end)


def advise(form: Form, past: slice, judged: slice) -> list[Advised]:
    """What the past advises for each target, judged."""
    replied = np.isfinite(form.took_s[past])
    path = np.zeros(int(replied.sum()), dtype=np.intp)
    count = np.array([past.stop], dtype=np.intp)
    tail = measure(form.took_s[past][replied], form.at_s[past][replied], path, count)
    least = tail.strictest().upper
    found = []
    for factor in TARGETS:
        point = tail.smallest(min(0.3, least * factor))
        if point is not None:
            mistakes, detection_s = form.judged(np.full(len(form.at_s), point.timeout_s), judged)
            cluster = max(1.0, point.seen / point.clusters if point.clusters else 1.0)
            found.append(Advised(factor, point, judged.stop - judged.start, mistakes, detection_s, cluster))
    return found


def ladder(form: Form, family: str, folds: list[tuple[slice, slice]]) -> list[tuple[int, float]]:
    """Mistakes and mean detection over all spans, of settings that made so many mistakes on the past."""
    make = form.families[family]
    at_zero = form.limits_s(make(0.0 if family != "akka pause" else 1e6))
    unit = 1.0 if family == "akka pause" else form.limits_s(make(1.0)) - at_zero
    if family == "akka pause":
        at_zero = at_zero - 1e6
    with np.errstate(divide="ignore", invalid="ignore"):
        needs = (form.took_s - at_zero) / unit
    needs = np.nan_to_num(needs, nan=-np.inf, posinf=np.inf)
    rungs = []
    for allowed in ALLOWED:
        mistakes, weighted_s, operations = 0, 0.0, 0
        for past, judged in folds:
            before = needs[past]
            rank = max(0, len(before) - 1 - allowed)
            setting = max(0.0, float(np.partition(before, rank)[rank]))
            if family == "akka pause":
                limit_s = form.limits_s(make(setting))
            else:
                limit_s = at_zero + setting * unit
            made, detection_s = form.judged(limit_s, judged)
            count = judged.stop - judged.start
            mistakes, operations = mistakes + made, operations + count
            weighted_s += detection_s * count
        rungs.append((mistakes, weighted_s / operations))
    return rungs


def over_spans(form: Form, detector: object, folds: list[tuple[slice, slice]]) -> tuple[int, float]:
    limit_s = form.limits_s(detector)
    found = [(*form.judged(limit_s, judged), judged.stop - judged.start) for _, judged in folds]
    count = sum(operations for _, _, operations in found)
    return sum(m for m, _, _ in found), sum(s * n for _, s, n in found) / count


@dataclass(frozen=True)
class Row:
    """The advised setting for one target over all spans, against everybody else at no more mistakes."""

    trace: str
    form: str
    factor: int
    mistakes: int
    detection_s: float
    shipped: tuple[str, float] | None
    baseline: tuple[str, float] | None
    all_s: dict[str, float]

    def against(self, other: tuple[str, float] | None) -> float | None:
        return None if other is None else self.detection_s / other[1]


def compare(trace: Trace, form: Form, folds: int) -> tuple[list[Advised], list[Row]]:
    cut = list(spans(form, folds))
    advised = [advise(form, past, judged) for past, judged in cut]
    by_factor: dict[int, list[Advised]] = defaultdict(list)
    for each in advised:
        for one in each:
            by_factor[one.factor].append(one)
    ladders = {family: ladder(form, family, cut) for family in form.families}
    shipped = {detector.name: over_spans(form, detector, cut) for detector in form.shipped}
    rows = []
    for factor, of in sorted(by_factor.items()):
        if len(of) < len(cut):
            continue
        mistakes = sum(one.mistakes for one in of)
        detection_s = sum(one.detection_s * one.operations for one in of) / sum(one.operations for one in of)
        tuned = {
            family: min((s for made, s in rungs if made <= mistakes), default=float("nan"))
            for family, rungs in ladders.items()
        }
        able = {name: s for name, (made, s) in shipped.items() if made <= mistakes}
        others = {name: s for name, s in tuned.items() if np.isfinite(s)}
        rows.append(
            Row(
                trace.name,
                form.name,
                factor,
                mistakes,
                detection_s,
                min(able.items(), key=lambda item: item[1], default=None),
                min(others.items(), key=lambda item: item[1], default=None),
                tuned,
            )
        )
    return [one for each in advised for one in each], rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options.add_argument("--unit", choices=UNITS_S, default="ms")
    options.add_argument("--folds", type=int, default=10)
    options.add_argument("--seed", type=int, default=7)
    args = options.parse_args()
    traces = [read(path, UNITS_S[args.unit]) for path in args.files or [SHIPPED_TRACE]] + regimes(args.seed)
    every: list[tuple[str, str, Advised]] = []
    rows: list[Row] = []
    for trace in traces:
        for form in (as_requests(trace), as_heartbeats(trace)):
            advised, compared = compare(trace, form, args.folds)
            every += [(trace.name, form.name, one) for one in advised]
            rows += compared
    report_bounds(every)
    report_times(rows)


def report_bounds(every: list[tuple[str, str, Advised]]) -> None:
    print("(a) predicted upper bound of false alarms, nominal 95 %")
    print(f"{'recording':14}{'form':11}{'cases':>6}{'holds':>7}{'but for chance':>16}")
    groups: dict[tuple[str, str], list[Advised]] = defaultdict(list)
    for trace, form, one in every:
        groups[trace, form].append(one)
    for (trace, form), of in groups.items():
        held, chance = sum(one.holds for one in of), sum(one.by_chance for one in of)
        print(f"{trace:14}{form:11}{len(of):6}{held / len(of):7.0%}{chance / len(of):16.0%}")
    for form in ("request", "heartbeat"):
        of = [one for _, of_form, one in every if of_form == form]
        held = sum(one.holds for one in of) / len(of)
        enough = len(of) >= CASES
        print(
            f"{'all':14}{form:11}{len(of):6}{held:7.1%}   goal {HOLDS:.0%} of at least {CASES}: "
            f"{'met' if held >= HOLDS and enough else 'MISSED'}"
        )


def report_times(rows: list[Row]) -> None:
    print("\n(b) mean detection at equal mistakes, seconds (– : never so few mistakes)")
    for form in ("request", "heartbeat"):
        of = [row for row in rows if row.form == form]
        names = list(of[0].all_s)
        print(
            f"{form:14}{'×':>4}{'mistakes':>9}{'advised':>9}"
            + "".join(f"{n:>12}" for n in names)
            + "  best shipped"
        )
        for row in of:
            others = "".join(f"{s:12.4g}" if np.isfinite(s) else f"{'–':>12}" for s in row.all_s.values())
            best = "–" if row.shipped is None else f"{row.shipped[0]} {row.shipped[1]:.4g}"
            print(f"{row.trace:14}{row.factor:4}{row.mistakes:9}{row.detection_s:9.4g}{others}  {best}")
        verdict(form, "best shipped default", [(r, r.against(r.shipped)) for r in of], DEFAULT_RATIO)
        verdict(form, "best tuned baseline", [(r, r.against(r.baseline)) for r in of], BASELINE_RATIO)


def verdict(form: str, against: str, ratios: list[tuple[Row, float | None]], goal: float) -> None:
    told = [(row, ratio) for row, ratio in ratios if ratio is not None]
    met = [ratio for _, ratio in told if ratio <= goal]
    middle = float(np.median([ratio for _, ratio in told])) if told else float("nan")
    print(
        f"  {form}, advised / {against}: median {middle:.2f}, at most {goal} in {len(met)} of {len(told)}; "
        f"nobody else so few mistakes in {len(ratios) - len(told)}"
    )
    for row, ratio in told:
        if ratio > goal:
            other = row.shipped if "default" in against else row.baseline
            assert other is not None
            print(
                f"    exception {ratio:5.2f}: {row.trace}, ×{row.factor}: {row.detection_s:.4g} s, {other[0]} {other[1]:.4g} s"
            )


if __name__ == "__main__":
    main()
