"""Real programs scraped for real: node_exporter (Go) and a JVM, against their own counts."""

import asyncio
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, until
from lab.harness.processes import Process

from truechimer.config.model import PausesConfig, ScrapeConfig
from truechimer_agent.collectors.scrape import Scrape
from truechimer_agent.scraping.page import Series, read_page

pytestmark = pytest.mark.lab

INTERVAL_S = 0.2
FEWEST = 5
EXPORTER = Path(__file__).parent / "harness/Exporter.java"
PAUSE = re.compile(r"\[gc\] GC\((\d+)\) Pause (?:Young|Full).* ([0-9.]+)ms$", re.MULTILINE)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def told(url: str) -> Series | None:
    """What the exporter says of its own pauses now; None while it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            page = read_page(answer.read(), openmetrics=False)
    except (urllib.error.URLError, OSError):
        return None
    (series,) = page.runtimes["go"].series.values()
    return series


def test_a_go_programs_collections_are_all_counted_and_its_restart_is_none(tmp_path: Path) -> None:
    """Count and sum of the windows are the growth of its own counters; the longest lies within the bounds.

    The garbage is that of its own pages. A second one on the same port has counted less: that is no pause.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]

    async def answers(before: int = 0) -> Series:
        while (series := await asyncio.to_thread(told, url)) is None or series.count < before:
            await asyncio.sleep(0.05)
        return series

    async def run() -> None:
        host = ListeningHost()
        scraper = Scrape(host, [ScrapeConfig("exporter", url, INTERVAL_S)], PausesConfig(threshold_ms=0.1))
        with Process(command, log=tmp_path / "first.log", env={"GOGC": "5"}):
            first = await asyncio.wait_for(answers(), 20)
            await scraper.open()
            await until(lambda: len(host.seen) >= 1)
            begun = await asyncio.wait_for(answers(), 20)
            middle = await asyncio.wait_for(answers(begun.count + FEWEST), 40)
            seen = len(host.of("truechimer_pause_window"))
            await until(lambda: len(host.of("truechimer_pause_window")) >= seen + 2)
            windows = list(host.of("truechimer_pause_window"))
            last = await asyncio.to_thread(told, url)
        assert last is not None
        count = sum(int(one.fields["count"]) for one in windows)
        total_s = sum(one.fields["total_seconds"] for one in windows)
        assert middle.count - begun.count <= count <= last.count - first.count
        assert 0 < total_s <= last.sum_s - first.sum_s + 1e-9
        assert last.longest_s is not None
        assert max(one.fields["max_seconds"] for one in windows) <= last.longest_s + 1e-9
        assert {one.tags["runtime"] for one in windows} == {"go"}
        rows = host.of("truechimer_pause")
        assert {one.tags["cause"] for one in rows} <= {"gc"}
        assert sum(one.fields["duration_seconds"] for one in rows) <= last.sum_s
        with Process(command, log=tmp_path / "second.log"):
            await asyncio.wait_for(answers(), 20)
            seen = len(host.of("truechimer_pause_window"))
            await until(lambda: len(host.of("truechimer_pause_window")) >= seen + 3)
            again = await asyncio.to_thread(told, url)
        await scraper.close()
        assert again is not None
        later = host.of("truechimer_pause_window")[len(windows) :]
        assert all(one.fields["total_seconds"] >= 0 for one in later)
        assert sum(int(one.fields["count"]) for one in later) <= last.count - first.count + again.count

    asyncio.run(run())


def test_a_jvms_collections_are_those_of_its_own_log(tmp_path: Path) -> None:
    """As many pauses as in -Xlog:gc between the first page and the last, and as long, to the millisecond.

    The beans are those that client_java and the JMX exporter show, in their words.
    """
    port, log = free_port(), tmp_path / "gc.log"
    command = ["java", "-Xmx64m", "-XX:+UseParallelGC", f"-Xlog:gc:file={log}", str(EXPORTER), str(port)]

    async def run() -> list[tuple[int, float, float, float]]:
        host = ListeningHost()
        config = ScrapeConfig("jvm", f"http://127.0.0.1:{port}/metrics", INTERVAL_S)
        scraper = Scrape(host, [config], PausesConfig(threshold_ms=0.1))
        with Process(command, log=tmp_path / "jvm.log"):
            await scraper.open()
            windows = lambda: host.of("truechimer_pause_window")  # noqa: E731
            await until(lambda: len(windows()) >= 1, 60)
            before = len(PAUSE.findall(log.read_text()))
            seen = len(windows())
            await until(lambda: sum(one.fields["count"] for one in windows()[seen:]) >= FEWEST, 60)
            await scraper.close()
            assert len(PAUSE.findall(log.read_text())) >= before + FEWEST
        assert {one.tags["runtime"] for one in windows()} == {"jvm"}
        assert {one.tags["cause"] for one in host.of("truechimer_pause")} == {"gc"}
        return [
            (
                int(one.fields["count"]),
                one.fields["total_seconds"],
                one.fields["max_seconds"],
                one.fields["max_upper_seconds"],
            )
            for one in windows()
        ]

    told = [window for window in asyncio.run(run()) if window[0]]
    logged_s = [float(ms) / 1e3 for _, ms in PAUSE.findall(log.read_text())]
    count, total_s = sum(window[0] for window in told), sum(window[1] for window in told)
    assert FEWEST <= count <= len(logged_s)
    # Which of the log's pauses the first window began with is not known: some run of them fits.
    sums = [sum(logged_s[start : start + count]) for start in range(len(logged_s) - count + 1)]
    assert min(abs(total_s - one) for one in sums) <= 0.001 * count
    assert all(low_s <= high_s <= total_s + 1e-9 for _, _, low_s, high_s in told)
