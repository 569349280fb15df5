"""Scales, ticks and the frame that plots share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_analyzer.report.plots.svg import tag, words

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH, HEIGHT = 640.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 76.0, WIDTH - 34.0, 36.0, HEIGHT - 56.0
_MOST_TICKS = 8
_FEWEST_TICKS = 3
_NEXT_TO_NOTHING = 1e-30


@dataclass(frozen=True, slots=True)
class Scale:
    """From the logarithm of a positive value, between ``low`` and ``high``, to px."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value stands; what is beyond an end stands at the end."""
        whole = math.log(self.high / self.low)
        share = math.log(max(value, self.low) / self.low) / whole
        return self.start + min(share, 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values: powers of ten where there are many, else steps within them, else even steps."""
        every = max(1, math.ceil(math.log10(self.high / self.low) / _MOST_TICKS))
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        powers = [power for power in range(first, last + 1) if power % every == 0]
        for steps, fewest in (((1,), 4), ((1, 3), 4), ((1, 2, 5), _FEWEST_TICKS)):
            # By way of text, for 1e-5 exactly.
            found = self._within(float(f"{step}e{power}") for power in powers for step in steps)
            if len(found) >= fewest:
                return found
        return self._even_ticks()

    def _even_ticks(self) -> list[float]:
        power = math.floor(math.log10((self.high - self.low) / _FEWEST_TICKS))
        for step in (5, 2, 1):
            width = float(f"{step}e{power}")
            first, last = math.ceil(self.low / width), math.floor(self.high / width)
            if last - first + 1 >= _FEWEST_TICKS:
                break
        return self._within(float(f"{number * step}e{power}") for number in range(first, last + 1))

    def _within(self, ticks: Iterable[float]) -> list[float]:
        return [tick for tick in ticks if self.low <= tick <= self.high]


def around(values: Iterable[float], start: float, end: float, room: float = 1.25) -> Scale | None:
    """A scale with room around positive values; None without any. What is next to nothing is at its end."""
    positive = [value for value in values if _NEXT_TO_NOTHING < value < math.inf]
    if not positive:
        return None
    return Scale(min(positive) / room, max(positive) * room, start, end)


def frame(
    x_ticks: Iterable[tuple[float, str]], y_ticks: Iterable[tuple[float, str]], x_title: str, y_title: str
) -> str:
    """Grid lines, ticks' words and both axes' titles, ticks given as (px, words)."""
    drawn: list[str] = []
    for x, text in x_ticks:
        drawn.append(tag("line", class_="grid", x1=x, x2=x, y1=TOP, y2=BOTTOM))
        drawn.append(tag("text", words(text), x=x, y=BOTTOM + 20, text_anchor="middle"))
    for y, text in y_ticks:
        drawn.append(tag("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y))
        drawn.append(tag("text", words(text), x=LEFT - 8, y=y, dy="0.35em", text_anchor="end"))
    drawn.append(tag("path", class_="axis", d=f"M{LEFT:g} {TOP:g}V{BOTTOM:g}H{RIGHT:g}"))
    drawn.append(tag("text", words(y_title), class_="title", x=4.0, y=TOP - 18))
    drawn.append(
        tag("text", words(x_title), class_="title", x=(LEFT + RIGHT) / 2, y=HEIGHT - 10, text_anchor="middle")
    )
    return "".join(drawn)


def picture(name: str, title: str, description: str, *inside: str) -> str:
    """A whole drawing that says in words what it shows; ``name`` is unique on its page."""
    return tag(
        "svg",
        tag("title", words(title), id=f"{name}-title"),
        tag("desc", words(description), id=f"{name}-desc"),
        *inside,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
        class_="plot",
    )


def swatch(*inside: str) -> str:
    """A small piece of a drawing for its legend."""
    return tag("svg", *inside, viewBox="0 0 30 12", class_="swatch", aria_hidden="true")


def amount(value: float) -> str:
    """A tick's number, short: 0.01, 5, 100, 20k, 1M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= unit:
            return f"{value / (1e3 if name == 'k' else unit):g}{name}"
    return f"{value:g}"
