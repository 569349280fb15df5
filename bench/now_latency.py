"""What truechimer.clock.now() costs beside time.time_ns(), in the same run.

    python bench/now_latency.py [--rounds 400] [--segment /run/truechimer/clock]

Both are called in turns, in batches for the median and one by one for the 99th percentile (which has the
cost of two more clock readings in it). Without --segment a bound is published into a temporary folder
and renewed once a second, as an agent does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import timeit
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truechimer import clock
from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.readings import SystemClocks
from truechimer.segment import RUNTIME_VARIABLE, Published, SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000
SINGLES = 500
MOST_NS = 2000
MOST_TIMES = 30


def bound() -> Published:
    """UTC is the wall clock, give or take 2 ms: any numbers cost the same."""
    reading = SystemClocks().read()
    return Published(
        as_of_steady_ns=reading.wall_ns,
        anchor_ns=reading.wall_ns - reading.raw_ns,
        epoch=1,
        lower_ns=-2_000_000,
        upper_ns=2_000_000,
        frequency_lower_ppb=-500_000,
        frequency_upper_ppb=500_000,
        suspended_ns=reading.least_suspended_ns,
        status=BoundStatus.SYNCHRONIZED,
        reason=BoundReason.NONE,
        leap=Leap.NONE,
    )


def singles(call: Callable[[], Any]) -> list[int]:
    """What calls took one by one, in ns."""
    tick = time.perf_counter_ns
    spent = []
    for _ in range(SINGLES):
        began = tick()
        call()
        spent.append(tick() - began)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--segment", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        writer = None
        if options.segment is None:
            os.environ[RUNTIME_VARIABLE] = folder
            writer = SegmentWriter(Path(folder) / "clock")
            writer.write(bound())
            calls = {"now()": clock.now}
        else:
            named = options.segment
            calls = {"now()": lambda: clock.now(named)}
        calls["time.time_ns()"] = time.time_ns
        batches: dict[str, list[float]] = {name: [] for name in calls}
        single: dict[str, list[int]] = {name: [] for name in calls}
        written_s = time.monotonic()
        for _ in range(options.rounds):
            if writer is not None and time.monotonic() - written_s >= 1:
                writer.write(bound())
                written_s = time.monotonic()
            for name, call in calls.items():
                batches[name].append(timeit.timeit(call, number=BATCH) / BATCH * 1e9)
                single[name] += singles(call)
        if writer is not None:
            writer.close()
    medians = {name: statistics.median(spent) for name, spent in batches.items()}
    for name, spent in single.items():
        p99 = statistics.quantiles(spent, n=100)[98]
        print(f"{name:15} median {medians[name]:7.0f} ns   p99 {p99:7.0f} ns")
    ratio = medians["now()"] / medians["time.time_ns()"]
    print(f"ratio of medians {ratio:.1f}   (aim: at most {MOST_TIMES}, and {MOST_NS} ns)")


if __name__ == "__main__":
    main()
