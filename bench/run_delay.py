"""What the process watch tells of starved processes, beside their own record and beside what a sleeper feels.

    python bench/run_delay.py [--seconds 20] [--hogs 8] [--cpus 2]

Every hog reads CLOCK_MONOTONIC in a loop: a gap of 0.1 ms or more is time that it did not run. A sleeper
wakes every 10 ms meanwhile, as the stall meter does.
Goals: the summed run delay that is told within 1 % of the hogs' record, pauses told of every hog, and all
that while the sleeper's median lateness stays below the meter's threshold of 5 ms (0.1 ms where nothing
else runs).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from truechimer.config.model import ProcessConfig
from truechimer.readings import SteadyClock, SystemClocks, mono_ns
from truechimer_agent.processes.watch import Watch

if TYPE_CHECKING:
    from truechimer_agent.collecting import Observation

SETTLE_S = 1.0
THRESHOLD_NS = 5_000_000
GOAL = 0.01
HOG = """
import os, sys, time, json
os.sched_setaffinity(0, json.loads(sys.argv[1]))
end = time.monotonic_ns() + int(float(sys.argv[2]) * 1e9)
now, waited, mark, record = time.monotonic_ns(), 0, 0, []
while now < end:
    before, now = now, time.monotonic_ns()
    if now - before >= 100_000:
        record.append((before, waited))
        waited += now - before
        record.append((now, waited))
record.append((now, waited))
print(json.dumps(record))
"""
SLEEPER = """
import os, sys, time, json
os.sched_setaffinity(0, json.loads(sys.argv[1]))
end = time.monotonic_ns() + int(float(sys.argv[2]) * 1e9)
deadline, late = time.monotonic_ns(), []
while deadline < end:
    deadline += 10_000_000
    time.sleep(max(0, deadline - time.monotonic_ns()) * 1e-9)
    late.append(time.monotonic_ns() - deadline)
print(json.dumps(late))
"""


class Host:
    """What the watch needs of the daemon."""

    def __init__(self) -> None:
        self.clocks = SystemClocks()
        self._steady = SteadyClock(0, 1)

    def steady(self) -> SteadyClock:
        return self._steady

    def steady_now_ns(self) -> int:
        return self.clocks.raw_ns()

    def emit(self, observation: Observation) -> None:
        """Everything is returned by the watch itself."""


def waited_ns(record: list[tuple[int, int]], at_ns: int) -> float:
    """A hog's own sum of waits at a time of MONOTONIC."""
    after = bisect_right(record, (at_ns, 1 << 62))
    if after in (0, len(record)):
        return record[min(after, len(record) - 1)][1]
    (t0, w0), (t1, w1) = record[after - 1], record[after]
    return w0 + (w1 - w0) * (at_ns - t0) / max(1, t1 - t0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hogs", type=int, default=8)
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()
    cpus = json.dumps(sorted(os.sched_getaffinity(0))[: options.cpus])
    lasting = str(options.seconds + 2 * SETTLE_S)
    plain = [sys.executable, "-I", "-S", "-c"]
    hogs = [
        subprocess.Popen([*plain, HOG, cpus, lasting], stdout=subprocess.PIPE) for _ in range(options.hogs)
    ]
    sleeper = subprocess.Popen([*plain, SLEEPER, cpus, lasting], stdout=subprocess.PIPE)
    try:
        time.sleep(SETTLE_S)
        with tempfile.TemporaryDirectory() as folder:
            configs = []
            for number, hog in enumerate(hogs):
                pid_file = Path(folder) / str(number)
                pid_file.write_text(str(hog.pid))
                configs.append(ProcessConfig(name=f"hog{number}", pid_file=pid_file))
            watch = Watch(Host(), configs, threshold_ns=THRESHOLD_NS)
            said, wait_s = watch.step()
            first_ns = last_ns = mono_ns()
            while last_ns - first_ns < options.seconds * 1e9:
                time.sleep(wait_s)
                more, wait_s = watch.step()
                last_ns = mono_ns()
                said += more
            said += watch.close()
        records = [json.loads(hog.communicate()[0]) for hog in hogs]
        late_ms = [late / 1e6 for late in json.loads(sleeper.communicate()[0])]
    finally:
        for process in (*hogs, sleeper):
            process.kill()
            process.wait()
    total_told_s = total_own_s = 0.0
    told_of = True
    print(f"{'hog':<6}{'told s':>9}{'own s':>9}{'error':>9}{'pauses':>8}{'longest':>10}")
    for number, record in enumerate(records):
        pairs = [(int(at), int(waited)) for at, waited in record]
        own_s = (waited_ns(pairs, last_ns) - waited_ns(pairs, first_ns)) / 1e9
        mine = [one for one in said if one.tags["source"] == f"hog{number}"]
        told_s = sum(
            one.fields.get("run_delay_seconds", 0) for one in mine if one.measurement == "truechimer_process"
        )
        pauses = [one.fields["duration_seconds"] for one in mine if one.measurement == "truechimer_pause"]
        told_of &= bool(pauses)
        error = told_s / own_s - 1
        longest_s = max(pauses, default=0)
        print(f"{number:<6}{told_s:>9.3f}{own_s:>9.3f}{error:>9.2%}{len(pauses):>8}{longest_s:>9.3f}s")
        total_told_s += told_s
        total_own_s += own_s
    error = total_told_s / total_own_s - 1
    print(f"{'all':<6}{total_told_s:>9.3f}{total_own_s:>9.3f}{error:>9.2%}")
    share = total_own_s / len(hogs) / ((last_ns - first_ns) / 1e9)
    print(f"the hogs waited {share:.0%} of the time, by their own record")
    print(f"sleeper beside them: median {median(late_ms):.3f} ms late, worst {max(late_ms):.1f} ms")
    met = abs(error) <= GOAL and told_of and median(late_ms) * 1e6 < THRESHOLD_NS
    print("goals (error ≤ 1 %, pauses of every hog, sleeper's median < 5 ms):", "MET" if met else "NOT MET")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
