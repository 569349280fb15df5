"""Whether advised timeouts keep their promise on the days after, and how they compare with other detectors.

    python bench/timeouts_quality.py [--folds 10] [--seed 7] [--unit ms] [--table] [FILE …]

Walk-forward: a recording is cut into equal spans; what all before a span advises is judged on it, and nothing
that anybody is tuned by is of that span or later. FILEs are CSV of epoch seconds and round trips (in --unit);
by default the 15 days beside the tests, and 4 minutes each of a real ping at 100 Hz through the lab's links
(bench/recordings, made by bench/timeouts_record.py). Synthetic regimes of delay are added
(bench/timeouts_regimes.py).

(a) For each span and advised timeout, the mistakes that came against those foreseen (timeouts/foreseen.py:
    what the backtest predicts of a span), and against the bound of the probability that advice goes by: as it
    is, and but for the luck of a span that is shorter than the past.
(b) Mean detection time at equal mistakes. ``fixed`` is the timeout of the advice; ``quickest`` is in its
    place, for each span, what was quickest on the past at equal mistakes (timeouts/choosing.py). Each
    baseline is set, on the past only, to make at most 0, 1, 2 … of the past's mistakes; of those settings the
    quickest counts that over the spans judged made no more mistakes than the advised one. Detectors as
    shipped count where they made no more mistakes either. So the comparison is in favour of the others.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom
from timeouts_regimes import Trace, read, regimes

from truechimer_analyzer import detectors as d
from truechimer_analyzer.detectors.knobs import Knob, heartbeat_knobs, least_setting, request_knobs
from truechimer_analyzer.timeouts.choosing import quickest
from truechimer_analyzer.timeouts.foreseen import foreseen
from truechimer_analyzer.timeouts.tail import Point, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHIPPED_TRACE = Path(__file__).parent.parent / "tests/analyzer/traces/rtt-15days.csv.gz"
RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.csv.gz"))
UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
# Targets, as multiples of the least that the past supports.
TARGETS = (1, 2, 5, 10, 30, 100, 300)
ALLOWED = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450)
CASES = 100
HOLDS, DEFAULT_RATIO, BASELINE_RATIO = 0.90, 0.8, 1.05

REQUEST_SHIPPED: tuple[d.RequestDetector, ...] = (
    d.Fixed(0.1),
    d.Fixed(1.0),
    d.Fixed(5.0),
    d.Jacobson(least_s=0.2),
    d.Jacobson(least_s=1.0),
)


def beat_shipped(interval_s: float) -> tuple[d.Detector, ...]:
    """Told how often heartbeats come, as their programs are."""
    return d.Fixed(5.0), d.Akka(heartbeat_s=interval_s), d.Cassandra(first_s=2 * interval_s)


@dataclass(frozen=True)
class Form:
    """A recording as requests or heartbeats: what each operation took, and the judge of anybody's limits."""

    name: str
    at_s: np.ndarray
    took_s: np.ndarray
    judged: Callable[[np.ndarray, slice], tuple[int, float]]
    knobs: dict[str, Knob]
    # Baselines that are none to choose: they need a common clock, or are not linear in their knob.
    others: dict[str, Knob]
    shipped: dict[str, np.ndarray]


def as_requests(trace: Trace) -> Form:
    asked = d.Requests(trace.sent_s, trace.rtt_s)

    def judged(timeout_s: np.ndarray, rows: slice) -> tuple[int, float]:
        found = d.judge_requests(asked, timeout_s, rows)
        return found.mistakes, found.timeout_mean_s or 0.0

    shipped = {detector.name: detector.timeouts_s(asked) for detector in REQUEST_SHIPPED}
    return Form("request", trace.sent_s, trace.rtt_s, judged, request_knobs(asked), {}, shipped)


def as_heartbeats(trace: Trace) -> Form:
    """A heartbeat each interval on one connection, so that none overtakes; an operation is a silence."""
    delay_s = trace.rtt_s.copy()
    interval_s = trace.interval_s
    sent_s = np.arange(len(delay_s)) * interval_s
    arrives_s = sent_s + delay_s
    arrives_s[np.isfinite(arrives_s)] = np.maximum.accumulate(arrives_s[np.isfinite(arrives_s)])
    heard = d.heartbeats(sent_s, arrives_s, interval_s)
    silence_s = np.append(np.diff(heard.arrived_s), np.nan)

    def judged(limit_s: np.ndarray, rows: slice) -> tuple[int, float]:
        begin, end = heard.arrived_s[rows.start], heard.arrived_s[rows.stop - 1]
        found = d.judge(heard, heard.arrived_s + limit_s, float(begin), float(end))
        return found.mistakes, found.detection_mean_s or 0.0

    def limits_s(detector: d.Detector) -> np.ndarray:
        return detector.deadlines_s(heard) - heard.arrived_s

    knobs = heartbeat_knobs(heard)
    at_zero_s = limits_s(d.NfdS(0.0))
    one = np.ones(len(silence_s))
    # Whether Akka learns an interval depends on the pause: here it learns all, which is in its favour.
    akka_s = limits_s(d.Akka(pause_s=1e6, heartbeat_s=interval_s, min_deviation_s=0.001)) - 1e6
    others = {"nfd-s δ": Knob(silence_s, at_zero_s, one), "akka pause": Knob(silence_s, akka_s, one)}
    shipped = {detector.name: limits_s(detector) for detector in beat_shipped(interval_s)}
    return Form("heartbeat", heard.arrived_s, silence_s, judged, knobs, others, shipped)


@dataclass(frozen=True)
class Advised:
    """One advised timeout of one span, and what became of it; ``chosen`` is another detector in its place."""

    factor: int
    point: Point
    operations: int
    past: int
    mistakes: int
    detection_s: float
    independent: float
    foreseen: float
    chosen: str
    chosen_mistakes: int
    chosen_s: float

    @property
    def within_rate(self) -> bool:
        return self.mistakes / self.operations <= self.point.upper

    @property
    def but_for_luck(self) -> bool:
        """Whether so many come at least 5 % of the time if the bound were the truth."""
        cluster = max(1.0, self.past / self.independent)
        clusters = max(1, round(self.mistakes / cluster))
        chance = binom.sf(clusters - 1, round(self.operations / cluster), self.point.upper)
        return self.within_rate or bool(chance > 0.05)

    @property
    def holds(self) -> bool:
        return self.mistakes <= self.foreseen


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
        if point is None:
            continue
        limit_s = np.full(len(form.at_s), point.timeout_s)
        late = np.flatnonzero(form.took_s[past] > point.timeout_s)
        ahead = judged.stop - judged.start
        name, _, limits = quickest([form.knobs], [past], [limit_s], lambda tried: form.judged(tried[0], past))
        found.append(
            Advised(
                factor,
                point,
                ahead,
                past.stop,
                *form.judged(limit_s, judged),
                tail.n_eff,
                foreseen(late, past.stop, tail.n_eff, ahead),
                name or "fixed",
                *form.judged(limits[0], judged),
            )
        )
    return found


def ladder(form: Form, knob: Knob, folds: list[tuple[slice, slice]]) -> list[tuple[int, float]]:
    """Mistakes and mean detection over all spans, of settings that made so many mistakes on the past."""
    rungs = []
    for allowed in ALLOWED:
        found = []
        for past, judged in folds:
            limit_s = knob.limits_s(least_setting([knob.needs[past]], allowed))
            found.append((*form.judged(limit_s, judged), judged.stop - judged.start))
        rungs.append(together(found))
    return rungs


def together(found: list[tuple[int, float, int]]) -> tuple[int, float]:
    """All mistakes, and detection weighted by operations."""
    count = sum(operations for _, _, operations in found)
    return sum(made for made, _, _ in found), sum(s * n for _, s, n in found) / count


@dataclass(frozen=True)
class Row:
    """One way of advising, for one target over all spans, against everybody else at no more mistakes."""

    trace: str
    form: str
    way: str
    factor: int
    mistakes: int
    detection_s: float
    shipped: tuple[str, float] | None
    baseline: tuple[str, float] | None
    all_s: dict[str, float]
    used: str

    def against(self, other: tuple[str, float] | None) -> float | None:
        return None if other is None else self.detection_s / other[1]


def compare(trace: Trace, form: Form, folds: int) -> tuple[list[Advised], list[Row]]:
    cut = list(spans(form, folds))
    advised = [one for past, judged in cut for one in advise(form, past, judged)]
    by_factor: dict[int, list[Advised]] = defaultdict(list)
    for one in advised:
        by_factor[one.factor].append(one)
    ladders = {name: ladder(form, knob, cut) for name, knob in (form.knobs | form.others).items()}
    shipped = {
        name: together([(*form.judged(limit_s, judged), judged.stop - judged.start) for _, judged in cut])
        for name, limit_s in form.shipped.items()
    }
    rows = []
    for factor, of in sorted(by_factor.items()):
        if len(of) < len(cut):
            continue
        ways = {
            "fixed": together([(one.mistakes, one.detection_s, one.operations) for one in of]),
            "quickest": together([(one.chosen_mistakes, one.chosen_s, one.operations) for one in of]),
        }
        used = Counter(one.chosen for one in of).most_common(1)[0][0]
        for way, (mistakes, detection_s) in ways.items():
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
                    way,
                    factor,
                    mistakes,
                    detection_s,
                    min(able.items(), key=lambda item: item[1], default=None),
                    min(others.items(), key=lambda item: item[1], default=None),
                    tuned,
                    used if way == "quickest" else "fixed",
                )
            )
    return advised, rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options.add_argument("--unit", choices=UNITS_S, default="ms")
    options.add_argument("--folds", type=int, default=10)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--table", action="store_true", help="every row of (b), not its summary only")
    args = options.parse_args()
    traces = [
        read(path, UNITS_S[args.unit]) for path in args.files or [SHIPPED_TRACE, *RECORDINGS]
    ] + regimes(args.seed)
    every: list[tuple[str, str, Advised]] = []
    rows: list[Row] = []
    for trace in traces:
        for form in (as_requests(trace), as_heartbeats(trace)):
            advised, compared = compare(trace, form, args.folds)
            every += [(trace.name, form.name, one) for one in advised]
            rows += compared
    report_bounds(every)
    report_times(rows, args.table)


def report_bounds(every: list[tuple[str, str, Advised]]) -> None:
    print("(a) predicted upper bounds of false alarms, nominal 95 %")
    print(f"{'recording':14}{'form':11}{'cases':>6}{'foreseen':>10}{'rate':>7}{'rate, but for luck':>20}")
    groups: dict[tuple[str, str], list[Advised]] = defaultdict(list)
    for trace, form, one in every:
        groups[trace, form].append(one)
        groups["all", form].append(one)
    for (trace, form), of in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0] == "all")):
        held = np.mean([one.holds for one in of])
        rate, luck = np.mean([one.within_rate for one in of]), np.mean([one.but_for_luck for one in of])
        goal = ""
        if trace == "all":
            met = held >= HOLDS and len(of) >= CASES
            used = np.median([one.mistakes / one.foreseen for one in of if one.foreseen and one.mistakes])
            goal = f"  foreseen: goal {HOLDS:.0%} of at least {CASES} cases: {'met' if met else 'MISSED'}; "
            goal += f"where any came, {used:.0%} of the foreseen (median)"
        print(f"{trace:14}{form:11}{len(of):6}{held:10.1%}{rate:7.0%}{luck:20.0%}{goal}")


def report_times(rows: list[Row], table: bool) -> None:
    print("\n(b) mean detection at equal mistakes, seconds (–: never so few mistakes)")
    for form in ("request", "heartbeat"):
        of = [row for row in rows if row.form == form]
        if table:
            print_table(form, of)
        for way in ("fixed", "quickest"):
            told = [row for row in of if row.way == way]
            title = f"{form}, {way}"
            verdict(
                title, "best shipped", [(r, r.shipped, r.against(r.shipped)) for r in told], DEFAULT_RATIO
            )
            verdict(
                title, "best tuned", [(r, r.baseline, r.against(r.baseline)) for r in told], BASELINE_RATIO
            )


def print_table(form: str, of: list[Row]) -> None:
    names = "".join(f"{name:>12}" for name in of[0].all_s)
    print(f"\n{form:14}{'way':10}{'×':>4}{'mistakes':>9}{'detects':>9}{names}  best shipped; mostly used")
    for row in of:
        others = "".join(f"{s:12.4g}" if np.isfinite(s) else f"{'–':>12}" for s in row.all_s.values())
        best = "–" if row.shipped is None else f"{row.shipped[0]} {row.shipped[1]:.4g}"
        print(
            f"{row.trace:14}{row.way:10}{row.factor:4}{row.mistakes:9}{row.detection_s:9.4g}{others}"
            f"  {best}; {row.used}"
        )


def verdict(
    title: str, against: str, of: list[tuple[Row, tuple[str, float] | None, float | None]], goal: float
) -> None:
    told = [(row, other, ratio) for row, other, ratio in of if other is not None and ratio is not None]
    met = sum(ratio <= goal for _, _, ratio in told) + len(of) - len(told)
    middle = float(np.median([ratio for _, _, ratio in told])) if told else float("nan")
    print(
        f"  {title} / {against}: median {middle:.2f}; at most {goal} in {met} of {len(of)} "
        f"(in {len(of) - len(told)} of them nobody else made so few mistakes)"
    )
    for row, other, ratio in told:
        if ratio > goal:
            print(f"    exception {ratio:5.2f}: {row.trace}, ×{row.factor}, {other[0]}")


if __name__ == "__main__":
    main()
