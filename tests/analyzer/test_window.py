"""Options of a query: what is taken, what is refused, and what the refusal says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import UserError
from truechimer_analyzer.window import (
    NS,
    encode,
    groups,
    iso,
    parse_duration,
    parse_question,
    parse_time,
)

NOW = 1_795_377_600 * NS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("90s", 90), ("30m", 1800), ("7d", 604_800), ("1h30m", 5400), ("250ms", 0.25)],
)
def test_durations_are_a_number_and_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text, "since") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["1", "h", "-1h", "0s", "1 fortnight", "1h!", "", "9999999d"])
def test_a_duration_that_is_none_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError, match="since") as refused:
        parse_duration(text, "since")
    assert "1h" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T20:00:00Z",
        "2026-11-22T20:00:00",
        "2026-11-22 20:00:00",
        "2026-11-22T21:00:00+01:00",
        "2026-11-22T21:00:00 01:00",
        "1795377600",
        "1795377600.0",
    ],
)
def test_times_are_iso_8601_or_unix_seconds(text: str) -> None:
    assert parse_time(text, "from") == NOW


@pytest.mark.parametrize("text", ["yesterday", "nan", "inf", "-5", "1e30", "2026-13-01"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no time"):
        parse_time(text, "to")


def test_the_default_window_is_the_last_hour_and_still_open() -> None:
    window = parse_question("clocks", {}, NOW).window
    assert (window.since_ns, window.as_of_ns, window.open) == (NOW - 3600 * NS, NOW, True)
    assert window.until_ns > NOW


def test_a_window_with_an_end_is_closed_and_counts_back_from_it() -> None:
    window = parse_question("rtt", {"to": "1795370000", "since": "10s"}, NOW).window
    assert not window.open
    assert window.until_ns == window.as_of_ns == 1_795_370_000 * NS
    assert window.length_s == 10


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UserError, match="before it begins"):
        parse_question("rtt", {"from": "1795377600", "to": "1795370000"}, NOW)
    with pytest.raises(UserError, match="both"):
        parse_question("rtt", {"from": "1795370000", "since": "1h"}, NOW)


def test_unknown_options_and_commands_name_the_nearest() -> None:
    with pytest.raises(UserError) as refused:
        parse_question("clocks", {"sinse": "1h"}, NOW)
    assert "'since'" in (refused.value.hint or "")
    with pytest.raises(UserError) as refused:
        parse_question("clock", {}, NOW)
    assert "'clocks'" in (refused.value.hint or "")
    with pytest.raises(UserError):
        parse_question("pauses", {"rate": "1"}, NOW)


def test_names_may_be_written_with_dashes_and_values_are_checked() -> None:
    question = parse_question(
        "timeouts", {"false-per-month": "2.5", "detect_within": "5s", "rate": "10"}, NOW
    )
    assert (question.false_per_month, question.detect_within_s, question.rate_hz) == (2.5, 5.0, 10.0)
    for wrong in ({"rate": "0"}, {"rate": "fast"}, {"false_per_month": "nan"}, {"detect_within": "5"}):
        with pytest.raises(UserError):
            parse_question("timeouts", wrong, NOW)
    with pytest.raises(UserError, match="histogram"):
        parse_question("rtt", {"histogram": "maybe"}, NOW)
    with pytest.raises(UserError) as refused:
        parse_question("report", {"kind": "ful"}, NOW)
    assert "full" in (refused.value.hint or "")


@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_iso_reads_back_to_the_microsecond(time_ns: int) -> None:
    assert iso(time_ns).endswith("Z")
    if 0 <= time_ns < 9_000_000_000 * NS:
        assert abs(parse_time(iso(time_ns), "from") - time_ns) < 3000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"))))
def test_groups_are_the_rows_that_agree_in_order(rows: list[tuple[str, str]]) -> None:
    left = np.array([row[0] for row in rows], dtype=object)
    right = np.array([row[1] for row in rows], dtype=object)
    found = dict(groups(left, right))
    expected: dict[tuple[str, ...], list[int]] = {}
    for index, row in enumerate(rows):
        expected.setdefault(row, []).append(index)
    assert {key: members.tolist() for key, members in found.items()} == expected
    assert list(found) == sorted(found)
    codes, names = encode(left, right)
    assert [names[code] for code in codes] == rows


def test_a_report_has_one_or_more_formats() -> None:
    assert parse_question("report", {}, NOW).formats == ("md",)
    assert parse_question("report", {"format": "html, json"}, NOW).formats == ("html", "json")
    for wrong in ("pdf", "md,,html", "md,"):
        with pytest.raises(UserError, match="format="):
            parse_question("report", {"format": wrong}, NOW)
