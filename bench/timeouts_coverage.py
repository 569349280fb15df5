"""Do the bounds of ``timeouts`` hold? ``python bench/timeouts_coverage.py`` (about 10 minutes of a core).

Synthetic delays whose truth is known are measured as probes are, a timeout is chosen for each target as
users get it, and the true probability of exceeding it is held against the target and against the ``upper``
shown. Both must hold in 93 % of the answers to each question; refused targets do not count, and their share
is printed. How tight it is: the timeout advised by the true quantile at the target.

Then the same of extrapolated timeouts, near the least probability that is extrapolated to: it shows why no
advice rests on them.


Last, what is not covered: an event that the sample hardly ever shows, and correlation that lasts too long.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.special import ndtr

from truechimer_analyzer.timeouts.clusters import RUN_S
from truechimer_analyzer.timeouts.extrapolate import REACH, Refusal, extrapolate, peaks_of
from truechimer_analyzer.timeouts.tail import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPETITIONS = 1000
MET = 0.93
COUNT = 20_000
SPACING_S = 1.0
PATHS = 4
TARGETS = (2e-4, 5e-4, 2e-3, 1e-2)

Draw = tuple[np.ndarray, "Callable[[float], float]"]


def log_normal_beyond(timeout_s: float, scale_s: float = 1e-3) -> float:
    """P(X > T) of exp(N(ln scale, 1))."""
    return float(ndtr(-np.log(timeout_s / scale_s)))


def log_normal(rng: np.random.Generator) -> Draw:
    return 1e-3 * np.exp(rng.normal(size=COUNT)), log_normal_beyond


def pareto(rng: np.random.Generator) -> Draw:
    return 1e-3 * (1 + rng.pareto(1.5, COUNT)), lambda t: min(1.0, (t / 1e-3) ** -1.5)


def rare_pauses(rng: np.random.Generator) -> Draw:
    """One operation in 2000 takes 12 s more, each by itself."""
    share = 5e-4
    rtt_s = 1e-3 * np.exp(rng.normal(size=COUNT)) + 12.0 * (rng.random(COUNT) < share)
    return (
        rtt_s,
        lambda t: (
            (1 - share) * log_normal_beyond(t) + share * (log_normal_beyond(t - 12.0) if t > 12 else 1.0)
        ),
    )


def felt_pauses(rng: np.random.Generator, pauses: float = 8.0) -> Draw:
    """Pauses of 12 s that every operation begun in them feels to their end; so many of them on average."""
    sent_s = np.arange(COUNT) * SPACING_S
    span_s = COUNT * SPACING_S
    rtt_s = 1e-3 * np.exp(rng.normal(size=COUNT))
    for begin_s in rng.uniform(0, span_s, rng.poisson(pauses)):
        left_s = begin_s + 12.0 - sent_s
        inside = (left_s > 0) & (left_s <= 12.0)
        rtt_s[inside] = np.maximum(rtt_s[inside], left_s[inside])

    def beyond(timeout_s: float) -> float:
        paused = -np.expm1(-pauses / span_s * max(0.0, 12.0 - timeout_s))
        return float(1 - (1 - paused) * (1 - log_normal_beyond(timeout_s)))

    return rtt_s, beyond


def autocorrelated(rng: np.random.Generator, correlation: float) -> Draw:
    """Log-normal, of an AR(1)."""
    noise = rng.normal(size=COUNT) * np.sqrt(1 - correlation**2)
    noise[0] = rng.normal()
    return 1e-3 * np.exp(lfilter([1.0], [1.0, -correlation], noise)), log_normal_beyond


def bursts(rng: np.random.Generator) -> Draw:
    """Runs of slow replies of geometric length, 4 on average, beside independent noise."""
    share, stay = 2e-3, 0.75
    enter = share * (1 - stay) / (1 - share)
    slow = np.zeros(COUNT, dtype=np.bool_)
    at = int(rng.geometric(enter)) - 1
    while at < COUNT:
        length = int(rng.geometric(1 - stay))
        slow[at : at + length] = True
        at += length + int(rng.geometric(enter))
    quick_s = 1e-3 * np.exp(rng.normal(0, 0.3, size=COUNT))
    rtt_s = np.where(slow, 0.05 + rng.exponential(0.2, COUNT), quick_s)

    def beyond(timeout_s: float) -> float:
        quick = float(ndtr(-np.log(timeout_s / 1e-3) / 0.3))
        return (1 - share) * quick + share * float(np.exp(-max(0.0, timeout_s - 0.05) / 0.2))

    return rtt_s, beyond


def regime_change(rng: np.random.Generator) -> Draw:
    """From some moment on all takes five times as long: the truth is the span's own mixture."""
    late = rng.uniform(0.1, 0.9)
    scale_s = np.where(np.arange(COUNT) < (1 - late) * COUNT, 1e-3, 5e-3)
    rtt_s = scale_s * np.exp(rng.normal(size=COUNT))
    return rtt_s, lambda t: (1 - late) * log_normal_beyond(t) + late * log_normal_beyond(t, 5e-3)


def busy_hours(rng: np.random.Generator) -> Draw:
    """The scale swings tenfold through each hour or so."""
    scale_s = 1e-3 * 10 ** (np.sin(np.arange(COUNT) * 2 * np.pi / 4000) / 2)
    some = scale_s[::20]
    return (
        scale_s * np.exp(rng.normal(size=COUNT)),
        lambda t: float(ndtr(-np.log(t / some)).mean()),
    )


TRUTHS: dict[str, Callable[[np.random.Generator], Draw]] = {
    "log-normal": log_normal,
    "pareto": pareto,
    "rare 12 s": rare_pauses,
    "12 s pauses felt": felt_pauses,
    "AR(1) 0.9": lambda rng: autocorrelated(rng, 0.9),
    "bursts": bursts,
    "regime change": regime_change,
    "busy hours": busy_hours,
}
# What is not covered: an event that mostly does not occur in the sample; memory of 100 s in 5 hours of it.
UNCOVERED: dict[str, Callable[[np.random.Generator], Draw]] = {
    "1 pause felt": lambda rng: felt_pauses(rng, 1.0),
    "AR(1) 0.99": lambda rng: autocorrelated(rng, 0.99),
}
EXTRAPOLATED = 0.0
# Answers to a question that is nearly always refused are lucky ones, and too few to judge.
LEAST_ANSWERED = 0.1


@dataclass
class Cell:
    """What became of one question asked of one truth."""

    asked: int = 0
    answered: int = 0
    held: int = 0
    kept_upper: int = 0
    tightness: float = 0.0

    @property
    def met(self) -> bool:
        if self.answered < LEAST_ANSWERED * self.asked:
            return True
        return min(self.held, self.kept_upper) >= MET * self.answered


def quantile_s(beyond: Callable[[float], float], target: float) -> float:
    return float(
        np.exp(brentq(lambda log_t: beyond(float(np.exp(log_t))) - target, np.log(1e-4), np.log(1e4)))
    )


def trial(rtt_s: np.ndarray, beyond: Callable[[float], float]) -> Iterator[tuple[float, Cell]]:
    """One recording, and what became of each target."""
    time_s, path = np.arange(COUNT) * SPACING_S, np.arange(COUNT, dtype=np.intp) % PATHS
    tail = measure(rtt_s, time_s, path, np.bincount(path, minlength=PATHS))
    for target in TARGETS:
        chosen = tail.smallest(target)
        if chosen is None:
            yield target, Cell(asked=1)
            continue
        truth = beyond(chosen.timeout_s)
        yield (
            target,
            Cell(
                1,
                1,
                int(truth <= target),
                int(truth <= chosen.upper),
                chosen.timeout_s / quantile_s(beyond, target),
            ),
        )


def cover(draw: Callable[[np.random.Generator], Draw], repetitions: int, seed: int) -> dict[float, Cell]:
    """Each target's cell after so many recordings."""
    rng = np.random.default_rng(seed)
    cells = {target: Cell() for target in TARGETS}
    for _ in range(repetitions):
        for target, one in trial(*draw(rng)):
            cell = cells[target]
            cell.asked += one.asked
            cell.answered += one.answered
            cell.held += one.held
            cell.kept_upper += one.kept_upper
            cell.tightness += one.tightness
    return cells


def stretch(draw: Callable[[np.random.Generator], Draw], repetitions: int, seed: int) -> Cell:
    """Extrapolated timeouts, a fifth above the least probability that may be extrapolated to."""
    rng = np.random.default_rng(seed)
    cell = Cell()
    time_s, path = np.arange(COUNT) * SPACING_S, np.zeros(COUNT, dtype=np.intp)
    for _ in range(repetitions):
        rtt_s, beyond = draw(rng)
        tail = measure(rtt_s, time_s, path, np.array([COUNT]))
        peaks = peaks_of(rtt_s, time_s, COUNT, RUN_S, tail.cluster_size)
        found = extrapolate(peaks, 1.2 / (REACH * (peaks.n_eff if peaks else COUNT)))
        cell.asked += 1
        if isinstance(found, Refusal):
            continue
        cell.answered += 1
        cell.held += int(beyond(found.timeout_s) <= found.target)
        cell.kept_upper = cell.held
        cell.tightness += found.timeout_s / quantile_s(beyond, found.target)
    return cell


def show(name: str, cells: dict[float, Cell]) -> None:
    for target, cell in cells.items():
        refused = 1 - cell.answered / cell.asked
        asked = f"{target:7.0e}" if target else "   1/8n"
        if not cell.answered:
            print(f"{name:18} {asked}  all refused", flush=True)
            continue
        print(
            f"{name:18} {asked}  target {cell.held / cell.answered:6.1%}  "
            f"upper {cell.kept_upper / cell.answered:6.1%}  refused {refused:6.1%}  "
            f"advised / true quantile {cell.tightness / cell.answered:5.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    met = True
    for name, draw in TRUTHS.items():
        cells = cover(draw, options.repetitions, options.seed)
        show(name, cells)
        met &= all(cell.met for cell in cells.values())
    print("\nextrapolated (not counted: no advice rests on it)")
    for name, draw in {**TRUTHS, **UNCOVERED}.items():
        show(name, {EXTRAPOLATED: stretch(draw, max(1, options.repetitions // 4), options.seed)})
    print("\nnot counted, for it is not covered: an event hardly ever shown, correlation over minutes")
    for name, draw in UNCOVERED.items():
        show(name, cover(draw, max(1, options.repetitions // 4), options.seed))
    print(
        f"{'MET' if met else 'NOT MET'}: target and upper hold in {MET:.0%} of the answers to each question"
    )
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
