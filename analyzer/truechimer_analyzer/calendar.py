"""The analyzer's calendar: reports by cron, retention once a day.

This is what trusts the wall clock on purpose: "at 06:00" is a statement about the wall clock. Nothing
that samples or judges runs on it. A clock that jumps back makes a job late, one that jumps ahead makes
it run once (``coalesce``), never many times.
"""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from truechimer.config.addresses import duration_s
from truechimer.errors import TruechimerError
from truechimer_analyzer.answers import answer
from truechimer_analyzer.server.replies import plain
from truechimer_analyzer.window import NS, iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from truechimer.config.model import AnalyzerConfig, LimitsConfig, ReportConfig
    from truechimer_analyzer.stores import Store

# A report that the machine slept through is still wanted an hour later.
MISFIRE_GRACE_S = 3600
REPORT_SINCE = "24h"
# Off the full hour, where everybody else's jobs are.
RETENTION_CRON = "17 3 * * *"
# Formats of people and the keys under which an answer holds them.
_RENDERED = {"md": "markdown", "html": "html"}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A running calendar; ``stop`` waits for the job that is running."""

    scheduler: BackgroundScheduler

    def next_runs(self) -> dict[str, str]:
        """When each job runs next, ISO 8601."""
        return {
            job.id: iso(round(job.next_run_time.timestamp() * NS))
            for job in self.scheduler.get_jobs()
            if job.next_run_time is not None
        }

    def stop(self) -> None:
        """No further job starts; returns when none runs any more."""
        self.scheduler.shutdown(wait=True)


def start_calendar(config: AnalyzerConfig, store: Store) -> Calendar:
    """Start the calendar of a configuration in a thread of its own.

    The store is called from that thread. Raises ConfigError for a retention that is no duration.
    """
    retention_ns = duration_s(config.store.retention) * NS
    scheduler = BackgroundScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "misfire_grace_time": MISFIRE_GRACE_S, "max_instances": 1},
    )
    scheduler.add_job(retain, trigger(RETENTION_CRON), args=(store, retention_ns), id="retention")
    for number, report in enumerate(config.report, 1):
        scheduler.add_job(
            write_report,
            trigger(report.cron),
            args=(report, store, config.limits),
            id=f"report {number}: {report.kind}",
        )
    scheduler.start()
    return Calendar(scheduler)


def trigger(cron: str) -> CronTrigger | OrTrigger:
    """A five-field cron expression as cron(8) reads it, in UTC.

    APScheduler counts weekdays from Monday and wants day of the month *and* weekday to match; cron
    counts from Sunday (7 is Sunday too) and, where both are restricted, either will do.
    """
    minute, hour, day, month, weekday = cron.split()
    named = None if weekday == "*" else _weekdays(weekday)

    def at(day: str | None, days_of_week: str | None) -> CronTrigger:
        return CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=days_of_week, timezone=UTC
        )

    if named is None or day == "*":
        return at(day, named)
    return OrTrigger([at(day, None), at(None, named)])


def _weekdays(field: str) -> str:
    """A day-of-week field as names; a range may go round the week's end."""
    days: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = 0 if first == "*" else _weekday(first)
        end = 6 if first == "*" or (step and not last) else _weekday(last) if last else begin
        days |= {each % 7 for each in range(begin, end + (7 if end < begin else 0) + 1, int(step or 1))}
    return ",".join(_DAYS[each] for each in sorted(days))


def _weekday(text: str) -> int:
    return int(text) if text.isdigit() else _DAYS.index(text)


def retain(store: Store, retention_ns: int) -> None:
    """Have the store forget what is older than ``retention_ns``; failures are logged, not raised."""
    older_than_ns = store.now_ns() - retention_ns
    try:
        store.retain(older_than_ns)
    except TruechimerError as error:
        _log.warning("retention failed before=%s error=%s", iso(older_than_ns), error)


def write_report(report: ReportConfig, store: Store, limits: LimitsConfig) -> list[Path]:
    """Write one report of the last day in its formats; what failed is logged and not among the paths.

    The files' name carries the kind and the instant in UTC; each appears whole or not at all.
    """
    written: list[Path] = []
    try:
        document = answer("report", options_of(report), store, limits)
        stamp = re.sub(r"[-:]|\.\d+", "", str(document["generated"]))
        report.directory.mkdir(parents=True, exist_ok=True)
        for form in report.format:
            path = report.directory / f"truechimer-{report.kind}-{stamp}.{form}"
            write_whole(path, _text(document, form))
            written.append(path)
            _log.info("report written path=%s", path)
    except (TruechimerError, OSError) as error:
        _log.warning("report failed kind=%s directory=%s error=%s", report.kind, report.directory, error)
    return written


def options_of(report: ReportConfig) -> dict[str, str]:
    """What the calendar asks for a report."""
    options = {"since": REPORT_SINCE, "kind": report.kind, "format": ",".join(report.format)}
    return options | ({"product": ",".join(report.products)} if report.products else {})


def _text(document: Mapping[str, object], form: str) -> str:
    if form == "json":
        bare = {name: part for name, part in document.items() if name not in _RENDERED.values()}
        return json.dumps(plain(bare), allow_nan=False, ensure_ascii=False) + "\n"
    return str(document[_RENDERED[form]])


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers, and a crash, see all of it or nothing."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
