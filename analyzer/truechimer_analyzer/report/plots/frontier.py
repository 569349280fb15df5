"""What each timeout costs: its length against false timeouts a month, estimate and upper bound as a band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from truechimer_analyzer.report.blocks import Plot
from truechimer_analyzer.report.figures import length
from truechimer_analyzer.report.plots.axes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Scale,
    amount,
    around,
    frame,
    picture,
    swatch,
)
from truechimer_analyzer.report.plots.svg import path, tag, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Document = dict[str, Any]
_LEGEND = (
    (swatch(tag("rect", class_="band", x=1, y=1, width=28, height=10)), "between estimate and upper bound"),
    (swatch(tag("line", class_="upper", x1=0, x2=30, y1=6, y2=6)), "at most, one-sided 95 %"),
    (swatch(tag("line", class_="estimate", x1=0, x2=30, y1=6, y2=6)), "estimate: what was seen"),
)


def frontier(timeouts: Mapping[str, Any], name: str = "frontier") -> Plot | None:
    """The plot of a ``timeouts`` document; None where it has no two points to draw.

    Between two measured timeouts the cost is that of the shorter one: it can only be less.
    """
    points = [
        point
        for point in timeouts.get("frontier") or []
        if _positive(point.get("timeout_s")) and _positive(point.get("upper"))
    ]
    points.sort(key=lambda point: float(point["timeout_s"]))
    target = (timeouts.get("asked") or {}).get("false_per_month")
    mark = _mark(timeouts.get("uses") or [])
    costs = [point["upper"] for point in points] + [point.get("false_per_month") or 0.0 for point in points]
    costs += [each for each in (target, mark and mark[1]) if _positive(each)]
    x = around([point["timeout_s"] for point in points] + ([mark[0]] if mark else []), LEFT, RIGHT, 1.1)
    y = around(costs, BOTTOM, TOP, 1.6)
    if x is None or y is None or len({point["timeout_s"] for point in points}) < 2:
        return None
    upper = _steps(x, y, [(point["timeout_s"], point["upper"]) for point in points])
    seen = _steps(x, y, [(point["timeout_s"], point.get("false_per_month") or 0.0) for point in points])
    legend = list(_LEGEND)
    drawn = [
        frame(
            [(x.at(tick), length(tick)) for tick in x.ticks()],
            [(y.at(tick), amount(tick)) for tick in y.ticks()],
            "timeout",
            "false timeouts a month",
        ),
        tag("path", class_="band", d=path([*upper, *reversed(seen)]) + "Z"),
        tag("path", class_="estimate", d=path(seen)),
        tag("path", class_="upper", d=path(upper)),
    ]
    if _positive(target):
        drawn.append(tag("line", class_="target", x1=LEFT, x2=RIGHT, y1=y.at(target), y2=y.at(target)))
        line = tag("line", class_="target", x1=0, x2=30, y1=6, y2=6)
        legend.append((swatch(line), f"asked for: at most {target:g} a month"))
    if mark:
        timeout_s, cost, said = mark
        drawn += _marked(x.at(timeout_s), y.at(cost), said)
        legend.append((swatch(tag("circle", class_="mark", cx=15, cy=6, r=5)), f"request, {said}"))
    return Plot(
        picture(name, "What each timeout costs in false timeouts", _told(points, target, mark), *drawn),
        tuple(legend),
        "What each timeout of a request costs in false timeouts a month, on logarithmic axes. A line that "
        "ends on the lower edge: none was seen that is longer.",
    )


def _positive(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and value > 0


def _mark(uses: Sequence[Document]) -> tuple[float, float, str] | None:
    """Where the request's timeout stands, its cost at most, and what to say of it."""
    request = next((use for use in uses if use.get("use") == "request"), None)
    if request is None:
        return None
    timeout_s = request.get("timeout_s")
    if _positive(timeout_s):
        cost = (request.get("false_per_month") or {}).get("upper")
        said = f"advised: {length(timeout_s)}"
    else:
        strictest = request.get("strictest_supported") or {}
        timeout_s, cost = strictest.get("timeout_s"), strictest.get("false_per_month")
        said = f"refused; strictest supported: {length(timeout_s)}"
    return (timeout_s, cost, said) if _positive(timeout_s) and _positive(cost) else None


def _steps(x: Scale, y: Scale, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    drawn: list[tuple[float, float]] = []
    for timeout_s, cost in points:
        if drawn:
            drawn.append((x.at(timeout_s), drawn[-1][1]))
        drawn.append((x.at(timeout_s), y.at(cost)))
    return drawn


def _marked(x: float, y: float, said: str) -> list[str]:
    left_of_it = x > (LEFT + RIGHT) / 2
    return [
        tag("line", class_="mark", x1=x, x2=x, y1=TOP, y2=BOTTOM),
        tag("circle", class_="mark", cx=x, cy=y, r=5),
        tag(
            "text",
            words(said),
            class_="said",
            x=x + (-8 if left_of_it else 8),
            y=TOP + 12,
            text_anchor="end" if left_of_it else "start",
        ),
    ]


def _told(points: Sequence[Document], target: float | None, mark: tuple[float, float, str] | None) -> str:
    first, last = points[0], points[-1]
    parts = [
        f"{length(each['timeout_s'])} costs at most {each['upper']:.3g} false timeouts a month"
        for each in (first, last)
    ]
    if _positive(target):
        parts.append(f"asked for at most {target:g} a month")
    if mark:
        parts.append(f"request {mark[2]}, at most {mark[1]:.3g} a month")
    return "; ".join(parts) + "."
