"""The report in HTML: one file, the Markdown's content, and names that stay names."""

import re
from html.parser import HTMLParser
from typing import Any

from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore
from analyzer.test_report_markdown import host
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.answers import answer
from truechimer_analyzer.report.blocks import Plot, escaped, fenced, listed, table
from truechimer_analyzer.report.html import document

HOSTILE = "<script>alert(1)</script>&amp;\"'[x](javascript:alert(1))![i](http://evil.invalid/i.png)`"
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "body",
        "nav",
        "main",
        "footer",
        "h1",
        "h2",
        "h3",
        "a",
    ),
    *("ul", "li", "p", "strong", "div", "span", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"),
    *("figure", "figcaption", "svg", "desc", "path", "line", "text", "rect", "circle"),
}
VOID = {"meta", "link"}


class Seen(HTMLParser):
    """The tags, attributes and texts of a document."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def report(samples: list[Any], now_s: float = 400, **options: str) -> dict[str, Any]:
    return answer("report", {"format": "html", **options}, ArrayStore(samples, now_s))  # type: ignore[arg-type]


def test_the_answer_holds_what_its_formats_ask_for_and_nothing_else() -> None:
    """Markdown unless told, HTML only when asked: answers stay small."""
    head = {"as_of", "from", "window_s", "generated"}
    store: Any = ArrayStore(host(), 400)
    for formats, keys in (
        ({}, {"markdown"}),
        ({"format": "html"}, {"html"}),
        ({"format": "md, html"}, {"markdown", "html"}),
        ({"format": "json"}, {"documents", "refused"}),
    ):
        assert set(answer("report", formats, store)) == head | keys


def test_the_json_of_a_report_is_the_documents_and_why_one_is_missing() -> None:
    """Each part is what its own command answers; a refusal keeps its reason and the document that it had."""
    store: Any = ArrayStore(host(), 400)
    found: dict[str, Any] = answer("report", {"format": "json"}, store)
    assert set(found["documents"]) == {"clocks", "stability", "rtt", "pauses", "timeouts"}
    alone: dict[str, Any] = answer("rtt", {"histogram": "1"}, store)
    assert found["documents"]["rtt"]["paths"] == alone["paths"]
    assert found["refused"]["timeouts"]["error"].startswith("one false timeout in ")
    assert found["documents"]["timeouts"]["uses"][0]["refused"]
    nothing: dict[str, Any] = answer("report", {"format": "json"}, ArrayStore([], 0))  # type: ignore[arg-type]
    assert "timeouts" not in nothing["documents"]
    assert nothing["refused"]["timeouts"]["hint"]


def test_a_page_has_every_part_and_its_plots() -> None:
    samples = [*host(), *(made.pause(float(at), 0.01 * (at - 300), node="a") for at in range(301, 380, 4))]
    page = report(samples, false_per_month="200000")["html"]
    seen = Seen(page)
    assert page.startswith("<!doctype html>")
    for part in ("Clocks", "Stability", "Round trips", "Pauses", "Timeouts", "What this rests on", "−500 ms"):
        assert part in seen.text
    assert seen.tags.count("figure") == 2, "round trips and pauses; the frontier of equal delays is a point"
    assert "a → b, tcp: 390 replies, 0 lost" in seen.text
    assert "a: host: 21 pauses, watched for 10 s" in seen.text
    assert "**" not in seen.text
    assert "None" not in seen.text
    assert len(seen.ids) == len(set(seen.ids))


def test_links_lead_to_the_sections() -> None:
    seen = Seen(report(host())["html"])
    links = [value for name, value in seen.attributes if name == "href" and value != "data:,"]
    assert len(links) == 6
    assert all(link is not None and link[1:] in seen.ids for link in links)


def test_nothing_is_loaded_and_nothing_can_run() -> None:
    """No scripts, no handlers, no addresses but anchors and an empty icon; the policy refuses the rest."""
    page = report(host(HOSTILE), since="400s")["html"]
    seen = Seen(page)
    assert set(seen.tags) <= ALLOWED
    assert HOSTILE in seen.text
    assert {name for name, _ in seen.attributes if name.startswith("on") or name in {"src", "style"}} == set()
    assert all(
        value is not None and (value == "data:," or re.fullmatch(r"#section-\d+", value))
        for name, value in seen.attributes
        if name == "href"
    )
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = [
        value for name, value in seen.attributes if name == "content" and "default-src" in str(value)
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@given(st.text(min_size=1))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    """In a paragraph, a list, a cell, code and a caption: what came in is what is read; no new element."""
    # XML and HTML have no place for control characters; the parser shows U+FFFD for NUL as HTML does.
    wanted = " ".join(text.split())
    if not wanted or any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 or each == "\ufffe" for each in wanted):
        return
    said = escaped(text)
    plot = Plot("<svg></svg>", (("<svg></svg>", wanted),), wanted)
    page = document(
        wanted, [said, listed([said, f"**{said}**"]), table((said,), [(said,)]), fenced(wanted), plot]
    )
    seen = Seen(page)
    assert seen.tags.count("li") == 3
    assert {"script", "em", "h1", "h2", "img", "ol"} & set(seen.tags) == set()
    assert sum(each.strip() == wanted.strip() for each in seen.texts) == 9


def test_code_keeps_its_backticks_and_its_lines() -> None:
    seen = Seen(document("t", [fenced("a: ```1```\n  b: <2>\n")]))
    assert "a: ```1```\n  b: <2>\n" in seen.texts


def test_nothing_of_a_long_table_is_left_out() -> None:
    """Parsers bound tables; a fleet's are longer."""
    rows = [("db-1", "ok", "proven within", "+1 ms")] * 2000
    assert Seen(document("t", [table(("node", "state", "judgement", "from"), rows)])).tags.count("td") == 8000
