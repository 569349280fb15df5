"""Plots: what stands where, in words too, and what is not drawn."""

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.report.blocks import Plot
from truechimer_analyzer.report.plots import Line, frontier, percentiles
from truechimer_analyzer.report.plots.axes import BOTTOM, LEFT, RIGHT, TOP, Scale, amount, around
from truechimer_analyzer.report.plots.svg import tag, words

POSITIVE = st.floats(1e-12, 1e12)


def drawn(plot: Plot | None) -> ET.Element:
    """The plot as XML; it has a title and a description that its image is labelled by."""
    assert plot is not None
    root = ET.fromstring(plot.svg)
    assert root.get("role") == "img"
    assert [each.get("id") for each in root[:2]] == [
        root.get("aria-labelledby"),
        root.get("aria-describedby"),
    ]
    return root


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in root.iter() if name in (each.get("class") or "").split()]


def points(element: ET.Element) -> list[tuple[float, float]]:
    found = re.findall(r"([-\d.]+) ([-\d.]+)", element.get("d") or "")
    return [(float(x), float(y)) for x, y in found]


def timeouts(**changes: Any) -> dict[str, Any]:
    """A document of ``timeouts`` with three timeouts and an advised one."""
    return {
        "asked": {"false_per_month": 10.0},
        "uses": [
            {"use": "request", "timeout_s": 1.0, "false_per_month": {"estimate": 0.0, "upper": 8.0}},
        ],
        "frontier": [
            {"timeout_s": 0.01, "false_per_month": 1000.0, "upper": 1200.0},
            {"timeout_s": 0.1, "false_per_month": 100.0, "upper": 150.0},
            {"timeout_s": 1.0, "false_per_month": 0.0, "upper": 8.0},
        ],
        **changes,
    }


def test_the_frontier_falls_in_steps_from_each_timeout_to_the_next() -> None:
    """Between two measured timeouts the cost is the shorter one's; where none was seen: the edge."""
    root = drawn(frontier(timeouts()))
    (upper,), (seen,), (band,) = (of_class(root, name) for name in ("upper", "estimate", "band"))
    xs, ys = zip(*points(upper), strict=True)
    assert xs[0] < xs[1] == xs[2] < xs[3] == xs[4]
    assert ys[0] == ys[1] < ys[2] == ys[3] < ys[4]
    assert points(seen)[-1][1] == BOTTOM
    assert all(x_up == x_seen for (x_up, _), (x_seen, _) in zip(points(upper), points(seen), strict=True))
    assert all(up <= low for (_, up), (_, low) in zip(points(upper), points(seen), strict=True))
    assert len(points(band)) == 10


def test_the_advised_timeout_and_the_target_are_marked_and_told() -> None:
    root = drawn(frontier(timeouts()))
    (circle,) = [each for each in of_class(root, "mark") if each.tag == "circle"]
    assert (float(circle.get("cx") or 0), float(circle.get("cy") or 0)) == points(of_class(root, "upper")[0])[
        -1
    ]
    (target,) = of_class(root, "target")
    assert float(target.get("y1") or 0) < float(circle.get("cy") or 0), "the bound meets what was asked for"
    told = "".join(root[1].itertext())
    assert "10 ms costs at most 1.2e+03 false timeouts a month" in told
    assert "request advised: 1 s, at most 8 a month" in told
    plot = frontier(timeouts())
    assert plot is not None
    assert {"asked for: at most 10 a month", "request, advised: 1 s"} <= {text for _, text in plot.legend}


def test_a_refused_use_is_marked_by_the_strictest_that_is_supported() -> None:
    refused = {
        "use": "request",
        "timeout_s": None,
        "false_per_month": None,
        "strictest_supported": {"timeout_s": 1.0, "false_per_month": 8.0},
    }
    plot = frontier(timeouts(uses=[refused]))
    assert plot is not None
    assert ("request, refused; strictest supported: 1 s") in {text for _, text in plot.legend}


@pytest.mark.parametrize(
    "document",
    [
        {},
        timeouts(frontier=[]),
        timeouts(frontier=timeouts()["frontier"][:1]),
        timeouts(frontier=[{"timeout_s": None, "upper": 3.0}, {"timeout_s": 1.0, "upper": None}, {}]),
    ],
)
def test_without_two_timeouts_there_is_no_frontier(document: dict[str, Any]) -> None:
    assert frontier(document) is None


@given(st.lists(st.tuples(POSITIVE, POSITIVE, st.floats(0, 1)), max_size=12), POSITIVE)
def test_whatever_is_drawn_stays_within_the_frame(
    costs: list[tuple[float, float, float]], target: float
) -> None:
    found = [{"timeout_s": t, "upper": u, "false_per_month": u * share} for t, u, share in costs]
    plot = frontier(timeouts(frontier=found, asked={"false_per_month": target}))
    if plot is None:
        assert len({t for t, _, _ in costs}) < 2
        return
    root = drawn(plot)
    for name in ("upper", "estimate", "band"):
        for x, y in points(of_class(root, name)[0]):
            assert LEFT <= x <= RIGHT
            assert TOP <= y <= BOTTOM


def line(label: str, longest_s: float, count: int = 1000) -> Line:
    """An exponential tail of so many values."""
    exceedances = (1.0, 0.5, 0.1, 0.01, 1 / count, 0.5 / count)
    return Line(label, tuple((each, longest_s * (1 - each)) for each in exceedances), count)


def test_a_line_ends_at_one_in_its_number_of_values() -> None:
    """Of 1000 values nothing is told beyond 99.9 %, and the longest stands there."""
    root = drawn(percentiles([line("a", 2.0)], "p", "delay", "Caption.", "paths"))
    (path,) = of_class(root, "line")
    assert points(path)[-1][0] == RIGHT
    ticks = [each.text for each in root.iter() if each.tag == "text"]
    assert ticks[:4] == ["50 %", "90 %", "99 %", "99.9 %"]
    # At a half longer than 1 s, of which log10 is 0.301 of the 3 decades.
    at_half = points(path)[0]
    assert at_half[0] == pytest.approx(LEFT + 0.30103 / 3 * (RIGHT - LEFT), abs=0.1)


def test_lines_differ_by_letter_and_dash_and_only_the_longest_are_drawn() -> None:
    plot = percentiles(
        [line(f"path {number}", 0.1 * number) for number in range(1, 13)], "p", "delay", "Caption.", "paths"
    )
    root = drawn(plot)
    assert plot is not None
    assert plot.caption == "Caption. Of 12 paths those 8 with the longest are drawn."
    assert [text for _, text in plot.legend][:2] == ["A: path 12", "B: path 11"]
    styles = [(each.get("class"), each.get("stroke-dasharray")) for each in of_class(root, "line")]
    assert len(set(styles)) == 8
    letters = of_class(root, "letter")
    assert [each.text for each in letters] == list("ABCDEFGH")
    heights = sorted(float(each.get("y") or 0) for each in letters)
    assert all(after - before >= 14 for before, after in pairwise(heights))


def test_nothing_to_draw_is_no_plot() -> None:
    """No lines, a line without points, and one whose lengths are all 0 (a logarithm has none)."""
    empty = [Line("a", (), 0), Line("b", ((0.5, 0.0), (0.1, 0.0)), 10), Line("c", ((1.0, 2.0),), 1)]
    assert percentiles([], "p", "delay", "", "paths") is None
    assert percentiles(empty, "p", "delay", "", "paths") is None


def test_many_nines_keep_room_for_their_words() -> None:
    found = Line("a", tuple((10.0**-power, 1.0 + power) for power in range(12)), 10**11)
    root = drawn(percentiles([found], "p", "delay", "", "paths"))
    ticks = [each.text for each in root.iter() if each.tag == "text" and str(each.text).endswith("%")]
    assert ticks == ["50 %", "90 %", "99.9 %", "99.999 %", "99.99999 %", "99.9999999 %", "99.999999999 %"]


@given(POSITIVE, st.floats(1.01, 1e15))
def test_ticks_are_few_round_and_within(low: float, ratio: float) -> None:
    scale = Scale(low, low * ratio, LEFT, RIGHT)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    assert all(float(f"{tick:.6g}") == tick for tick in ticks)
    places = [scale.at(tick) for tick in ticks]
    assert places == sorted(places)


def test_a_scale_leaves_room_and_knows_when_there_is_nothing() -> None:
    found = around([0.0, 1.0, 4.0], 0.0, 100.0, 2.0)
    assert found == Scale(0.5, 8.0, 0.0, 100.0)
    assert (found.at(0.0), found.at(2.0), found.at(1e9)) == (0.0, 50.0, 100.0)
    assert around([0.0, float("nan"), float("inf")], 0.0, 1.0) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (5, "5"), (1000, "1000"), (20_000, "20k"), (3e6, "3M"), (2e9, "2G")]
)
def test_ticks_have_short_numbers(value: float, text: str) -> None:
    assert amount(value) == text


@given(st.text())
def test_any_text_is_well_formed_xml_that_says_it(text: str) -> None:
    """But for what XML cannot hold, which is shown as such."""
    element = ET.fromstring(tag("text", words(text), class_=text, x=1.25))
    shown = "".join("�" if forbidden(each) else each for each in text)
    # XML reads every end of line as one newline.
    assert (element.text or "") == shown.replace("\r\n", "\n").replace("\r", "\n")
    assert element.get("x") == "1.2"


def forbidden(character: str) -> bool:
    code = ord(character)
    return (code < 32 and character not in "\t\n\r") or 0x7F <= code < 0xA0 or code in {0xFFFE, 0xFFFF}
