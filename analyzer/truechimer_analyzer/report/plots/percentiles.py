"""Lengths by percentile (HdrHistogram's axis): x is log10(1 / share that is longer), y the length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from truechimer_analyzer.report.blocks import Plot
from truechimer_analyzer.report.figures import length
from truechimer_analyzer.report.plots.axes import BOTTOM, LEFT, RIGHT, TOP, around, frame, picture, swatch
from truechimer_analyzer.report.plots.svg import path, tag, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# More lines than these nobody can tell apart.
MOST_LINES = 8
_COLOURS = 6
_DASHES = (None, "7 4", "2 3", "10 3 2 3")
_LETTERS = "ABCDEFGH"
_LETTER_GAP_PX = 17.0
_MOST_TICKS = 7


@dataclass(frozen=True, slots=True)
class Line:
    """A line to draw: (share that is longer, seconds) points of ``count`` values; ``label`` is plain text."""

    label: str
    points: tuple[tuple[float, float], ...]
    count: int


def percentiles(lines: Iterable[Line], name: str, title: str, caption: str, of: str) -> Plot | None:
    """The lines with the longest lengths, at most ``MOST_LINES``; None where there is nothing to draw.

    ``of`` names what a line is of, for what is left out: paths. A line ends at one in its number of values.
    """
    every = [(line, placed) for line in lines if len(placed := _placed(line)) > 1]
    shown = sorted(every, key=lambda each: -each[1][-1][1])[:MOST_LINES]
    y = around([seconds for _, placed in shown for _, seconds in placed], BOTTOM, TOP)
    if y is None:
        return None
    most = max(1.0, *(nines for _, placed in shown for nines, _ in placed))

    def across(nines: float) -> float:
        return LEFT + nines / most * (RIGHT - LEFT)

    drawn = [
        frame(
            [(across(nines), text) for nines, text in _ticks(most)],
            [(y.at(tick), length(tick)) for tick in y.ticks()],
            "share that is no longer",
            title,
        )
    ]
    legend = []
    ends = [y.at(placed[-1][1]) for _, placed in shown]
    for index, ((line, placed), letter_y) in enumerate(zip(shown, _apart(ends), strict=True)):
        style = {"class_": f"line c{index % _COLOURS + 1}", "stroke_dasharray": _DASHES[index % len(_DASHES)]}
        points = [(across(nines), y.at(seconds)) for nines, seconds in placed]
        drawn.append(tag("path", d=path(points), **style))
        letter = _LETTERS[index]
        drawn.append(
            tag(
                "text",
                words(letter),
                class_=f"letter c{index % _COLOURS + 1}",
                x=points[-1][0] + 7,
                y=letter_y,
                dy="0.35em",
            )
        )
        legend.append((swatch(tag("line", x1=0, x2=30, y1=6, y2=6, **style)), f"{letter}: {line.label}"))
    left_out = len(every) - len(shown)
    if left_out:
        caption += f" Of {len(every)} {of} those {len(shown)} with the longest are drawn."
    told = "; ".join(
        f"{letter}: {line.label}, longest {length(placed[-1][1])}"
        for letter, (line, placed) in zip(_LETTERS, shown, strict=False)
    )
    return Plot(picture(name, f"{title}, by percentile", told, *drawn), tuple(legend), caption)


def _placed(line: Line) -> list[tuple[float, float]]:
    """(log10(1 / share longer), seconds), ascending, one for each place."""
    found: dict[float, float] = {}
    for exceedance, seconds in line.points:
        if 0 < exceedance <= 1 and seconds > 0:
            # One in n is the rarest that n values can speak of: the longest of them stands there.
            nines = round(-math.log10(max(exceedance, 1 / max(1, line.count))), 9) + 0.0
            found[nines] = max(seconds, found.get(nines, 0.0))
    return sorted(found.items())


def _ticks(most: float) -> list[tuple[float, str]]:
    """50 %, then the whole nines: 90 %, 99 %, 99.9 %; every k-th where they are many."""
    every = max(1, math.ceil(most / _MOST_TICKS))
    whole = [nines for nines in range(1, math.floor(most + 1e-9) + 1) if (nines - 1) % every == 0]
    return [
        (math.log10(2), "50 %"),
        *((float(nines), f"{100 - 100 * 10.0**-nines:.{max(0, nines - 2)}f} %") for nines in whole),
    ]


def _apart(places: Sequence[float]) -> list[float]:
    """Places (px, downwards) moved so that letters there do not cover each other."""
    moved = list(places)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + _LETTER_GAP_PX)
    over = max(0.0, max(moved, default=0.0) - BOTTOM)
    return [place - over for place in moved]
