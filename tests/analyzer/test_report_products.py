"""Products in a report: by the contract, whatever an entry has besides or lacks."""

from typing import Any

import pytest
from analyzer.synthetic import ArrayStore
from analyzer.test_report_html import HOSTILE, Seen
from analyzer.test_report_markdown import assert_tables_are_even, host

from truechimer_analyzer.answers import answer
from truechimer_analyzer.report.html import document
from truechimer_analyzer.report.products import section
from truechimer_analyzer.report.timeouts import section as timeouts_section

ETCD: dict[str, Any] = {
    "product": "etcd",
    "title": "etcd",
    "version": "3.5",
    "verdict": "tune",
    "settings": [
        {
            "setting": "heartbeat-interval",
            "unit": "ms",
            "default": 100,
            "current": 100,
            "advised": 100,
            "reason": "kept",
        },
        {
            "setting": "election-timeout",
            "unit": "ms",
            "default": 1000,
            "current": 1000,
            "advised": 2500,
            "reason": "pauses of 0.84 s",
        },
    ],
    "constraints": [
        {
            "rule": "election-timeout >= 5 * heartbeat-interval",
            "current": "violated",
            "advised": "holds",
            "message": "etcd warns",
        }
    ],
    "clamps": [
        {
            "setting": "election-timeout",
            "unit": "ms",
            "current": {"given": 60_000, "becomes": 50_000},
            "advised": None,
            "message": "etcd refuses more",
        }
    ],
    "figures": [{"figure": "longest outage", "unit": "s", "current": 1.25, "advised": None}],
    "snippet": "election-timeout: 2500\n# ``` no fence ends here\n",
    "snippet_file": "etcd.conf.yml",
    "predicted": {
        "current": {"false_per_month": 12.34, "failover_s": 1.5, "failover": {"detect": {"max": 2.0}}},
        "advised": {"false_per_month": None, "failover_s": 3.75},
    },
    "binding": "pause:gc@db-2",
    "fix": None,
    "missing": [],
    "news": {"from": "a later version"},
}


def markdown(*products: dict[str, Any]) -> str:
    return "\n\n".join(block for block in section(products) if block)


def test_a_product_is_told_with_verdict_settings_rules_forecast_and_snippet() -> None:
    text = markdown(ETCD)
    for part in (
        "### etcd 3.5",
        "**Change these settings.** What binds: pause:gc@db-2.",
        "| heartbeat-interval | 100 ms | 100 ms | 100 ms | kept |",
        "| election-timeout | 1000 ms | 1000 ms | **2500 ms** | pauses of 0.84 s |",
        r"| election-timeout \>= 5 \* heartbeat-interval | **violated** | holds | etcd warns |",
        "| current | 12.3 | 2 s | 1.5 s | – |",
        "| advised | – | – | 3.75 s | – |",
        "| longest outage | 1.25 s | – |",
        "Rewritten without a word: election-timeout: current 60000 ms becomes 50000 ms: etcd refuses more",
        "For etcd.conf.yml:",
        "````\nelection-timeout: 2500\n# ``` no fence ends here\n````",
    ):
        assert part in text
    assert_tables_are_even(text)
    assert "news" not in text


def test_the_page_shows_the_snippet_as_it_is_to_be_pasted() -> None:
    seen = Seen(document("t", section([ETCD])))
    assert "election-timeout: 2500\n# ``` no fence ends here\n" in seen.texts
    assert "election-timeout >= 5 * heartbeat-interval" in seen.texts
    assert {"2500 ms", "violated"} <= set(seen.texts)


def test_a_verdict_to_fix_first_says_what() -> None:
    text = markdown({**ETCD, "verdict": "fix_first", "snippet": None, "fix": "a stop of 12 s on db-2"})
    assert "**Don't tune: fix what binds first.**" in text
    assert "- **Fix**: a stop of 12 s on db-2" in text
    assert "````" not in text


def test_what_is_missing_for_advice_is_listed() -> None:
    text = markdown({**ETCD, "verdict": "insufficient_data", "missing": ["no round trips", "no fsyncs"]})
    assert "**Too little was measured.**" in text
    assert "- Missing: no round trips\n- Missing: no fsyncs" in text


@pytest.mark.parametrize("entry", [{}, {"product": "etcd"}, dict.fromkeys(ETCD)])
def test_what_an_entry_lacks_is_a_dash(entry: dict[str, Any]) -> None:
    text = markdown(entry)
    assert text.startswith("### etcd" if entry.get("product") else "### –")
    assert "What binds: –." in text
    assert "None" not in text


def test_values_lacking_or_of_other_kinds_are_shown() -> None:
    """A switch, a word, no unit, nothing."""
    settings = [
        {"setting": "tcp_nodelay", "default": False, "current": None, "advised": True},
        {"setting": "mode", "default": "auto", "unit": None},
        {"setting": "phi", "default": 8, "advised": 12.5},
    ]
    text = markdown(
        {**ETCD, "settings": [*settings, {}], "constraints": [{}], "figures": [{}], "clamps": [{}]}
    )
    assert "| tcp\\_nodelay | false | – | **true** | – |" in text
    assert "| mode | auto | – | – | – |" in text
    assert "| phi | 8 | – | **12.5** | – |" in text
    assert "| – | – | – | – | – |" in text
    assert "None" not in text
    assert_tables_are_even(text)


def test_hostile_texts_stay_texts() -> None:
    """In every place that an entry has a text."""

    def spoiled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: spoiled(each) for name, each in part.items()}
        if isinstance(part, list):
            return [spoiled(each) for each in part]
        return HOSTILE if isinstance(part, str) else part

    seen = Seen(document("t", section([spoiled(ETCD)])))
    assert {"script", "img"} & set(seen.tags) == set()
    assert [value for name, value in seen.attributes if name == "href"] == ["data:,"]
    assert seen.text.count(HOSTILE) == 25


def test_products_alone_are_a_part_on_timeouts() -> None:
    """Where nothing was measured the rules are checked all the same: no evidence, no uses, no frontier."""
    found = {"evidence": None, "uses": [], "products": [ETCD]}
    blocks = [block for block in timeouts_section(found) if block]
    assert blocks[0] == "### etcd 3.5"


def test_a_report_for_a_product_has_its_part_where_next_to_nothing_was_measured_too() -> None:
    """What is missing is said; the rules are checked all the same."""
    for samples in ([], host()):
        options = {"product": "etcd", "format": "md,html"}
        found: Any = answer("report", options, ArrayStore(samples, 400))  # type: ignore[arg-type]
        assert "### etcd 3" in found["markdown"]
        assert "election-timeout" in Seen(found["html"]).text
        assert "Missing: " in found["markdown"]
