"""The mesh in a real browser: what is proven of two clocks, and heatmaps for eyes, keys and readers."""

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from browser import fleets, meshes
from browser.fake_analyzer import FakeAnalyzer, serving
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda fleet: stack.enter_context(serving(fleet))


def shown(page: Page, server: FakeAnalyzer, fragment: str = "") -> None:
    """Open the page and wait for the heatmap."""
    page.goto(f"{server.url}/{fragment}")
    expect(page.locator("#mesh canvas")).to_be_visible(timeout=20_000)


def cell(page: Page) -> Any:
    """The grid's active cell, as a screen reader finds it."""
    grid = page.locator("#mesh [role=grid]")
    return page.locator(f"#{grid.get_attribute('aria-activedescendant')}")


def colours(page: Page, row: int, column: int, size: int) -> list[int]:
    """Red, green and blue near a corner of a cell, of so few nodes that cells are largest."""
    found: list[int] = page.evaluate(
        """([row, column, size]) => {
            const canvas = document.querySelector("#mesh canvas");
            const left = canvas.width / devicePixelRatio - 2 - 30 * size;
            const at = [column, row].map((index) => (left + index * 30 + 3) * devicePixelRatio);
            return [...canvas.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3);
        }""",
        [row, column, size],
    )
    return found


def test_epsilon_stands_first_with_what_follows_from_it(serve, page: Page) -> None:
    fleet = meshes.mesh()
    answer = fleet.documents["skew"]["clusters"][0]
    answer |= {"epsilon_s": 0.00124, "epsilon_k_s": 0.0031, "commit_wait_s": 0.00125, "lww_gap_s": 0.00126}
    shown(page, serve(fleet))
    block = page.locator("#mesh .epsilon")
    expect(block.locator(".epsilon-figure")).to_have_text("1.24 ms")
    for words in (
        "ε of prod",
        "ε₁3.10 ms with any one node lying (k = 1)",
        "Commit wait1.25 ms",
        "Last write winssafe beyond 1.26 ms",
        "✓proven within the limit of 500 ms",
    ):
        expect(block).to_contain_text(words)
    expect(page.locator("#because")).to_contain_text("Any two clocks of prod agree to ε = 1.24 ms.")
    expect(page.locator("#mesh .trouble")).to_be_hidden()


def test_an_epsilon_that_is_not_proven_is_no_number(serve, page: Page) -> None:
    fleet = meshes.mesh()
    bounds = {"db-1": (-1e-3, 1e-3), "db-2": None, "db-3": (-1e-3, 2e-3)}
    fleet.documents["skew"] = fleets.skew(meshes.cluster_skew(bounds))
    shown(page, serve(fleet))
    expect(page.locator(".epsilon-figure")).to_have_text("not proven")
    expect(page.locator(".epsilon")).to_contain_text("not proven with any one node lying")
    expect(page.locator("#because")).not_to_contain_text("ε")
    expect(page.locator("#mesh-legend")).to_contain_text("not bounded")
    page.locator("#mesh [role=grid]").focus()
    expect(cell(page)).to_have_text("db-2 − db-1: not bounded (nothing connects them)")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"certain": ["db-3"], "one_of": [], "cycle": ["db-1", "db-2", "db-3"], "excess_s": 0.003},
            "Proven wrong: db-3. Around db-1 → db-2 → db-3 → db-1 by 3.00 ms.",
        ),
        (
            {"certain": [], "one_of": ["db-1", "db-2"], "cycle": ["db-1", "db-2"], "excess_s": 0.003},
            "One of db-1, db-2 is wrong; which one is not proven.",
        ),
        (
            {"suspects": ["db-4"], "cycle": ["db-1", "db-4"], "excess_s": 0.003, "more_than_k": True},
            "Suspected, not proven: db-4. More nodes are wrong than were allowed for.",
        ),
    ],
    ids=["certain", "one of", "suspects"],
)
def test_who_lies_is_said_as_far_as_it_is_proven(serve, page: Page, found, words) -> None:
    shown(page, serve(meshes.mesh(inconsistent=found)))
    expect(page.locator("#mesh .liars")).to_contain_text(words)
    expect(page.locator("#because")).to_contain_text("The mesh of prod contradicts itself")


def test_a_contradiction_leaves_what_holds_whoever_lied(serve, page: Page) -> None:
    """Without an ε, cells show the bounds that hold after any one node's removal."""
    fleet = meshes.mesh(3)
    answer = fleet.documents["skew"]["clusters"][0]
    answer |= {"epsilon_s": None, "why_unproven": "the evidence contradicts itself"}
    answer["left_out"] = [{"node": "db-9", "why": "silent", "missing": "it is silent"}]
    for pair in answer["pairs"]:
        pair |= {"lower_s": None, "upper_s": None}
    shown(page, serve(fleet))
    expect(page.locator(".epsilon-main")).to_contain_text("not proventhe evidence contradicts itself")
    expect(page.locator(".left-out")).to_have_attribute("title", "it is silent")
    page.locator("#mesh [role=grid]").focus()
    expect(cell(page)).to_contain_text("db-2 − db-1: with any one node lying between −")


def test_a_cluster_of_one_has_no_mesh(serve, page: Page) -> None:
    fleet = fleets.one_host()
    fleet.documents["skew"] = fleets.skew(meshes.cluster_skew({"web-1": (-1e-3, 1e-3)}))
    page.goto(serve(fleet).url)
    expect(page.locator("#delays-chart canvas")).to_be_visible()
    expect(page.locator("#mesh")).to_be_hidden()


def test_the_switch_changes_the_map_and_the_address_carries_it(serve, page: Page) -> None:
    server = serve(meshes.mesh())
    shown(page, server)
    grid = page.locator("#mesh [role=grid]")
    names = {
        "Skew bound": ("#", "the most by which"),
        "RTT p50": ("mesh=p50", "median"),
        "RTT p99": ("mesh=p99", "99th"),
        "Loss there": ("mesh=there", "on the way from row to column"),
        "Loss back": ("mesh=back", "on the way from column to row"),
    }
    for name, (fragment, words) in names.items():
        button = page.get_by_role("button", name=name)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert fragment in page.url or fragment == "#"
        expect(grid).to_have_attribute("aria-label", re.compile(re.escape(words)))
    page.reload()
    expect(page.get_by_role("button", name="Loss back")).to_have_attribute("aria-pressed", "true")


def test_arrows_walk_the_cells_and_each_says_what_it_holds(serve, page: Page) -> None:
    """A grid with an active cell: a reader hears the pair, its bound, and what a liar would leave of it."""
    shown(page, serve(meshes.mesh(inconsistent=None)))
    grid = page.locator("#mesh [role=grid]")
    grid.focus()
    expect(cell(page)).to_contain_text("db-2 − db-1: between −")
    expect(cell(page)).to_contain_text("with any one node lying between −")
    expect(cell(page)).to_contain_text("proven within the limit of 500 ms")
    expect(cell(page)).to_have_attribute("aria-colindex", "2")
    page.keyboard.press("ArrowDown")
    expect(cell(page)).to_have_text("db-2: the same node")
    page.keyboard.press("ArrowRight")
    expect(cell(page)).to_contain_text("db-3 − db-2")
    page.keyboard.press("End")
    expect(cell(page)).to_contain_text("db-5 − db-2")
    page.keyboard.press("ArrowRight")
    expect(cell(page)).to_contain_text("db-5 − db-2")
    page.keyboard.press("PageDown")
    expect(cell(page)).to_have_text("db-5: the same node")
    expect(page.locator(".heat-readout")).to_have_text("db-5: the same node")


def test_the_active_cell_survives_a_refresh(serve, page: Page) -> None:
    server = serve(meshes.mesh())
    shown(page, server, "#mesh=p50")
    page.locator("#mesh [role=grid]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(cell(page)).to_contain_text("db-2 → db-3: p50")
    asked = server.asked.count("/api/v1/clocks?since=1h")
    server.commit()
    page.wait_for_timeout(1500)
    assert server.asked.count("/api/v1/clocks?since=1h") > asked
    expect(cell(page)).to_contain_text("db-2 → db-3: p50")
    page.keyboard.press("ArrowRight")
    expect(cell(page)).to_contain_text("db-2 → db-4: p50")


def test_loss_there_and_back_are_maps_of_their_own(serve, page: Page) -> None:
    shown(page, serve(meshes.mesh()), "#mesh=there")
    page.locator("#mesh [role=grid]").focus()
    page.keyboard.press("End")
    expect(cell(page)).to_have_text(
        "db-1 → db-5: 36 of 3\u202f600 lost on the way there, 1 %, at most 1.1 % (95 %)."
    )
    page.get_by_role("button", name="Loss back").click()
    expect(page.locator(".heat-readout")).to_contain_text("db-1 → db-5: 0 of 3\u202f600 lost on the way back")


def test_losses_whose_direction_is_open_are_marked_not_counted(serve, page: Page) -> None:
    fleet = meshes.mesh(3)
    fleet.documents["rtt"]["paths"][0] = meshes.stamped("db-1", "db-2", 3e-4, undetermined=7)
    shown(page, serve(fleet), "#mesh=back")
    page.locator("#mesh [role=grid]").focus()
    expect(cell(page)).to_contain_text("0 of 3\u202f600 lost on the way back, 0 %, at most")
    expect(cell(page)).to_contain_text("direction of 7 more unknown")
    expect(page.locator("#mesh-legend")).to_contain_text("the direction of some losses is not known yet")


def test_a_pair_proven_beyond_the_limit_has_its_own_mark(serve, page: Page) -> None:
    bounds = {"db-1": (-1e-4, 1e-4), "db-2": (0.7, 0.8), "db-3": (-0.9, 0.2)}
    fleet = meshes.mesh()
    fleet.documents["skew"] = fleets.skew(meshes.cluster_skew(bounds))
    shown(page, serve(fleet))
    page.locator("#mesh [role=grid]").focus()
    expect(cell(page)).to_contain_text("proven beyond the limit of 500 ms")
    page.keyboard.press("ArrowRight")
    expect(cell(page)).to_contain_text("db-3 − db-1")
    expect(cell(page)).to_contain_text("not proven within the limit of 500 ms")
    expect(page.locator("#mesh-legend")).to_contain_text("✕ proven beyond the limit of 500 ms")
    expect(page.locator("#mesh-legend")).to_contain_text("? not proven within the limit of 500 ms")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_worse_cell_differs_by_lightness_in_either_theme(serve, page: Page, scheme) -> None:
    """Darker is worse on light ground, lighter on dark ground: no hue needs to be told apart."""
    fleet = meshes.mesh(3)
    fleet.documents["rtt"]["paths"] = [
        meshes.stamped("db-1", "db-2", 1e-4),
        meshes.stamped("db-1", "db-3", 1e-3),
        meshes.stamped("db-2", "db-1", 1e-2),
    ]
    page.emulate_media(color_scheme=scheme)
    shown(page, serve(fleet), "#mesh=p50")
    best, middle, worst, unknown = (
        colours(page, row, column, 3) for row, column in ((0, 1), (0, 2), (1, 0), (2, 0))
    )
    lightness = [0.3 * red + 0.6 * green + 0.1 * blue for red, green, blue in (best, middle, worst)]
    assert lightness == sorted(lightness, reverse=scheme == "light")
    assert min(abs(a - b) for a, b in itertools.pairwise(lightness)) > 40
    assert unknown not in (best, middle, worst)


def test_choosing_a_cell_shows_that_path_by_hour(serve, page: Page) -> None:
    server = serve(meshes.mesh())
    shown(page, server, "#mesh=p99")
    page.locator("#mesh [role=grid]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#hours-path")).to_have_text("db-2 → db-5 (stamp)")
    assert "path=db-2%3Edb-5%3Estamp%3E0" in page.url
    expect(page.locator("#hours-chart canvas")).to_be_visible()
    asked = [path for path in server.asked if "by=hour" in path][-1]
    for option in ("since=24h", "node=db-2", "peer=db-5", "via=stamp"):
        assert option in asked
    picture = page.locator("#hours-chart .picture")
    picture.focus()
    page.keyboard.press("ArrowRight")
    readout = page.locator("#hours-chart .readout")
    expect(readout).to_contain_text("2026-11-22 17:00–18:00 UTC: p50")
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("18:00–19:00 UTC: no probe")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("3\u202f600 probes, 36 lost (there 36, back 0)")


def test_hours_whose_scale_begins_just_below_a_power_of_ten_are_drawn(serve, page: Page) -> None:
    """A median of 137 µs: the scale begins at 97.9 µs."""
    fleet = meshes.mesh()
    for path in fleet.documents["rtt"]["paths"]:
        for one in path["hours"]:
            one.update(p50_s=137e-6, p99_s=4e-4, max_s=2e-3)
    shown(page, serve(fleet), "#scope=fleet")
    page.locator("#delays-table tbody tr").nth(3).get_by_role("link").click()
    expect(page.locator("#hours-chart canvas")).to_be_visible()


def test_a_path_of_the_table_is_chosen_by_its_link(serve, page: Page) -> None:
    shown(page, serve(meshes.mesh()), "#scope=fleet")
    page.locator("#delays-table tbody tr").nth(3).get_by_role("link").click()
    row = page.locator("#delays-table tr.selected")
    expect(row).to_have_count(1)
    expect(row.get_by_role("link")).to_have_attribute("aria-current", "true")
    # In one go: the rows are drawn anew while they are looked at.
    ends = row.evaluate("row => [row.querySelector('td').innerText, row.querySelector('a').innerText]")
    name = f"{ends[0]} → {ends[1]} (stamp)"
    expect(page.locator("#hours-path")).to_have_text(name)


def test_losses_by_direction_have_their_columns(serve, page: Page) -> None:
    fleet = meshes.mesh(3)
    fleet.documents["rtt"]["paths"][0] = meshes.stamped("db-1", "db-2", 3e-4, there=5, back=2, undetermined=7)
    shown(page, serve(fleet), "#node=db-1")
    head = page.locator("#delays-table thead")
    for name in ("Lost there", "Lost back", "Undetermined"):
        expect(head).to_contain_text(name)
    row = page.locator("#delays-table tbody tr", has_text="db-2")
    assert [row.locator("td").nth(i).inner_text() for i in (2, 3, 4)] == ["5", "2", "7"]


def test_each_curve_says_its_exposure_and_ends_at_one_in_n(serve, page: Page) -> None:
    """100 replies speak of the rarest hundredth and no more, whatever the document's curve holds."""
    fleet = fleets.one_host()
    short = fleets.path("web-1", "10.0.0.1", 0.0004) | {"count": 100, "replies": 100}
    fleet.documents["rtt"] = {"paths": [short]}
    page.goto(serve(fleet).url)
    expect(page.locator("#delays-legend li").first).to_contain_text("n = 100")
    picture = page.locator("#delays-chart .picture")
    picture.focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    longest = fleets.path("web-1", "10.0.0.1", 0.0004)["max_s"]
    expect(page.locator("#delays-chart .readout")).to_contain_text("99.00 % within")
    said = page.evaluate(f"async () => (await import('/format.js')).duration({longest})")
    expect(page.locator("#delays-chart .readout")).to_contain_text(said)


@pytest.mark.parametrize(("status", "words"), [(404, "does not answer how far apart"), (422, "no bound")])
def test_without_an_answer_on_skew_the_other_maps_stay(
    serve, page: Page, page_problems, status, words
) -> None:
    page_problems.allow("/api/v1/skew")
    fleet = meshes.mesh()
    fleet.documents["skew"] = {"error": "no bound of any clock", "hint": "wait"}
    fleet.statuses["skew"] = status
    server = serve(fleet)
    shown(page, server, "#mesh=p50")
    expect(page.locator("#mesh .lacking")).to_contain_text(words)
    expect(page.locator("#mesh .trouble")).to_be_hidden()
    page.get_by_role("button", name="Skew bound").click()
    expect(page.locator("#mesh-map .empty")).to_have_text(
        "No two clocks of this cluster are bounded against each other yet."
    )
    if status == 404:
        asked = [sum(f"/{name}?" in path for path in server.asked) for name in ("skew", "clocks")]
        server.commit()
        page.wait_for_timeout(1500)
        assert sum("/skew?" in path for path in server.asked) == asked[0]
        assert sum("/clocks?" in path for path in server.asked) > asked[1]


def test_a_failed_answer_on_skew_is_said_and_the_last_one_kept(serve, page: Page, page_problems) -> None:
    page_problems.allow("503")
    server = serve(meshes.mesh())
    shown(page, server)
    expect(page.locator("#mesh .epsilon")).to_have_count(1)
    server.fleet.statuses["skew"] = 503
    kept = server.fleet.documents["skew"]
    server.fleet.documents["skew"] = {"error": "the store is busy", "hint": "try again"}
    server.commit()
    expect(page.locator("#mesh .trouble")).to_contain_text("the store is busy")
    expect(page.locator("#mesh .epsilon")).to_have_count(1)
    server.fleet.statuses["skew"] = 200
    server.fleet.documents["skew"] = kept
    server.commit()
    expect(page.locator("#mesh .trouble")).to_be_hidden()


def test_one_host_without_a_mesh_shows_no_mesh(serve, page: Page) -> None:
    page.goto(serve(fleets.one_host()).url)
    expect(page.locator("#delays-chart canvas")).to_be_visible()
    expect(page.locator("#mesh")).to_be_hidden()


def test_hostile_names_between_nodes_stay_text(serve, page: Page) -> None:
    fleet = meshes.mesh(3)
    bounds = {fleets.HOSTILE: (-1e-3, 1e-3), "b>c": (0.0, 1e-3)}
    fleet.documents["skew"] = fleets.skew(
        meshes.cluster_skew(bounds, inconsistent={"certain": [fleets.HOSTILE], "one_of": [], "cycle": []})
    )
    shown(page, serve(fleet))
    expect(page.locator("#mesh .liars")).to_contain_text(f"Proven wrong: {fleets.HOSTILE}.")
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_eighty_nodes_stay_usable(serve, page: Page, width) -> None:
    """6,320 pairs: drawn within the page's width or scrolled inside, and walked by keys."""
    page.set_viewport_size({"width": width, "height": 900})
    shown(page, serve(meshes.mesh(80)))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    grid = page.locator("#mesh [role=grid]")
    expect(grid).to_have_attribute("aria-rowcount", "80")
    grid.focus()
    page.keyboard.press("Control+End")
    expect(cell(page)).to_have_text("db-80: the same node")
    page.keyboard.press("ArrowUp")
    expect(cell(page)).to_contain_text("db-80 − db-79")


def test_of_thousands_of_paths_the_slowest_have_rows(serve, page: Page) -> None:
    """Of 6,320 paths 200 are listed, and the chosen one if it is not among them."""
    fleet = meshes.mesh(80)
    fast = fleet.documents["rtt"]["paths"][0]
    fast |= {"p99_s": 1e-6, "p50_s": 1e-6}
    shown(page, serve(fleet), "#scope=fleet")
    rows = page.locator("#delays-table tbody tr")
    expect(rows).to_have_count(200, timeout=20_000)
    expect(page.locator("#delays-table")).to_contain_text("the 200 slowest of 6\u202f320 paths")
    page.evaluate("location.hash = '#scope=fleet&path=db-1>db-2>stamp>0'")
    expect(rows).to_have_count(201, timeout=20_000)


def test_every_pair_is_in_the_csv_file(serve, page: Page) -> None:
    shown(page, serve(meshes.mesh(4)))
    with page.expect_download() as download:
        page.locator("#mesh-links button").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("cluster,a,b,skew_lower_s,skew_upper_s,skew_lower_k_s,skew_upper_k_s,via,")
    assert len(lines) == 1 + 4 * 3
    forward = lines[1].split(",")
    back = next(line.split(",") for line in lines if line.startswith("prod,db-2,db-1,"))
    assert [float(value) for value in back[3:5]] == [-float(forward[4]), -float(forward[3])]
    expect(page.locator("#mesh-links a").first).to_have_attribute("href", "api/v1/skew?since=1h&pairs=19900")
