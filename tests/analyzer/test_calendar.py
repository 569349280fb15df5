"""The calendar: cron as cron reads it, reports written whole, retention through the store."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from analyzer import synthetic as made
from analyzer.synthetic import NS, ArrayStore

from truechimer.config.model import AnalyzerConfig, LimitsConfig, ReportConfig, StoreConfig
from truechimer_analyzer.calendar import (
    options_of,
    retain,
    start_calendar,
    trigger,
    write_report,
    write_whole,
)

# A Sunday.
SUNDAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def runs(cron: str, count: int) -> list[str]:
    found, now = [], SUNDAY
    for _ in range(count):
        at = trigger(cron).get_next_fire_time(None, now)
        assert at is not None
        found.append(f"{at:%a %d %H:%M}")
        now = at + timedelta(seconds=1)
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 6 * * *", ["Mon 23 06:00", "Tue 24 06:00"]),
        ("0 6 * * 1", ["Mon 23 06:00", "Mon 30 06:00"]),
        ("0 6 * * 0", ["Sun 29 06:00", "Sun 06 06:00"]),
        ("0 6 * * 7", ["Sun 29 06:00", "Sun 06 06:00"]),
        ("0 6 * * 5-7", ["Fri 27 06:00", "Sat 28 06:00", "Sun 29 06:00", "Fri 04 06:00"]),
        ("0 6 * * 0-2", ["Mon 23 06:00", "Tue 24 06:00", "Sun 29 06:00"]),
        ("0 6 * * mon,wed", ["Mon 23 06:00", "Wed 25 06:00"]),
        ("0 6 * * sat-mon", ["Mon 23 06:00", "Sat 28 06:00", "Sun 29 06:00"]),
        ("*/30 * * * *", ["Sun 22 12:00", "Sun 22 12:30"]),
        ("0 6 25 * 1", ["Mon 23 06:00", "Wed 25 06:00", "Mon 30 06:00"]),
        ("0 6 * * */2", ["Tue 24 06:00", "Thu 26 06:00", "Sat 28 06:00", "Sun 29 06:00"]),
    ],
)
def test_cron_counts_weekdays_from_sunday_and_takes_either_day(cron: str, expected: list[str]) -> None:
    assert runs(cron, len(expected)) == expected


def test_a_report_is_written_whole_in_each_format_under_a_name_with_its_instant(tmp_path: Path) -> None:
    config = ReportConfig("0 6 * * *", tmp_path / "new" / "reports", "clocks", ("md", "html", "json"))
    paths = write_report(config, ArrayStore([made.bound(0, -0.001, 0.001)], 5), LimitsConfig())  # type: ignore[arg-type]
    assert [path.name for path in paths] == [
        f"truechimer-clocks-20261122T200005Z.{form}" for form in ("md", "html", "json")
    ]
    assert "## Clocks" in paths[0].read_text()
    assert paths[1].read_text().startswith("<!doctype html>")
    found = json.loads(paths[2].read_text())
    assert set(found) == {"as_of", "from", "window_s", "generated", "documents", "refused"}
    assert found["documents"]["clocks"]["nodes"][0]["node"] == "a"
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)


def test_what_is_asked_for_a_report_is_its_kind_formats_and_products(tmp_path: Path) -> None:
    plain = {"since": "24h", "kind": "full", "format": "md,html"}
    assert options_of(ReportConfig("0 6 * * *", tmp_path)) == plain
    config = ReportConfig("0 6 * * *", tmp_path, "timeouts", ("json",), ("etcd@3.5", "kafka"))
    assert options_of(config) == {
        "since": "24h",
        "kind": "timeouts",
        "format": "json",
        "product": "etcd@3.5,kafka",
    }


def test_a_report_that_cannot_be_written_is_logged_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file")
    config = ReportConfig("0 6 * * *", tmp_path / "taken", "full")
    with caplog.at_level(logging.WARNING):
        assert write_report(config, ArrayStore([], 0), LimitsConfig()) == []  # type: ignore[arg-type]
    assert "report failed" in caplog.text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.md"
    write_whole(path, "old")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_retention_tells_the_store_what_is_too_old() -> None:
    store = ArrayStore([], 100)
    retain(store, 40 * NS)  # type: ignore[arg-type]
    assert store.retained_ns == [made.T0 + 60 * NS]


def test_the_calendar_runs_what_is_configured_until_it_is_stopped(tmp_path: Path) -> None:
    config = AnalyzerConfig(
        store=StoreConfig(retention="30d"),
        report=(ReportConfig("0 6 * * *", tmp_path), ReportConfig("0 7 * * 1", tmp_path, "timeouts")),
    )
    calendar = start_calendar(config, ArrayStore([], 0))  # type: ignore[arg-type]
    try:
        assert set(calendar.next_runs()) == {"retention", "report 1: full", "report 2: timeouts"}
    finally:
        calendar.stop()
    assert not calendar.scheduler.running
