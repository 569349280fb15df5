"""The page in a real browser, against canned documents of every kind."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from browser import fleets
from browser.fake_analyzer import FakeAnalyzer, serving
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
TODAY = fleets.AS_OF[:10]


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda fleet: stack.enter_context(serving(fleet))


def shown(page: Page, server: FakeAnalyzer, fragment: str = "") -> None:
    """Open the page and wait for its first complete drawing."""
    page.goto(f"{server.url}/{fragment}")
    expect(page.locator("#fleet tbody tr").first).to_be_visible()


def test_one_good_host_is_answered_yes_with_every_section_filled(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()))
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Yes. This clock is proven within 50 ms of UTC."
    )
    expect(page.locator("#because")).to_contain_text("at most 340 µs from the wall clock")
    expect(page.locator("#offset-chart canvas")).to_be_visible()
    expect(page.locator("#rate-chart canvas")).to_be_visible()
    expect(page.locator("#pauses-chart canvas")).to_be_visible()
    expect(page.locator("#delays-chart canvas")).to_be_visible()
    expect(page.locator("#timeouts tbody tr")).to_have_count(3)
    expect(page.locator("#timeouts")).to_contain_text("Not yet: 1 false alarm a month takes about 90 days")
    expect(page.locator(".trouble:visible")).to_have_count(0)


def test_offsets_are_wall_minus_utc_in_words_and_for_screen_readers(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()))
    row = page.locator("#fleet tbody tr").first
    # The document says UTC − W in [−211 µs, 340 µs]: the wall clock is up to 340 µs behind, 211 µs ahead.
    expect(row).to_contain_text("64.5 µs behind ± 276 µs")
    expect(row.get_by_role("img")).to_have_attribute(
        "aria-label", "wall clock minus UTC between −340 µs and +211 µs"
    )


def test_a_falseticker_stands_apart_by_word_and_outline(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()))
    liar = page.locator('#servers tr[data-verdict="falseticker"]')
    expect(liar).to_contain_text("falseticker")
    expect(liar.locator("rect.falseticker")).to_have_count(1)
    expect(page.locator("#servers rect.intersection")).to_have_count(5)


def test_the_interval_bar_is_drawn_to_scale(serve, page: Page) -> None:
    fleet = fleets.one_host()
    fleet.documents["clocks"] = fleets.clocks(
        fleets.node("a", -0.001, 0.001), fleets.node("b", -0.004, 0.004), fleets.node("c", 0.002, 0.004)
    )
    shown(page, serve(fleet))
    # In one go: the page draws its rows anew while it is looked at.
    boxes = page.locator("#fleet tbody tr").evaluate_all(
        "rows => Object.fromEntries(rows.map(row => "
        "[row.dataset.node, row.querySelector('rect.interval').getBoundingClientRect().toJSON()]))"
    )
    assert boxes["b"]["width"] == pytest.approx(4 * boxes["a"]["width"], rel=0.02)
    # The wall clock of c is behind UTC: its bar lies wholly in b's left half.
    assert boxes["c"]["x"] == pytest.approx(boxes["b"]["x"], abs=1)
    assert boxes["c"]["width"] == pytest.approx(boxes["a"]["width"], rel=0.02)


def test_the_worst_nodes_come_first_and_are_named_in_the_headline(serve, page: Page) -> None:
    shown(page, serve(fleets.many_hosts()))
    expect(page.locator("#fleet tbody tr")).to_have_count(50)
    expect(page.locator("h1")).to_have_text(
        "No. 1 of 50 clocks is certainly wrong by more than 50 ms: db-far."
    )
    first = page.locator("#fleet tbody tr").evaluate_all(
        "rows => rows.slice(0, 3).map(row => row.dataset.node)"
    )
    assert first == ["db-far", "db-dark", "db-stale"]
    expect(page.locator("#fleet thead")).to_contain_text("symlog")


def test_a_flag_opens_its_evidence_and_stays_open_over_a_refresh(serve, page: Page) -> None:
    server = serve(fleets.many_hosts())
    shown(page, server)
    flag = page.locator('#fleet tr[data-node="db-far"] details')
    flag.locator("summary").click()
    expect(flag).to_contain_text("limit 50.0 ms")
    expect(flag.locator("time")).to_have_text(f"since {TODAY} 19:55:00 UTC")
    asked = server.asked.count("/api/v1/clocks?since=1h")
    server.commit()
    page.wait_for_timeout(1500)
    assert server.asked.count("/api/v1/clocks?since=1h") > asked
    expect(flag).to_have_attribute("open", "")


def test_pending_flags_camps_and_flags_that_are_over_are_told_apart(serve, page: Page) -> None:
    camps = [{"servers": ["a", "b"], "lower_s": 0, "upper_s": 0}, {"servers": ["c", "d"]}]
    split = {"flag": "no_majority", "since": fleets.at(300), "evidence": {"split": "2–2", "camps": camps}}
    waiting = {
        "flag": "drifting",
        "since": fleets.at(20),
        "due": fleets.at(10),
        "evidence": {"lower_ppm": 120.0},
    }
    over = {
        "flag": "sources_blocked",
        "since": fleets.at(300),
        "clears_at": fleets.at(5),
        "evidence": {"silent": {"a": "lost"}, "kernel_before": {"synchronized": False, "maxerror_s": 16}},
    }
    fleet = fleets.one_host()
    fleet.documents["clocks"] = fleets.clocks(
        fleets.node("split", None, None, state="no_majority", flags=[split]),
        fleets.node("calm", -0.001, 0.001, pending=[waiting]),
        fleets.node("over", -0.001, 0.001, state="sources_blocked", flags=[over]),
    )
    shown(page, serve(fleet))
    for name, words in (
        ("split", "camps a + b | c + d"),
        ("calm", "drifting pending"),
        ("calm", f"raised at {TODAY} 19:59:50 UTC if it lasts"),
        ("over", f"over now: taken back at {TODAY} 19:59:55 UTC"),
        ("over", "silent (a lost), kernel before (synchronized false, maxerror 16.0 s)"),
    ):
        details = page.locator(f'#fleet tr[data-node="{name}"] details')
        details.evaluate("one => { one.open = true; }")
        expect(details).to_contain_text(words)
    expect(page.locator('#fleet tr[data-node="calm"] details.pending')).to_have_count(1)
    expect(page.locator('#fleet tr[data-node="calm"] .badge')).to_contain_text("ok")


def test_the_address_carries_the_view_and_choosing_a_node_changes_it(serve, page: Page) -> None:
    server = serve(fleets.many_hosts())
    shown(page, server, "#node=host-7&cluster=prod&since=6h")
    expect(page.locator("#node-title")).to_have_text("Node host-7")
    expect(page.locator("#since")).to_have_value("6h")
    assert any(
        "/api/v1/series?" in path and "node=host-7" in path and "since=6h" in path for path in server.asked
    )
    page.locator('#fleet tr[data-node="host-3"]').click()
    expect(page.locator("#node-title")).to_have_text("Node host-3")
    assert "node=host-3" in page.url
    page.go_back()
    expect(page.locator("#node-title")).to_have_text("Node host-7")


def test_an_unknown_node_in_the_address_is_said_not_replaced(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()), "#node=gone")
    expect(page.locator("#node-note")).to_contain_text("is not known in this window")


def test_the_keyboard_reaches_and_chooses_rows_and_focus_survives_a_refresh(serve, page: Page) -> None:
    server = serve(fleets.many_hosts())
    shown(page, server)
    page.get_by_role("link", name="db-far").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="db-stale")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#node-title")).to_have_text("Node db-stale")
    server.commit()
    page.wait_for_timeout(1500)
    expect(page.get_by_role("link", name="db-stale")).to_be_focused()
    page.locator("#offset-chart .picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#offset-chart .readout")).to_contain_text(f"{TODAY} 19:59:50 UTC")


def test_a_commit_is_shown_without_asking_and_at_most_once_a_second(serve, page: Page) -> None:
    server = serve(fleets.one_host())
    shown(page, server)
    expect(page.locator("#live")).to_have_attribute("data-live", "live")
    page.wait_for_timeout(1200)
    before = server.asked.count("/api/v1/clocks?since=1h")
    server.fleet.documents["clocks"] = fleets.clocks(
        fleets.node("web-1", -0.2, 0.3, judgement="unproven", state="offset")
    )
    for _ in range(10):
        server.commit()
        page.wait_for_timeout(100)
    expect(page.locator("h1")).to_contain_text("Not proven.")
    assert server.asked.count("/api/v1/clocks?since=1h") - before <= 4


def test_answers_that_take_long_are_asked_more_seldom(serve, page: Page) -> None:
    """A refresh a second asks for clocks each time; for round trips only after ten times what they took."""
    server = serve(fleets.one_host())
    server.slow_s["rtt"] = 0.4
    shown(page, server)
    for _ in range(50):
        server.commit()
        page.wait_for_timeout(100)
    asked = [path.partition("?")[0].rpartition("/")[2] for path in server.asked]
    assert asked.count("clocks") >= 4
    hours = sum("by=hour" in path for path in server.asked)
    assert 1 <= asked.count("rtt") - hours <= 3
    assert 1 <= hours <= 3
    with page.expect_request("**/api/v1/rtt?since=6h*"):
        page.select_option("#since", "6h")


def test_ages_grow_while_nothing_comes_and_silence_is_called_stale(serve, page: Page) -> None:
    fleet = fleets.one_host()
    fleet.documents["clocks"] = fleets.clocks(fleets.node("web-1", -0.001, 0.001, last_seen_s=58.0))
    server = serve(fleet)
    shown(page, server)
    expect(page.locator("#live")).to_have_attribute("data-live", "stale", timeout=8000)
    expect(page.locator("#live")).to_contain_text("stale: last sample")


def test_a_lost_analyzer_is_said_the_last_answer_kept_and_found_again(
    page: Page, page_problems, serve
) -> None:
    page_problems.allow("503")
    server = serve(fleets.one_host())
    shown(page, server)
    server.down = True
    server.commit()
    expect(page.locator("#live")).to_have_attribute("data-live", "disconnected", timeout=25_000)
    expect(page.locator("#fleet .trouble")).to_contain_text("the store is busy – try again in a moment")
    expect(page.locator("#fleet tbody tr")).to_have_count(1)
    server.down = False
    expect(page.locator("#live")).to_have_attribute("data-live", "live", timeout=40_000)
    expect(page.locator(".trouble:visible")).to_have_count(0)


def test_an_analyzer_that_never_answers_is_said(serve, page: Page, page_problems) -> None:
    page_problems.allow("503")
    server = serve(fleets.one_host())
    server.down = True
    page.goto(server.url)
    expect(page.locator("h1")).to_have_text("Unknown. The analyzer does not answer.")
    expect(page.locator("#because")).to_contain_text("the store is busy")


def test_an_empty_store_says_how_to_begin(serve, page: Page, page_problems) -> None:
    page_problems.allow("422")
    page.goto(serve(fleets.empty()).url)
    expect(page.locator("h1")).to_have_text("No node has reported yet.")
    expect(page.locator("#start")).to_contain_text("truechimer agent run --config agent.toml")
    expect(page.locator("#live")).to_contain_text("waiting for the first sample")
    expect(page.locator(".card:visible")).to_have_count(0)


def test_refused_timeouts_are_told_use_by_use(serve, page: Page, page_problems) -> None:
    page_problems.allow("422")
    fleet = fleets.one_host()
    refused = {**fleets.TIMEOUTS, "uses": fleets.TIMEOUTS["uses"][:1]}
    fleet.documents["timeouts"] = {"error": "too little data", "hint": "wait 90 days", "document": refused}
    fleet.statuses["timeouts"] = 422
    shown(page, serve(fleet))
    expect(page.locator("#timeouts .trouble")).to_be_hidden()
    expect(page.locator("#timeouts tbody tr")).to_have_count(1)


def test_malformed_and_hostile_documents_are_shown_as_text(serve, page: Page, page_problems) -> None:
    shown(page, serve(fleets.broken()), f"#node={quote(fleets.HOSTILE)}")
    expect(page.locator("#node-title")).to_contain_text(fleets.HOSTILE)
    page.wait_for_timeout(1500)
    assert page.locator("img[src=x]").count() == 0
    assert "pwned" not in page.title()
    assert "NaN" not in page.locator("main").inner_text()
    assert "undefined" not in page.locator("main").inner_text()
    assert page_problems.found == []


def test_who_is_not_signed_in_is_sent_to_the_login_page(serve, page: Page, page_problems) -> None:
    page_problems.allow("401")
    server = serve(fleets.one_host())
    server.signed_out = True
    page.goto(server.url)
    page.wait_for_url("**/login")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_and_the_button_overrides_it(serve, page: Page, scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    shown(page, serve(fleets.one_host()))
    background = "getComputedStyle(document.body).backgroundColor"
    dark, light = "rgb(13, 18, 24)", "rgb(245, 246, 248)"
    assert page.evaluate(background) == (dark if scheme == "dark" else light)
    page.locator("#theme").click()
    assert page.evaluate(background) == light
    page.locator("#theme").click()
    assert page.evaluate(background) == dark
    page.reload()
    expect(page.locator("#theme")).to_have_text("Theme: dark")


def test_every_section_offers_its_data(serve, page: Page) -> None:
    shown(page, serve(fleets.one_host()))
    for section in ("fleet", "node", "pauses", "delays", "timeouts"):
        links = page.locator(f"#{section}-links")
        expect(links.locator("a").first).to_have_attribute(
            "href", page.locator(f"#{section}-links a").first.get_attribute("href") or ""
        )
        assert page.request.get(
            f"{page.url.split('#')[0]}{links.locator('a').first.get_attribute('href')}"
        ).ok
    with page.expect_download() as download:
        page.locator("#fleet-links button").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("cluster,node,state,judgement,lower_s,upper_s")
    # The file carries the documents' sign: UTC − W.
    assert lines[1].startswith("prod,web-1,ok,proven_within,-0.000211,0.00034,")


def test_formulas_in_names_are_disarmed_in_csv_files(serve, page: Page) -> None:
    page.goto(serve(fleets.one_host()).url)
    made = page.evaluate("async () => (await import('/csv.js')).csv([['=1+1', -2, 'a\"b', null]])")
    assert made == '\'=1+1,-2,"a""b",\r\n'


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_sticks_out_at_any_width(serve, page: Page, width) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    shown(page, serve(fleets.many_hosts()))
    expect(page.locator("#delays-chart canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


READINGS = {
    "duration(0.000064)": "64.0 µs",
    "duration(1.2)": "1.20 s",
    "duration(0.0009999)": "1.00 ms",
    "duration(7500)": "2.1 h",
    "duration(null)": "–",
    "signed(-0.5)": "−500 ms",
    "signed(0)": "0 s",
    "aheadBehind(-2e-9)": "2.00 ns behind",
    "ppm(-12.14)": "−12.1",
    "count(1234567)": "1\u202f234\u202f567",
    "percent(0.00083)": "0.083 %",
    "utc(1795377600)": "2026-11-22 20:00:00 UTC",
    "evidence({size_s: -0.5, daemon: 'chrony', other: null})": "size −500 ms, daemon chrony",
}


def test_numbers_read_well(serve, page: Page) -> None:
    page.goto(f"{serve(fleets.one_host()).url}/login")
    read = {call: page.evaluate(f"import('/format.js').then((format) => format.{call})") for call in READINGS}
    assert read == READINGS


def test_dragging_zooms_into_time_until_a_double_click(serve, page: Page) -> None:
    server = serve(fleets.one_host())
    shown(page, server)
    chart = page.locator("#offset-chart .u-over")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None

    def read(share: float) -> str:
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + 40)
        return page.locator("#offset-chart .readout").inner_text()[11:19]

    assert read(0.99) > "19:59:00"
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40, steps=4)
    page.mouse.up()
    assert "19:17:00" < read(0.99) < "19:19:00"
    server.commit()
    page.wait_for_timeout(1500)
    assert "19:17:00" < read(0.98) < "19:19:00"
    chart.dblclick()
    assert read(0.99) > "19:59:00"


def test_a_single_point_is_drawn_over_seconds_not_years(serve, page: Page) -> None:
    fleet = fleets.one_host()
    one = {"tags": {}, "time_s": [fleets.AS_OF_S - 5], "fields": {"wall_rate_ppm": [0.004]}}
    fleet.series = {**fleet.series, "truechimer_clock": {"series": [one]}}
    shown(page, serve(fleet))
    expect(page.locator("#rate-chart .readout")).to_have_text("now +0.004 ppm")
    page.locator("#rate-chart .picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#rate-chart .readout")).to_contain_text("19:59:55 UTC")


def test_readouts_follow_the_newest_answer(serve, page: Page) -> None:
    server = serve(fleets.one_host())
    shown(page, server)
    later = {"tags": {}, "time_s": [fleets.AS_OF_S - 5], "fields": {"wall_rate_ppm": [55.5]}}
    before = page.locator("#rate-chart .readout")
    expect(before).to_contain_text("now +11.8 ppm")
    server.fleet.series = {
        **server.fleet.series,
        "truechimer_clock": {"series": [*server.fleet.series["truechimer_clock"]["series"], later]},
    }
    server.commit()
    expect(before).to_contain_text("now +55.5 ppm")
