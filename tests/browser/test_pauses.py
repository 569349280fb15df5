"""Pauses on the page: lanes with unwatched time hatched, lengths with exposure, sums as sums."""

import csv
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from browser import fleets
from browser.fake_analyzer import FakeAnalyzer, serving
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
TEXTS = "found => found.map(one => one.innerText)"
CELLS = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText).join(' '))"
# Pixels of a lane's middle line that are drawn on, in so many equal parts from left to right.
DRAWN = """([lane, lanes, parts]) => {
    const canvas = document.querySelector("#pauses-lanes canvas");
    const scale = canvas.width / canvas.getBoundingClientRect().width;
    const over = document.querySelector("#pauses-lanes .u-over").getBoundingClientRect();
    const at = canvas.getBoundingClientRect();
    const left = Math.round((over.left - at.left) * scale), width = Math.round(over.width * scale);
    const y = Math.round((over.top - at.top + over.height * (lane + 0.5) / lanes) * scale);
    const height = Math.round(4 * scale);
    const { data } = canvas.getContext("2d").getImageData(left, y - height, width, 2 * height);
    const colours = Array.from({ length: parts }, () => new Set());
    for (let i = 0; i < data.length; i += 4) {
        const part = Math.min(parts - 1, Math.floor((i / 4 % width) / width * parts));
        colours[part].add(`${data[i]} ${data[i + 1]} ${data[i + 2]} ${data[i + 3]}`);
    }
    return colours.map((set) => set.size);
}"""


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda fleet: stack.enter_context(serving(fleet))


def shown(page: Page, server: FakeAnalyzer) -> None:
    """Open the page and wait for the drawing of the lanes."""
    page.goto(server.url)
    expect(page.locator("#pauses-lanes canvas")).to_be_visible()


def test_each_source_has_a_lane_and_a_screen_reader_hears_when_nobody_looked(serve, page: Page) -> None:
    shown(page, serve(fleets.watched(fleets.one_host())))
    expect(page.locator("#pauses-lanes .picture")).to_have_attribute(
        "aria-label",
        re.compile(
            r"a lane each\. cassandra: 9 pauses, watched for 45 min, "
            r"nobody looked from 19:45:00 to 19:59:59; "
            r"host: 40 pauses, watched for 50 min, nobody looked from 19:20:00 to 19:30:00"
        ),
    )


def test_unwatched_time_is_hatched_and_quiet_time_is_plain(serve, page: Page) -> None:
    """The JVM's lane: one mark in its middle; its last quarter, of which nobody knows, is no even colour."""
    shown(page, serve(fleets.watched(fleets.one_host())))
    colours = page.evaluate(DRAWN, [0, 2, 12])
    quiet, hatched = colours[1:4], colours[10:]
    assert max(quiet) <= 2, colours
    assert min(hatched) > max(quiet) + 1, colours


def test_arrows_read_the_marks_of_the_lanes(serve, page: Page) -> None:
    shown(page, serve(fleets.watched(fleets.one_host())))
    page.locator("#pauses-lanes .picture").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#pauses-lanes .readout")).to_contain_text("host on web-1")


def test_lengths_are_drawn_with_their_exposure(serve, page: Page) -> None:
    shown(page, serve(fleets.watched(fleets.one_host())))
    expect(page.locator("#pauses-curves canvas")).to_be_visible()
    legend = page.locator("#pauses-curves-legend li").evaluate_all(TEXTS)
    assert [" ".join(line.split()) for line in legend] == [
        "host 40 pauses in 50 min",
        "/var/lib/etcd 3 599 fsyncs in 60 min",
    ]
    page.locator("#pauses-curves .picture").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#pauses-curves .readout")).to_contain_text("% within: ")


def test_a_sum_is_shown_as_a_sum_between_its_ends(serve, page: Page) -> None:
    shown(page, serve(fleets.watched(fleets.one_host())))
    (row,) = [
        text
        for text in page.locator("#pauses-table tbody tr").evaluate_all(CELLS)
        if text.startswith("cassandra")
    ]
    assert "50.0 ms … 300 ms gc" in row
    assert "unknown: nobody has looked for 15 min" in row
    assert "15 min unwatched" in row
    assert "waits ≤ 5.00 ms" in row
    page.locator("#pauses-table summary", has_text="300 ms").click()
    expect(page.locator("#pauses-table .longest").last).to_contain_text(
        "9 in 450 ms gc, not seen singly: 50.0 ms on average"
    )


def test_processes_heaps_and_disks_stand_beside(serve, page: Page) -> None:
    shown(page, serve(fleets.watched(fleets.one_host())))
    process, heap, disk = [
        " ".join(text.split()) for text in page.locator("#pauses-beside tbody tr").evaluate_all(CELLS)
    ]
    assert "75 % of what it wanted" in process
    assert "4.50 s" in process
    assert "nearly full: a full collection is near" in heap
    assert "973 MiB 1 024 MiB 95 % 97 %" in heap
    assert "3 600 in 60 min 1 1.10 ms 9.40 ms 120 ms 1.25 s" in disk


def test_the_file_says_how_many_a_row_is_the_sum_of(serve, page: Page) -> None:
    shown(page, serve(fleets.watched(fleets.one_host())))
    with page.expect_download() as download:
        page.locator("#pauses-links button").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    (together,) = [row for row in rows if row["source"] == "cassandra"]
    assert (together["pauses"], together["duration_s"], together["sum_s"]) == ("9", "0.05", "0.45")


def test_hostile_and_missing_values_do_no_harm(serve, page: Page) -> None:
    fleet = fleets.watched(fleets.one_host())
    document = fleet.documents["pauses"]
    document["sources"][1].update(
        source=fleets.HOSTILE, unwatched=[{"from": 3}, None, {"from": "x", "to": []}], curve="no", state=7
    )
    for name in ("processes", "heaps", "disks"):
        document[name] = [None, 3, {"source": fleets.HOSTILE, "node": "web-1", "cluster": "prod"}]
    shown(page, serve(fleet))
    expect(page.locator("#pauses-beside tbody tr")).to_have_count(3)
    assert page.title() != "pwned"


def test_the_section_fits_a_narrow_screen(serve, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    shown(page, serve(fleets.watched(fleets.one_host())))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
