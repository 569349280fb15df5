"""Does the stall meter see what others see? Its lateness beside cyclictest's and a plain sleeper's, at once.

Usage: python bench/meter_accuracy.py [--seconds 60] [--interval-ms 10] [--quiet]

All three sleep to deadlines of the same interval in the same seconds; the sleeper does what jHiccup does.
Every three seconds all CPUs are taken from them for 30 to 80 ms by SCHED_FIFO tasks, unless --quiet.
Asked: p99 and maximum of the meter within one interval of each of the others'. The meter only tells of what
is longer than its threshold, here 0.1 ms, so that a p99 below that reads as "at most 0.1 ms". cyclictest
(Debian's rt-tests) runs as an ordinary process, as the meter does. The exit code is 1 when it is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from agent.listeninghost import ListeningHost

from truechimer.config.model import PausesConfig
from truechimer_agent.collectors.stalls import Stalls

THRESHOLD_MS = 0.1
SLEEPER = """
import sys, time
interval_ns, end_ns = round(float(sys.argv[1]) * 1e6), time.monotonic_ns() + round(float(sys.argv[2]) * 1e9)
with open("/proc/self/timerslack_ns", "w") as file:
    file.write("1")
late = []
while (now := time.monotonic_ns()) < end_ns:
    time.sleep(interval_ns * 1e-9)
    late.append(max(0, time.monotonic_ns() - now - interval_ns))
print(*late)
"""
BURSTS = """
import os, random, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
while True:
    turn = time.monotonic_ns() // 3_000_000_000 + 1
    time.sleep(turn * 3 - time.monotonic())
    end = turn * 3 + random.Random(turn).uniform(0.03, 0.08)
    while time.monotonic() < end:
        pass
"""


def percentile_ms(late_ms: list[float], share: float) -> float:
    """The smallest value that this share of all is not above."""
    return sorted(late_ms)[max(0, math.ceil(share * len(late_ms)) - 1)]


def cyclictest_ms(path: Path) -> list[float]:
    """Every lateness of cyclictest's histogram (1 us bins; what is beyond it is its maximum)."""
    thread = json.loads(path.read_text())["thread"]["0"]
    late_ms = [int(us) / 1e3 for us, number in thread["histogram"].items() for _ in range(number)]
    beyond = int(thread["cycles"]) - len(late_ms)
    return late_ms + [thread["max"] / 1e3] * max(0, beyond)


async def measure(seconds: float, interval_ms: float, folder: Path) -> dict[str, list[float]]:
    """Lateness in ms of every deadline, by who saw it."""
    host = ListeningHost()
    stalls = Stalls(host, PausesConfig(interval_ms=interval_ms, threshold_ms=THRESHOLD_MS))
    commands = {"sleeper": [sys.executable, "-S", "-c", SLEEPER, str(interval_ms), str(seconds)]}
    found = folder / "cyclictest.json"
    if shutil.which("cyclictest"):
        commands["cyclictest"] = [
            "cyclictest", "--policy=other", "-t1", "-q", f"-i{round(interval_ms * 1000)}",
            f"-l{round(seconds * 1000 / interval_ms)}", "-h100000", f"--json={found}",
        ]  # fmt: skip
    await stalls.open()
    try:
        ran = {
            name: await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            for name, command in commands.items()
        }
        told = {name: (await process.communicate())[0] for name, process in ran.items()}
    finally:
        await stalls.close()
    pauses_ms = [float(one.fields["duration_seconds"]) * 1e3 for one in host.of("truechimer_pause")]
    windows = host.of("truechimer_pause_window")
    observed_s = sum(float(window.fields["observed_seconds"]) for window in windows)
    # A deadline slept through is not kept: each pause stands for itself, as in the other two.
    deadlines = max(0, round(observed_s * 1e3 / interval_ms) - len(pauses_ms))
    seen = {"meter": [THRESHOLD_MS] * deadlines + pauses_ms}
    seen["sleeper"] = [int(late) / 1e6 for late in told["sleeper"].split()]
    if "cyclictest" in commands:
        seen["cyclictest"] = cyclictest_ms(found)
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--interval-ms", type=float, default=10.0)
    parser.add_argument("--quiet", action="store_true", help="take no CPU from them")
    options = parser.parse_args()
    cpus = [] if options.quiet else sorted(os.sched_getaffinity(0))
    hogs = [subprocess.Popen([sys.executable, "-c", BURSTS, str(cpu)]) for cpu in cpus]
    try:
        with tempfile.TemporaryDirectory() as folder:
            seen = asyncio.run(measure(options.seconds, options.interval_ms, Path(folder)))
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    figures = {name: (percentile_ms(late, 0.99), max(late)) for name, late in seen.items()}
    for name, (p99_ms, max_ms) in figures.items():
        print(f"{name:12} {len(seen[name]):7} deadlines   p99 {p99_ms:8.3f} ms   max {max_ms:8.3f} ms")
    is_all_met = True
    for name, values in figures.items():
        if name == "meter":
            continue
        gaps_ms = [abs(mine - other) for mine, other in zip(figures["meter"], values, strict=True)]
        is_met = max(gaps_ms) <= options.interval_ms
        is_all_met &= is_met
        verdict = "MET" if is_met else "NOT MET"
        print(f"against {name}: p99 {gaps_ms[0]:.3f} ms and max {gaps_ms[1]:.3f} ms apart: {verdict}")
    if "cyclictest" not in figures:
        print("cyclictest: not run, it is not installed (Debian's rt-tests)")
    return 0 if is_all_met else 1


if __name__ == "__main__":
    sys.exit(main())
