"""What scraping one program costs the agent: CPU in a process that does nothing else.

    python bench/scrape.py [--scrapes 100]

A server in another process answers with a page of a Go program, alone and under a megabyte of other metrics.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from truechimer.config.model import PausesConfig, ScrapeConfig
from truechimer.readings import SteadyClock, SystemClocks
from truechimer_agent.collectors.scrape import Scrape

if TYPE_CHECKING:
    from truechimer_agent.collecting import Observation

INTERVAL_S = 0.05
CONFIGURED_S = 10.0
TARGET = 0.001
SERVER = """
import http.server, sys
filler = b'http_request_duration_seconds_bucket{handler="/api/v1/items",code="200",le="0.25"} 123456\\n'
count = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global count
        count += 1
        body = filler * (int(sys.argv[1]) // len(filler)) + (
            'go_gc_duration_seconds{quantile="1"} 0.01\\ngo_gc_duration_seconds_sum %f\\n'
            "go_gc_duration_seconds_count %d\\n" % (count * 0.001, count)
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


class Host:
    """What the collector uses of the daemon."""

    def __init__(self) -> None:
        self.clocks = SystemClocks()
        self.seen: list[Observation] = []
        self.told = asyncio.Event()
        self._steady = SteadyClock(0, 1)

    def steady(self) -> SteadyClock:
        return self._steady

    def steady_now_ns(self) -> int:
        return self.clocks.raw_ns()

    def emit(self, observation: Observation) -> None:
        self.seen.append(observation)
        self.told.set()

    async def until(self, count: int) -> None:
        """Wait for so many observations."""
        while len(self.seen) < count:
            self.told.clear()
            await self.told.wait()


def used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def scrape(url: str, scrapes: int) -> tuple[float, int]:
    """CPU seconds per scrape once it has begun, and how many collections were told of."""
    host = Host()
    collector = Scrape(host, [ScrapeConfig("bench", url, INTERVAL_S)], PausesConfig())
    await collector.open()
    await host.until(1)
    before_s, first = used_s(), len(host.seen)
    await host.until(first + scrapes)
    cost_s = (used_s() - before_s) / (len(host.seen) - first)
    await collector.collect()
    await collector.close()
    return cost_s, sum(int(one.fields.get("count", 0)) for one in host.seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scrapes", type=int, default=100)
    options = parser.parse_args()
    for size in (0, 1 << 20):
        with subprocess.Popen([sys.executable, "-c", SERVER, str(size)], stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            try:
                url = f"http://127.0.0.1:{int(server.stdout.readline())}/metrics"
                cost_s, count = asyncio.run(scrape(url, options.scrapes))
            finally:
                server.kill()
        share = cost_s / CONFIGURED_S
        name = f"page of {size >> 10} KiB and a few lines, every {CONFIGURED_S:g} s"
        verdict = "MET" if share <= TARGET else "MISSED"
        print(
            f"{name:<46} {cost_s * 1e3:6.2f} ms a scrape = {share:.4%} of a core"
            f"  target <= {TARGET:.1%}  {verdict} ({count} collections told)"
        )


if __name__ == "__main__":
    main()
