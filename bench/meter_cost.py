"""What the stall meter alone costs: CPU in % of a core, resident memory and PSS, over N seconds.

    python bench/meter_cost.py [--seconds 60] [--interval-ms 10]

A process that only sleeps to the same deadlines is measured beside it: what the wakes themselves cost here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from truechimer.readings import mono_ns
from truechimer_agent.collectors.stalls import PACKAGES
from truechimer_agent.pauses import meter

SETTLE_S = 1.0
BARE = """
import sys, time
interval_ns = round(float(sys.argv[1]) * 1e6)
now = time.monotonic_ns()
deadline = now + interval_ns
while True:
    if deadline > now:
        time.sleep((deadline - now) * 1e-9)
    now = time.monotonic_ns()
    deadline = max(deadline + interval_ns, now)
"""


def cpu_ns(pid: int) -> int:
    """Time that a process of one thread ran."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def kilobytes(pid: int, file: str, name: str) -> int:
    """A figure of /proc/PID/FILE in KiB."""
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--interval-ms", type=float, default=10.0)
    options = parser.parse_args()
    plain = [sys.executable, "-I", "-S", "-c"]
    interval = str(options.interval_ms)
    commands = {
        "meter": [*plain, meter.COMMAND, PACKAGES, "--interval-ms", interval, "--parent", str(os.getpid())],
        "bare sleeper": [*plain, BARE, interval],
    }
    children = {
        name: subprocess.Popen(command, stdout=subprocess.DEVNULL) for name, command in commands.items()
    }
    try:
        time.sleep(SETTLE_S)
        began_ns = mono_ns()
        before_ns = {name: cpu_ns(child.pid) for name, child in children.items()}
        time.sleep(options.seconds)
        elapsed_ns = mono_ns() - began_ns
        for name, child in children.items():
            share = (cpu_ns(child.pid) - before_ns[name]) / elapsed_ns
            resident_mib = kilobytes(child.pid, "status", "VmRSS") / 1024
            pss_mib = kilobytes(child.pid, "smaps_rollup", "Pss") / 1024
            print(f"{name:<13} {share:.2%} of a core, RSS {resident_mib:.1f} MiB, PSS {pss_mib:.1f} MiB")
    finally:
        for child in children.values():
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
