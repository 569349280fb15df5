"""A report's HTML in a real browser: nothing is loaded, nothing runs; it fits, in light, dark, on paper."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore
from analyzer.test_report_products import ETCD
from playwright.sync_api import Page, expect

from truechimer.config.model import LimitsConfig
from truechimer_analyzer.answers import answer
from truechimer_analyzer.report import Parts
from truechimer_analyzer.report import page as rendered
from truechimer_analyzer.window import parse_window

pytestmark = pytest.mark.browser
HOSTILE = "<script>document.title = 'pwned'</script>&amp;" + "long-name-" * 12
# A4 between its margins, at 96 px to the inch.
PAPER_PX = 688
OVERFLOWING = """() => [...document.querySelectorAll("main > *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML)"""
INKS = """selector => [...document.querySelectorAll(selector)].map((each) => {
    const { fill, stroke } = getComputedStyle(each);
    return fill === "none" ? stroke : fill;
})"""
COVERED = """() => [...document.querySelectorAll(".plot")].flatMap((plot) => {
    const words = [...plot.querySelectorAll("text")]
        .map((text) => [text.textContent, text.getBoundingClientRect()]);
    const cover = (a, b) =>
        a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
    return words.flatMap(([text, at], i) => words.slice(i + 1)
        .filter(([, other]) => cover(at, other)).map(([other]) => `${text} | ${other}`));
})"""
SMALLEST = """() => Math.min(
    ...[...document.querySelectorAll(".plot text")].map((each) => each.getBoundingClientRect().height))"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def samples() -> list[Any]:
    """A day of a host, and of one with a hostile name, slow and paused now and then."""
    rng = np.random.default_rng(5)
    found: list[Any] = []
    for node in ("db-1", HOSTILE):
        found += [made.bound(86_390, -0.001, 0.002, node), made.server(86_394, "10.0.0.9", 2, node)]
        found += [
            made.probe(float(at), float(rtt_s), peer="db-9", node=node)
            for at, rtt_s in zip(range(0, 86_400, 20), rng.lognormal(-6, 1, 4320), strict=True)
        ]
        found += [made.pause_window(float(at), node=node) for at in range(0, 86_400, 10)]
        found += [
            made.pause(float(at), float(0.006 + rng.pareto(1.5) * 0.01), "run_queue", node)
            for at in rng.uniform(0, 86_400, 40)
        ]
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a day's report with advice for a product."""
    store: Any = ArrayStore(samples(), 86_400)
    options = {"since": "24h", "format": "json", "false_per_month": "1000"}
    documents: dict[str, Any] = answer("report", options, store)["documents"]  # type: ignore[assignment]
    documents["timeouts"]["products"] = [{**ETCD, "title": HOSTILE}]
    window = parse_window({"since": "24h"}, store.now_ns())
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(rendered(Parts(window, LimitsConfig(), **documents)), encoding="utf-8")
    return path


def opened(page: Page, report: Path) -> list[str]:
    """Open the file; what was asked for by the page, itself included."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri(), wait_until="networkidle")
    return asked


def test_the_file_is_all_that_is_asked_for(page: Page, page_problems, report: Path) -> None:
    """No request but its own, no word on the console, and a script in a name is a name."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    asked = opened(page, report)
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    assert page_problems.found == []
    assert page.title().startswith("Clocks, delays and pauses, 2026-11-2")
    expect(page.get_by_role("heading", name=f"{HOSTILE} 3.5")).to_be_visible()
    assert page.locator("script").count() == 0


def test_a_script_that_slipped_in_would_not_run(
    page: Page, page_problems, report: Path, tmp_path: Path
) -> None:
    """The policy in the file, not only the escaping, keeps it quiet."""
    page_problems.allow("Content Security Policy|CSP violation")
    spoiled = tmp_path / "spoiled.html"
    spoiled.write_text(
        report.read_text().replace("<main>", "<main><script>document.title = 'pwned'</script>")
    )
    opened(page, spoiled)
    assert page.title() != "pwned"
    assert page_problems.found != []


@pytest.mark.parametrize("width_px", [1280, 400])
def test_it_fits_the_width_with_its_plots(page: Page, report: Path, width_px: int) -> None:
    """Wide tables scroll within themselves, the page does not."""
    page.set_viewport_size({"width": width_px, "height": 900})
    opened(page, report)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate(OVERFLOWING) == []
    plots = page.get_by_role("img")
    expect(plots).to_have_count(3)
    for plot in plots.all():
        box = plot.bounding_box()
        assert box is not None
        assert min(width_px * 0.8, 500) <= box["width"] <= min(width_px, 800)
        assert box["height"] >= 150
    assert page.evaluate(SMALLEST) >= 9


def test_plots_say_what_they_show(page: Page, report: Path) -> None:
    opened(page, report)
    expect(page.get_by_role("img", name="What each timeout costs in false timeouts")).to_have_count(1)
    round_trips = page.get_by_role("img", name="round trip, by percentile")
    expect(round_trips).to_have_accessible_description(
        re.compile("^A: .*4320 replies, 0 lost, longest .*; B: ")
    )
    legend = page.locator("figure", has=round_trips).locator("li").all_inner_texts()
    assert min(legend, key=len).endswith("db-1 → db-9, tcp: 4320 replies, 0 lost")


def test_letters_and_ticks_do_not_cover_each_other(page: Page, report: Path) -> None:
    """On a narrow screen too, where the words are larger against the drawing."""
    page.set_viewport_size({"width": 400, "height": 900})
    opened(page, report)
    covered = page.evaluate(COVERED)
    assert covered == []


def test_dark_is_dark_and_its_lines_can_be_seen(page: Page, report: Path) -> None:
    opened(page, report)
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    light = page.evaluate(INKS, ".line, .upper, .target, .plot text")
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(INKS, ".line, .upper, .target, .plot text")
    background = brightness(page.evaluate(BACKGROUND))
    assert background < 0.02
    assert all(contrast(brightness(each), background) >= 3 for each in dark)
    assert all(contrast(brightness(each), 1.0) >= 3 for each in light)


def test_paper_is_white_and_holds_every_table_whole(page: Page, report: Path) -> None:
    """Of a reader who has the dark scheme too; nothing is cut at the paper's edge; links are left out."""
    page.set_viewport_size({"width": PAPER_PX, "height": 1000})
    opened(page, report)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER_PX
    widths = page.locator("table").evaluate_all(
        "found => found.map(each => each.getBoundingClientRect().width)"
    )
    assert len(widths) > 5
    assert max(widths) <= PAPER_PX
    expect(page.get_by_role("navigation")).to_be_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")


def brightness(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2.2)."""
    channels = [int(each) / 255 for each in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
