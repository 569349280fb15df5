"""Programs scraped for real: windows and pauses between pages, nothing across restarts, failures told."""

from __future__ import annotations

import asyncio
import time

import pytest
from agent.listeninghost import ListeningHost, in_loop, until
from agent.metricspages import program

from truechimer.config.model import PausesConfig, ScrapeConfig
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors.scrape import Scrape

BEAT_S = 0.05


def go_page(count, total_s, longest_s, started_s=1000.0):
    return (
        f'go_gc_duration_seconds{{quantile="1"}} {longest_s}\n'
        f"go_gc_duration_seconds_sum {total_s}\ngo_gc_duration_seconds_count {count}\n"
        f"process_start_time_seconds {started_s}\n"
    ).encode()


def scraper(host, *programs, timeout_s=5.0):
    configs = [ScrapeConfig(f"p{n}", made.url, BEAT_S, timeout_s) for n, made in enumerate(programs)]
    return Scrape(host, configs, PausesConfig())


def windows(host):
    return host.of("truechimer_pause_window")


async def further(made, scrapes=2):
    """Until so many scrapes have begun after now."""
    asked = len(made.asked)
    await until(lambda: len(made.asked) >= asked + scrapes)


@in_loop
async def test_pauses_between_two_pages_are_windows_and_rows():
    """The first page is what is counted from; a single pause is exact, several are their sum."""
    host = ListeningHost()
    with program() as made:
        made.body = go_page(100, 50.0, 2.0)
        collector = scraper(host, made)
        await collector.open()
        await until(lambda: len(windows(host)) >= 2)
        assert sum(one.fields["count"] for one in windows(host)) == 0
        made.body = go_page(101, 50.25, 2.0)
        await until(lambda: len(host.of("truechimer_pause")) == 1)
        made.body = go_page(111, 50.45, 2.0)
        await until(lambda: len(host.of("truechimer_pause")) == 2)
        assert await collector.collect() == []
        await collector.close()
    single, many = host.of("truechimer_pause")
    assert single.tags == {"source": "p0", "runtime": "go", "cause": "gc"}
    assert single.fields["duration_seconds"] == pytest.approx(0.25)
    assert "pauses" not in single.fields
    assert many.fields["pauses"] == 10
    assert many.fields["duration_seconds"] == pytest.approx(0.2)
    assert sum(one.fields["count"] for one in windows(host)) == 11
    assert sum(one.fields["total_seconds"] for one in windows(host)) == pytest.approx(0.45)
    (window,) = [one for one in windows(host) if one.fields["count"] == 10]
    assert window.fields["max_seconds"] == pytest.approx(0.02)
    assert window.fields["max_upper_seconds"] == pytest.approx(0.2)
    observed_s = sum(one.fields["observed_seconds"] for one in windows(host))
    assert observed_s == pytest.approx(
        (windows(host)[-1].steady_ns - windows(host)[0].steady_ns) / 1e9, abs=1.0
    )


@in_loop
async def test_a_restart_is_neither_watched_nor_a_pause():
    """By the counters, and by the start alone where the new one has counted further."""
    host = ListeningHost()
    with program() as made:
        made.body = go_page(100, 50.0, 2.0)
        collector = scraper(host, made)
        await collector.open()
        await until(lambda: len(windows(host)) >= 1)
        for page in (go_page(3, 0.01, 0.01), go_page(5000, 9000.0, 3.0, started_s=2000.0)):
            seen = len(windows(host))
            made.body = page
            await until(lambda seen=seen: len(windows(host)) >= seen + 2)
        await collector.close()
    assert host.of("truechimer_pause") == []
    assert sum(one.fields["count"] for one in windows(host)) == 0


@in_loop
async def test_a_failed_scrape_loses_nothing_and_the_next_window_spans_both():
    """Counters go on while nobody could look; what was wrong is said, and that it is over."""
    host = ListeningHost()
    with program() as made:
        made.body = go_page(1, 0.1, 0.1)
        collector = scraper(host, made)
        await collector.open()
        await until(lambda: len(windows(host)) >= 1)
        made.status = 503
        await further(made, 4)
        with pytest.raises(CollectFailure, match="HTTP 503"):
            await collector.collect()
        before = windows(host)[-1].steady_ns
        seen = len(windows(host))
        made.status, made.body = 200, go_page(2, 0.7, 0.6)
        await until(lambda: len(windows(host)) > seen)
        await collector.collect()
        await collector.close()
    window = windows(host)[seen]
    assert window.fields["observed_seconds"] == pytest.approx((window.steady_ns - before) / 1e9)
    assert window.fields["observed_seconds"] > 2 * BEAT_S
    assert window.fields["count"] == 1
    assert window.fields["max_seconds"] == window.fields["max_upper_seconds"] == pytest.approx(0.6)


@in_loop
async def test_another_process_each_time_is_told():
    """A load balancer's address: no delta of two processes is ever made."""
    host, turns = ListeningHost(), iter(range(10**6))

    def act(handler):
        body = go_page(1000, 10.0, 1.0, started_s=1000.0 * (next(turns) % 2))
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with program() as made:
        made.act = act
        collector = scraper(host, made)
        await collector.open()
        await further(made, 6)
        with pytest.raises(CollectFailure, match="another process each time") as caught:
            await collector.collect()
        assert "load balancer" in caught.value.hint
        await collector.close()
    assert host.seen == []


@in_loop
async def test_garbage_and_pages_about_something_else_are_failures_with_the_address():
    """Each with what to do; the other program is scraped all the same."""
    host = ListeningHost()
    with program() as good, program() as bad:
        good.body = go_page(1, 0.1, 0.1)
        bad.body = b'go_gc_duration_seconds{quantile="1} 0\n'
        collector = scraper(host, good, bad)
        await collector.open()
        await further(bad)
        with pytest.raises(CollectFailure, match="was not understood") as caught:
            await collector.collect()
        assert bad.url in str(caught.value)
        bad.body = b"up 1\n"
        await further(bad)
        with pytest.raises(CollectFailure, match="tells nothing of the pauses"):
            await collector.collect()
        await collector.close()
    assert {one.tags["source"] for one in windows(host)} == {"p0"}


@in_loop
async def test_a_slow_program_holds_up_neither_the_loop_nor_the_end():
    """The loop goes on turning while a scrape waits, and closing does not wait for it."""
    host = ListeningHost()
    with program() as made:
        made.act = lambda _handler: time.sleep(15)
        collector = scraper(host, made)
        await collector.open()
        await until(lambda: len(made.asked) == 1)
        turns = 0
        end_s = time.perf_counter() + 0.3
        while time.perf_counter() < end_s:
            await asyncio.sleep(0.005)
            turns += 1
        assert turns >= 10
        began_s = time.perf_counter()
        await collector.close()
        assert time.perf_counter() - began_s < 5
        assert len(made.asked) == 1


@in_loop
async def test_a_new_epoch_is_a_new_beginning():
    """Across a restored virtual machine nobody knows how long was watched."""
    host = ListeningHost()
    with program() as made:
        made.body = go_page(1, 0.1, 0.1)
        collector = scraper(host, made)
        await collector.open()
        await until(lambda: len(windows(host)) >= 1)
        seen = len(windows(host))
        host._steady = host._steady.next_epoch()
        made.body = go_page(900, 90.0, 0.1)
        await until(lambda: len(windows(host)) >= seen + 3)
        await collector.close()
    assert sum(one.fields["count"] for one in windows(host)) in {0, 899}


@in_loop
async def test_closing_before_opening_is_safe():
    """The runner closes a collector whose open failed."""
    await scraper(ListeningHost()).close()
