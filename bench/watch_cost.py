"""What watching many processes costs the agent: CPU in % of a core, and how much more memory.

    python bench/watch_cost.py [--processes 200] [--sections 200] [--seconds 60] [--settle 30]

Half of the processes sleep, the others wake every 0.1 s. They are watched from a process that has loaded the
whole agent; its CPU time (all threads) and its resident memory before and after are compared.
Goals: CPU ≤ 1 % of a core, ≤ 10 MiB more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import truechimer_agent.daemon  # noqa: F401 - what the agent holds anyway
from truechimer.config.model import PausesConfig, ProcessConfig
from truechimer.readings import SteadyClock, SystemClocks
from truechimer_agent.collectors.processes import Processes

if TYPE_CHECKING:
    from truechimer_agent.collecting import Observation

NAME = "watched"
CPU_GOAL = 0.01
MEMORY_GOAL_MIB = 10.0


class Host:
    """What the collector needs of the daemon; it keeps nothing but the last intervals."""

    def __init__(self) -> None:
        self.clocks = SystemClocks()
        self._steady = SteadyClock(0, 1)
        self.intervals_s: dict[str, float] = {}
        self.processes: dict[str, int] = {}

    def steady(self) -> SteadyClock:
        return self._steady

    def steady_now_ns(self) -> int:
        return self.clocks.raw_ns()

    def emit(self, observation: Observation) -> None:
        if observation.measurement == "truechimer_process":
            if interval_s := observation.fields.get("interval_seconds"):
                self.intervals_s[observation.tags["source"]] = interval_s
            self.processes[observation.tags["source"]] = int(observation.fields["processes"])


def resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def spawn(count: int) -> list[int]:
    """Children that sleep, every other one waking often; forked, so that they share their memory."""
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            Path("/proc/self/comm").write_text(NAME)
            while True:
                time.sleep(0.1 if number % 2 else 3600)
        pids.append(pid)
    return pids


async def measure(pids: list[int], options: argparse.Namespace) -> bool:
    host = Host()
    with tempfile.TemporaryDirectory() as folder:
        configs = []
        for number, pid in enumerate(pids[: options.sections]):
            pid_file = Path(folder) / str(number)
            pid_file.write_text(str(pid))
            configs.append(ProcessConfig(name=f"p{number}", pid_file=pid_file))
        if options.sections == 1:
            configs = [ProcessConfig(name="all", command=NAME)]
        before_mib = resident_mib()
        collector = Processes(host, configs, PausesConfig())
        await collector.open()
        await asyncio.sleep(options.settle)
        began_cpu_s, began_s = time.process_time(), time.monotonic()
        await asyncio.sleep(options.seconds)
        share = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
        more_mib = resident_mib() - before_mib
        await collector.close()
    watched = sum(host.processes.values())
    intervals_s = sorted(host.intervals_s.values())
    print(f"{watched} processes in {len(configs)} sections, looked at every {intervals_s[-1]:.2f} s at most")
    print(f"CPU {share:.2%} of a core, {more_mib:.1f} MiB more")
    met = share <= CPU_GOAL and more_mib <= MEMORY_GOAL_MIB and watched >= options.processes
    print("goals (CPU ≤ 1 %, ≤ 10 MiB more):", "MET" if met else "NOT MET")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--sections", type=int, default=200, help="as many as processes, or 1")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=30.0)
    options = parser.parse_args()
    pids = spawn(options.processes)
    try:
        return 0 if asyncio.run(measure(pids, options)) else 1
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
