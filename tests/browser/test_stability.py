"""ADEV, TDEV and MTIE of a node, side by side: lines, whiskers, words, what is missing, and the CSV file."""

import csv
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browser import fleets
from browser.fake_analyzer import FakeAnalyzer, serving
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
KINDS = ("adev", "tdev", "mtie")


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda fleet: stack.enter_context(serving(fleet))


def shown(page: Page, server: FakeAnalyzer, fragment: str = "") -> None:
    """Open the page and wait for its first complete drawing."""
    page.goto(f"{server.url}/{fragment}")
    expect(page.locator("#fleet tbody tr").first).to_be_visible()


def refused(needed_s: float | None) -> fleets.Fleet:
    fleet = fleets.one_host()
    document = fleets.stability("web-1", needed_s=110.0)
    for record in document["nodes"][0]["series"]:
        record["refused"]["needed_s"] = needed_s
    fleet.documents["stability"] = document
    return fleet


def pixels(page: Page, chart: str, colour: str) -> int:
    """How many pixels of a chart are near a colour of the style sheet."""
    return int(
        page.evaluate(
            """([chart, colour]) => {
                const canvas = document.querySelector(`#${chart}-chart canvas`);
                const probe = document.createElement("canvas").getContext("2d");
                probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
                probe.fillRect(0, 0, 1, 1);
                const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                let found = 0;
                for (let i = 0; i < data.length; i += 4) {
                    const far = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
                    if (data[i + 3] > 200 && far < 12) found++;
                }
                return found;
            }""",
            [chart, colour],
        )
    )


def test_three_charts_of_three_records_with_their_evidence(serve, page: Page) -> None:
    """Each record is a line of its own colour in each chart; the legend says what it rests on."""
    server = serve(fleets.one_host())
    shown(page, server)
    for kind in KINDS:
        expect(page.locator(f"#{kind}-chart canvas")).to_be_visible()
        for number in (1, 2, 3):
            # In MTIE the two that hold the oscillator's rate lie on each other.
            if kind != "mtie" or number != 3:
                assert pixels(page, kind, f"--series-{number}") > 60, (kind, number)
    legend = page.locator("#stability-legend li")
    expect(legend).to_have_count(3)
    expect(legend.nth(0)).to_contain_text(
        "wall clock against UTC each reading ± 110 µs, 98 % of the window used"
    )
    expect(legend.nth(1)).to_contain_text("cut by 1 step; unbroken for 4.0 h")
    assert any("/api/v1/stability?node=web-1&cluster=prod&since=1h" in asked for asked in server.asked)


def test_a_screen_reader_hears_the_spans_and_the_last_values(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()))
    expect(page.locator("#mtie-chart .picture")).to_have_attribute(
        "aria-label",
        re.compile("^MTIE of web-1 over spans of 10 s to 2 h: .*wall clock against UTC 12.0 µs at 2 h"),
    )
    expect(page.locator("#adev-chart .readout")).to_contain_text("1e−6 is 1 µs a second")


def test_arrows_read_each_span_with_its_limits(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()))
    expect(page.locator("#mtie-chart canvas")).to_be_visible()
    page.locator("#adev-chart .picture").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    readout = page.locator("#adev-chart .readout")
    expect(readout).to_contain_text("τ = 1 min")
    expect(readout).to_contain_text("wall clock against UTC 5.7e−8 (5.6e−8 … 5.8e−8)")
    expect(readout).to_contain_text("oscillator against UTC")
    page.locator("#mtie-chart .picture").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#mtie-chart .readout")).to_contain_text(
        "wall clock against UTC 12.0 µs (0 … 232 µs)"
    )


def test_whiskers_show_the_limits(serve, page: Page) -> None:
    """The same lines without limits are another picture."""
    server = serve(fleets.one_host())
    shown(page, server)
    expect(page.locator("#adev-chart canvas")).to_be_visible()
    before = page.evaluate("document.querySelector('#adev-chart canvas').toDataURL()")
    for record in server.fleet.documents["stability"]["nodes"][0]["series"]:
        for each in record["adev"]:
            each["lower"] = each["value"]
            each["upper"] = each["value"]
    page.reload()
    expect(page.locator("#adev-chart canvas")).to_be_visible()
    assert page.evaluate("document.querySelector('#adev-chart canvas').toDataURL()") != before


def test_before_there_is_enough_it_says_how_much_longer(serve, page: Page) -> None:
    shown(page, serve(refused(110.0)))
    for kind in KINDS:
        expect(page.locator(f"#{kind}-chart .empty")).to_have_text("Not yet: needs 110 s more.")
        expect(page.locator(f"#{kind}-chart canvas")).to_have_count(0)
    expect(page.locator("#stability-legend li").first).to_contain_text(
        "needs 110 s more: 190 s of the window are without gap or step"
    )


def test_where_waiting_does_not_help_no_time_is_promised(serve, page: Page) -> None:
    shown(page, serve(refused(None)))
    expect(page.locator("#adev-chart .empty")).to_have_text(
        "None: 190 s of the window are without gap or step: it takes 300 s."
    )


def test_one_record_that_is_missing_leaves_the_others(serve, page: Page) -> None:
    """A host without NTP servers: its wall clock against its oscillator is known all the same."""
    fleet = fleets.one_host()
    series = fleet.documents["stability"]["nodes"][0]["series"]
    for number in (1, 2):
        series[number] = fleets.record(series[number]["series"], needed_s=300.0)
    shown(page, serve(fleet))
    expect(page.locator("#adev-chart canvas")).to_be_visible()
    expect(page.locator("#stability-legend li", has_text="needs 5.0 min more")).to_have_count(2)
    assert pixels(page, "adev", "--series-2") > 60
    assert pixels(page, "adev", "--series-1") == 0


def test_a_chart_fills_by_itself_when_there_is_enough(serve, page: Page) -> None:
    server = serve(refused(10.0))
    shown(page, server)
    expect(page.locator("#adev-chart .empty")).to_be_visible()
    server.fleet.documents["stability"] = fleets.stability("web-1")
    server.commit()
    expect(page.locator("#adev-chart canvas")).to_be_visible()
    expect(page.locator("#adev-chart .empty")).to_be_hidden()


def test_the_csv_file_holds_every_value_with_its_limits_and_terms(serve, page: Page, tmp_path: Path) -> None:
    fleet = fleets.one_host()
    shown(page, serve(fleet))
    expect(page.locator("#adev-chart canvas")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#stability-links").get_by_role("button", name="CSV").click()
    file = tmp_path / "stability.csv"
    download.value.save_as(file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    records = fleet.documents["stability"]["nodes"][0]["series"]
    assert len(rows) == sum(len(record[kind]) for record in records for kind in KINDS)
    wanted = records[2]["mtie"][0]
    (found,) = [
        row
        for row in rows
        if (row["record"], row["deviation"], row["tau_s"]) == ("utc_minus_wall", "mtie", "10")
    ]
    for name in ("value", "lower", "upper", "terms"):
        assert float(found[name]) == pytest.approx(wanted[name])
    link = page.locator("#stability-links a")
    assert "api/v1/stability?node=web-1&cluster=prod&since=1h" in (link.get_attribute("href") or "")


def test_another_node_has_its_own(serve, page: Page) -> None:
    server = serve(fleets.many_hosts())
    shown(page, server, "#node=host-7&cluster=prod")
    picture = page.locator("#adev-chart .picture")
    expect(picture).to_have_attribute("aria-label", re.compile("ADEV of host-7 over spans of 10 s to 1 d"))
    page.locator('#fleet tr[data-node="host-3"]').click()
    expect(page.locator("#node-title")).to_have_text("Node host-3")
    expect(picture).to_have_attribute("aria-label", re.compile("ADEV of host-3"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_take_the_themes_colours(serve, page: Page, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    shown(page, serve(fleets.one_host()))
    expect(page.locator("#tdev-chart canvas")).to_be_visible()
    assert pixels(page, "tdev", "--series-1") > 60
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: light")
    page.locator("#theme").click()
    expect(page.locator("#tdev-chart canvas")).to_be_visible()
    assert pixels(page, "tdev", "--series-1") > 60


def test_no_chart_is_wider_than_a_phone(serve, page: Page) -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    shown(page, serve(fleets.one_host()))
    for kind in KINDS:
        box = page.locator(f"#{kind}-chart canvas").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 380
