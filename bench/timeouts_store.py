"""How long advice takes from a store of many probes, and how much memory: ``python bench/timeouts_store.py``.

    python bench/timeouts_store.py [--paths 1000] [--hours 24] [--store DIR] [--product etcd]

Makes an embedded store of so many paths probed at 1 Hz by 100 nodes, with the pauses of every node (a window
every 10 s, a pause an hour), unless DIR holds one already; then asks it as the command does, in a process of
its own. The goal is 60 s and 2 GiB of 1,000 paths over 24 h: 86.4 million probes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from truechimer_analyzer.stores import open_store

NODES = 100
GOAL_S, GOAL_GIB = 60.0, 2.0
T0_NS = 1_795_377_600_000_000_000
NS = 1_000_000_000

# Order and random numbers as agents would send them: every second each path once, a little later each time.
PROBES = """INSERT INTO truechimer_rtt
    (time_ns, received_ns, cluster, zone, node, peer, via, outcome, rtt_seconds, dscp)
SELECT {t0} + s * {ns} + (hash(n, p, s) % 50000000)::BIGINT, {t0} + (s + 1) * {ns}, 'prod', 'eu-1a',
    'db-' || n, 'db-' || ((n + p + 1) % {nodes}), 'stamp', CASE WHEN r < 1e-5 THEN 1 ELSE 0 END,
    CASE WHEN r >= 1e-5 THEN 0.0002 + 0.000001 * n - 0.0003 * ln(1 - random())
        + CASE WHEN random() < 1e-6 THEN 3 * random() ELSE 0 END END, 0
FROM (SELECT s, n, p, random() AS r
      FROM range({since}, {until}) AS a(s), range({nodes}) AS b(n), range({peers}) AS c(p))"""
WINDOWS = """INSERT INTO truechimer_pause_window
    (time_ns, received_ns, cluster, zone, node, source, runtime, observed_seconds, count, total_seconds)
SELECT {t0} + s * {ns}, {t0} + (s + 1) * {ns}, 'prod', 'eu-1a', 'db-' || n, 'host', 'host', 10.0, 0, 0.0
FROM range({since}, {until}, 10) AS a(s), range({nodes}) AS b(n)"""
PAUSES = """INSERT INTO truechimer_pause
    (time_ns, received_ns, cluster, zone, node, source, runtime, cause, duration_seconds)
SELECT {t0} + (s + n) * {ns}, {t0} + (s + n + 1) * {ns}, 'prod', 'eu-1a', 'db-' || n, 'host', 'host',
    'stopped', 0.05 - 0.1 * ln(1 - random())
FROM range({since}, {until}, 3600) AS a(s), range({nodes}) AS b(n)"""


def make(folder: Path, paths: int, hours: int) -> None:
    """A store as agents would have filled it, by SQL: line by line would take an hour."""
    open_store(f"embedded:{folder}").close()
    with duckdb.connect(str(folder / "samples.duckdb"), config={"memory_limit": "1GB"}) as connection:
        for hour in range(hours):
            told = {
                "t0": T0_NS,
                "ns": NS,
                "nodes": NODES,
                "peers": paths // NODES,
                "since": 3600 * hour,
                "until": 3600 * (hour + 1),
            }
            for statement in (PROBES, WINDOWS, PAUSES):
                connection.execute(statement.format(**told))


def ask(folder: Path, hours: int, more: list[str]) -> None:
    """The command, with its time and the most memory that it had."""
    words = ["--store", f"embedded:{folder}", "--false-per-month", "100", "--json", *more]
    words += ["--from", str(T0_NS // NS), "--to", str(T0_NS // NS + 3600 * hours + 60)]
    begun_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "truechimer_cli", "timeouts", *words], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took_s, gib = time.perf_counter() - begun_s, usage.ru_maxrss / 2**20
    for use in document["uses"]:
        told = use["false_per_month"] or {}
        print(f"{use['use']:>10} {use['timeout_s'] or float('nan'):9.4g} s, at most {told.get('upper')}")
    for product in document["products"]:
        print(f"{product['product']:>10} {product['verdict']}")
    samples = document["evidence"]["samples"]
    print(
        f"{samples:,} probes: {took_s:.1f} s (goal {GOAL_S:g}), {gib:.2f} GiB (goal {GOAL_GIB:g}), "
        f"{usage.ru_utime + usage.ru_stime:.0f} s of processor"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--paths", type=int, default=1000)
    options.add_argument("--hours", type=int, default=24)
    options.add_argument("--store", type=Path)
    options.add_argument("--product", action="append", default=[])
    args = options.parse_args()
    more = [word for product in args.product for word in ("--product", product)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.store or Path(temporary) / "store"
        if not (folder / "samples.duckdb").exists():
            make(folder, args.paths, args.hours)
        ask(folder, args.hours, more)


if __name__ == "__main__":
    main()
