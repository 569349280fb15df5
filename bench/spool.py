"""What the way out costs: CPU of one batch a second through spool, sink and metrics, and catch-up speed.

    python bench/spool.py [--seconds 60]

Runs against a small HTTP server in a child process that answers 204. CPU is this process's own; each part
is timed at its real pace, so that wake-ups count too.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from truechimer.config.model import HealthConfig, SinkConfig
from truechimer.lineprotocol import encode_lines
from truechimer.readings import SystemClocks, boot_id, monotonic_s, wall_ns
from truechimer.samples import Sample
from truechimer_agent.health import Health
from truechimer_agent.shipping import Shipper
from truechimer_agent.sinks import open_sink, sink_name
from truechimer_agent.spool import Outbox, Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

TAGS = {"cluster": "bench", "node": "host-1", "zone": "z"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def serve(pipe: Connection) -> None:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


def a_second_of_samples() -> list[Sample]:
    now = wall_ns()
    return [
        Sample(
            "truechimer_rtt",
            {**TAGS, "peer": f"peer-{n}", "via": "tcp"},
            {"outcome": 0, "rtt_seconds": 0.0001 * random.random()},
            now + n,
        )
        for n in range(20)
    ]


def resident_mib() -> float:
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(next(row for row in text.splitlines() if row.startswith("Pss:")).split()[1]) / 1024


def paced(seconds: int, work: Callable[[], object]) -> float:
    """CPU share of one core when ``work`` is done once a second."""
    pause = threading.Event()
    work()
    began_cpu, began = process_time(), monotonic_s()
    for n in range(seconds):
        work()
        pause.wait(max(0.0, began + n + 1 - monotonic_s()))
    return (process_time() - began_cpu) / (monotonic_s() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"

    clocks = SystemClocks()
    empty = paced(max(5, seconds // 6), lambda: None)
    encoding = paced(seconds // 2, lambda: encode_lines(a_second_of_samples()))
    bare = resident_mib()
    with tempfile.TemporaryDirectory(dir=Path.home()) as state:
        config = SinkConfig("influx", url)
        spool = Spool.open(
            Path(state) / "spool.sqlite",
            1 << 28,
            sinks=[sink_name(config)],
            boot_id=boot_id(),
            boot_ns=lambda: clocks.read().boot_ns,
        )
        shipper = Shipper(sink_name(config), open_sink(config), spool, rng=random.Random(), clock=monotonic_s)
        outbox = Outbox(spool, shipper.wake)
        outbox.start()
        shipper.start()
        lines = encode_lines(a_second_of_samples())
        shipping = paced(seconds, lambda: outbox.put(lines, 20))
        delivery_mib = resident_mib() - bare

        began = monotonic_s()
        for _ in range(500):
            outbox.put(lines, 20)
        while shipper.stats().sent_batches_total < 500 + seconds:
            threading.Event().wait(0.01)
        catching_up = 500 / (monotonic_s() - began)
        outbox.flush_and_close()
        shipper.stop()
        spool.close()

    gc.collect()
    before = resident_mib()
    health = Health(HealthConfig("127.0.0.1:0"), TAGS, clock=monotonic_s)
    health.start()
    samples = a_second_of_samples()

    def observe() -> None:
        for sample in samples:
            health.observe(sample)

    observing = paced(seconds, observe)
    health_mib = resident_mib() - before
    health.stop()

    print(f"pacing alone                 {empty:8.3%} of a core")
    print(f"encoding 20 samples/s        {encoding - empty:8.3%}")
    print(f"spool + influx POST, 1/s     {shipping - empty:8.3%}   {delivery_mib:5.1f} MiB")
    print(f"health, 20 samples/s         {observing - empty:8.3%}   {health_mib:5.1f} MiB")
    print(f"catching up                  {catching_up:8.0f} batches/s")
    server.terminate()


if __name__ == "__main__":
    main()
