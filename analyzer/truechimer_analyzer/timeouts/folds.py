"""Walking forward: where spans begin and end, what each is judged by, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.foreseen import foreseen
from truechimer_analyzer.window import NS, iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from truechimer_analyzer.timeouts.operations import Operations

WINDOW_S = 3600.0


@dataclass(frozen=True)
class Span:
    """[``since_s``, ``until_s``), to be judged by what is older.

    ``past`` operations were before it, which ``numbers`` counts up to given times, and ``ahead`` are in it;
    ``independent`` is the share of them that slow ones that come together are worth.
    """

    since_s: float
    until_s: float
    past: int
    ahead: int
    independent: float
    numbers: Callable[[NDArray[np.float64]], NDArray[np.intp]]

    def predicted(self, mistakes_s: NDArray[np.float64]) -> float:
        """The most mistakes per operation, at 95 %, by when those before the span were."""
        late = self.numbers(np.sort(mistakes_s[mistakes_s < self.since_s]))
        return foreseen(late, self.past, self.past * self.independent, self.ahead) / self.ahead


def spans(time_s: NDArray[np.float64], edges_s: list[float], independent: list[float]) -> list[Span]:
    """Spans between ``edges_s`` that operations at ``time_s`` fall into, with a past that some are in."""
    time_s = np.sort(time_s)
    cuts = np.searchsorted(time_s, edges_s).tolist()

    def numbers(mistakes_s: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.searchsorted(time_s, mistakes_s)

    return _between(edges_s, cuts, independent, numbers)


def spans_of(of: Operations, edges_s: list[float], independent: list[float]) -> list[Span]:
    """As :func:`spans`, of all operations, listed or not."""
    every_s = np.concatenate([of.time_s, of.lost_s])
    unlisted = of.unlisted
    if unlisted is None:
        return spans(every_s, edges_s, independent)
    every_s = np.sort(every_s)
    passed = np.concatenate([[0], np.cumsum(unlisted.by_part.sum(axis=0))])
    cuts = (np.searchsorted(every_s, edges_s) + passed[-len(edges_s) :]).tolist()

    def numbers(mistakes_s: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.searchsorted(every_s, mistakes_s) + unlisted.numbers(mistakes_s)

    return _between(edges_s, cuts, independent, numbers)


def _between(
    edges_s: list[float],
    cuts: list[int],
    independent: list[float],
    numbers: Callable[[NDArray[np.float64]], NDArray[np.intp]],
) -> list[Span]:
    between = zip(pairwise(edges_s), pairwise(cuts), independent[: len(edges_s) - 1], strict=True)
    return [
        Span(since_s, until_s, begin, end - begin, share, numbers)
        for (since_s, until_s), (begin, end), share in between
        if begin and end > begin
    ]


@dataclass(frozen=True, slots=True)
class Fold:
    """One span judged; ``predicted_upper`` is of mistakes per operation.

    ``is_least``: there may have been more mistakes than those, of operations that are only counted.
    """

    since_s: float
    until_s: float
    operations: int
    mistakes_s: NDArray[np.float64]
    detection_s: float
    predicted_upper: float
    is_least: bool = False

    def document(self, per_month: float) -> dict[str, object]:
        """The fold in the contract's units; ``per_month`` is how many operations a month has."""
        return {
            "from": iso(round(self.since_s * NS)),
            "to": iso(round(self.until_s * NS)),
            "operations": self.operations,
            "mistakes": len(self.mistakes_s),
            "at_least": self.is_least,
            "mistakes_per_month": len(self.mistakes_s) / self.operations * per_month,
            "predicted_upper_per_month": self.predicted_upper * per_month,
            "detection_mean_s": self.detection_s,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One detector over all folds; ``fitted``: by the past, to ``settings_s`` if those are one each."""

    detector: str
    form: str
    fitted: bool
    folds: list[Fold] = field(default_factory=list)
    settings_s: list[float] = field(default_factory=list)

    def document(self, per_month: float) -> dict[str, object]:
        """As the contract's ``backtest`` has it; means over folds are weighted by their operations."""
        weights = [fold.operations for fold in self.folds]
        operations, mistakes = sum(weights), sum(len(fold.mistakes_s) for fold in self.folds)
        predicted = float(np.average([fold.predicted_upper for fold in self.folds], weights=weights))
        return {
            "detector": self.detector,
            "form": self.form,
            "fitted": self.fitted,
            "operations": operations,
            "mistakes": mistakes,
            "at_least": any(fold.is_least for fold in self.folds),
            "mistakes_per_month": mistakes / operations * per_month,
            "predicted_upper_per_month": predicted * per_month,
            "detection_mean_s": float(np.average([fold.detection_s for fold in self.folds], weights=weights)),
            "worst_window": self._worst_window(),
            "folds": [fold.document(per_month) for fold in self.folds],
        }

    def _worst_window(self) -> str | None:
        """The hour with the most mistakes."""
        mistakes_s = np.concatenate([fold.mistakes_s for fold in self.folds])
        if not len(mistakes_s):
            return None
        hours, counts = np.unique(np.floor(mistakes_s / WINDOW_S), return_counts=True)
        return iso(int(hours[np.argmax(counts)] * WINDOW_S) * NS)
