"""How many rows a second the embedded store and the whole analyzer take: ``python bench/ingest.py [ROWS]``.

The store is written directly in batches of 10,000 samples; the analyzer over HTTP by 4 writers that send
gzipped line protocol in batches of 5,000. Every row is durable when it counts.
"""

import gzip
import hashlib
import http.client
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from truechimer.lineprotocol import encode_lines
from truechimer.readings import monotonic_s
from truechimer.samples import Sample
from truechimer_analyzer.stores import Batch, open_store

WRITERS = 4


def probes(node: str, first: int, count: int) -> list[Sample]:
    """Round trips of one node."""
    tags = {"cluster": "bench", "node": node, "peer": "p", "via": "tcp"}
    return [
        Sample("truechimer_rtt", tags, {"outcome": 0, "rtt_seconds": i * 1e-6}, 1_700_000_000_000_000_000 + i)
        for i in range(first, first + count)
    ]


def store_rows_per_s(rows: int) -> float:
    """Samples in memory to rows on disk."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"embedded:{folder}")
        batches = [
            Batch(hashlib.sha256(b"%d" % first).digest(), probes("n", first, 10_000))
            for first in range(0, rows, 10_000)
        ]
        begun_s = monotonic_s()
        for future in [store.submit(batch) for batch in batches]:
            future.result()
        took_s = monotonic_s() - begun_s
        store.close()
    return len(batches) * 10_000 / took_s


def analyzer_rows_per_s(rows: int) -> float:
    """Gzipped bodies to rows on disk, through HTTP."""
    bodies = [
        [
            gzip.compress(encode_lines(probes(f"n{n}", first, 5000)), 1)
            for first in range(0, rows // WRITERS, 5000)
        ]
        for n in range(WRITERS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "analyzer.toml"
        config.write_text(f'[server]\nlisten = "127.0.0.1:0"\n[store]\naddress = "embedded:{folder}/store"\n')
        command = [sys.executable, "-m", "truechimer_analyzer", "run", "--config", str(config)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            place = process.stdout.readline().split("//")[1].strip()
            threads = [threading.Thread(target=_send, args=(place, each)) for each in bodies]
            begun_s = monotonic_s()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took_s = monotonic_s() - begun_s
            process.terminate()
    return sum(len(each) for each in bodies) * 5000 / took_s


def _send(place: str, bodies: list[bytes]) -> None:
    connection = http.client.HTTPConnection(place)
    for body in bodies:
        connection.request("POST", "/api/v2/write", body, {"Content-Encoding": "gzip"})
        response = connection.getresponse()
        text = response.read()
        if response.status != 204:
            raise SystemExit(f"{response.status}: {text!r}")


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    print(f"store     {store_rows_per_s(wanted):12,.0f} rows/s")
    print(f"analyzer  {analyzer_rows_per_s(wanted):12,.0f} rows/s")
