"""scrape: the pauses that programs tell of themselves on /metrics (Go, JVM, Node), per [[scrape]]."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer.readings import monotonic_s
from truechimer_agent.collecting import CollectFailure, Observation
from truechimer_agent.scraping.deltas import between, is_same_process, stops_of
from truechimer_agent.scraping.page import read_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer.config.model import PausesConfig, ScrapeConfig
    from truechimer_agent.collecting import Host
    from truechimer_agent.scraping.deltas import Between
    from truechimer_agent.scraping.fetching import Fetcher
    from truechimer_agent.scraping.page import Page

NS = 1e9
MOST_STRANGERS = 3
"""So many pages in a row of another process each are no restarts."""
NOTHING_HINT = "have the program export its runtime's metrics (docs/collectors/scrape.md names them)"
STRANGERS_HINT = "put one process's own address into url, not a load balancer's"


@dataclass(frozen=True, slots=True)
class _Scraped:
    """A page, when it was there (S ns) and in which epoch of S."""

    page: Page
    steady_ns: int
    epoch: int


@dataclass(slots=True, eq=False)
class _Program:
    """One [[scrape]]: its last page, and what is wrong now."""

    config: ScrapeConfig
    fetcher: Fetcher
    before: _Scraped | None = None
    strangers: int = 0
    failure: CollectFailure | None = None
    task: asyncio.Task[None] | None = None


class Scrape:
    """Scrapes every [[scrape]] on its beat, each in a thread of its own that nobody waits for."""

    interval_s = 10.0

    def __init__(self, host: Host, programs: Sequence[ScrapeConfig], pauses: PausesConfig) -> None:
        self._host = host
        self._configs = tuple(programs)
        self._threshold_s = pauses.threshold_ms / 1e3
        self._programs: list[_Program] = []

    async def open(self) -> None:
        """Begin to scrape."""
        from truechimer_agent.scraping.fetching import Fetcher  # with urllib3

        self._programs = [_Program(config, Fetcher(config)) for config in self._configs]
        for program in self._programs:
            program.task = asyncio.create_task(self._keep(program), name=f"scrape {program.config.name}")

    async def collect(self) -> list[Observation]:
        """Nothing by the clock: pages are told of as they come. Raises CollectFailure for what fails now."""
        for program in self._programs:
            if program.task is not None and program.task.done() and (error := program.task.exception()):
                raise error
        failures = [program.failure for program in self._programs if program.failure is not None]
        if failures:
            hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
            raise CollectFailure("; ".join(str(failure) for failure in failures), hint="; ".join(hints))
        return []

    async def close(self) -> None:
        """Stop; a scrape in flight ends by itself, and nobody hears of it."""
        tasks = [program.task for program in self._programs if program.task is not None]
        self._programs = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, program: _Program) -> None:
        due_s = monotonic_s()
        while True:
            try:
                self._take(program, await self._scrape(program))
            except CollectFailure as failure:
                program.failure = failure
            due_s = max(due_s + program.config.interval_s, monotonic_s())
            await asyncio.sleep(due_s - monotonic_s())

    async def _scrape(self, program: _Program) -> _Scraped:
        """Fetch and read one page outside the loop. Raises CollectFailure."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[_Scraped] = loop.create_future()

        def settle(outcome: _Scraped | Exception) -> None:
            if ended.done():
                return
            if isinstance(outcome, Exception):
                ended.set_exception(outcome)
            else:
                ended.set_result(outcome)

        def work() -> None:
            outcome: _Scraped | Exception
            try:
                outcome = self._read(program)
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, outcome)

        threading.Thread(target=work, name="scrape", daemon=True).start()
        return await ended

    def _read(self, program: _Program) -> _Scraped:
        fetched = program.fetcher.fetch()
        steady_ns, epoch = self._host.steady_now_ns(), self._host.steady().epoch
        url = program.config.url
        try:
            page = read_page(fetched.body, openmetrics=fetched.openmetrics)
        except DecodeError as error:
            raise CollectFailure(
                f"{url} was not understood: {error}", hint="look at what answers there"
            ) from error
        if not page.runtimes:
            raise CollectFailure(
                f"{url} tells nothing of the pauses of Go, the JVM or Node", hint=NOTHING_HINT
            )
        return _Scraped(page, steady_ns, epoch)

    def _take(self, program: _Program, now: _Scraped) -> None:
        """Compare a page with the last one, and hand over what happened. Raises CollectFailure."""
        before, program.before = program.before, now
        program.failure = None
        if before is None or before.epoch != now.epoch or now.steady_ns <= before.steady_ns:
            return
        if not is_same_process(before.page, now.page):
            program.strangers += 1
            if program.strangers >= MOST_STRANGERS:
                raise CollectFailure(
                    f"{program.config.url} answers for another process each time", hint=STRANGERS_HINT
                )
            return
        program.strangers = 0
        span_s = (now.steady_ns - before.steady_ns) / NS
        for found in between(before.page, now.page, span_s):
            self._tell(program.config, found, before, now)

    def _tell(self, config: ScrapeConfig, found: Between, before: _Scraped, now: _Scraped) -> None:
        source = {"source": config.name, "runtime": found.runtime}
        span_s = (now.steady_ns - before.steady_ns) / NS
        window: dict[str, float | int] = {
            "observed_seconds": span_s,
            "count": found.count,
            "total_seconds": found.total_s,
            "max_seconds": found.longest_s,
            "max_upper_seconds": found.longest_upper_s,
            "threshold_seconds": 0.0,
            "interval_seconds": span_s,
        }
        self._host.emit(Observation("truechimer_pause_window", now.steady_ns, window, source))
        for number, stop in enumerate(stops_of(found, self._threshold_s)):
            # When they were is not known: the longest is put at the end, the others at the beginning.
            lasted_ns = round(min(stop.duration_s, span_s) * NS)
            start_ns = before.steady_ns + 1 if number else now.steady_ns - lasted_ns
            fields: dict[str, float | int] = {
                "duration_seconds": stop.duration_s,
                "interval_seconds": span_s,
                "confidence_ratio": found.confidence,
                "steady_seconds": start_ns / NS,
                "epoch": now.epoch,
            }
            if stop.count > 1:
                fields["pauses"] = stop.count
            tags = {**source, "cause": Cause.GC.value}
            self._host.emit(Observation("truechimer_pause", start_ns, fields, tags))
