"""What the kernel's view of real connections costs: CPU of a round, and memory with and without it.

    python bench/connections.py [--connections 2000] [--rounds 30]

Opens connections on loopback in this process; children of their own ask for them. No root needed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import truechimer_agent.assembly  # noqa: F401 - what an agent has loaded anyhow
from truechimer.config.model import ConnectionsConfig
from truechimer_agent.collectors.connections import Connections


def resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Host:
    """Only its clock is asked."""

    def steady_now_ns(self) -> int:
        return time.monotonic_ns()


async def rounds(count: int) -> dict[str, float]:
    """CPU of each round and resident memory; without rounds, an agent that has no such section."""
    before_mib = resident_mib()
    if not count:
        loaded = any(name.startswith("pyroute2") for name in sys.modules)
        return {"before_mib": before_mib, "after_mib": before_mib, "pyroute2": loaded}
    collector = Connections(Host(), ConnectionsConfig(loopback=True), dict)  # type: ignore[arg-type]
    await collector.open()
    cpu_ms, wall_ms, points = [], [], 0
    for _ in range(count):
        cpu_ns, began_ns = time.process_time_ns(), time.monotonic_ns()
        found = await collector.collect()
        cpu_ms.append((time.process_time_ns() - cpu_ns) / 1e6)
        wall_ms.append((time.monotonic_ns() - began_ns) / 1e6)
        points = len(found)
    return {
        "before_mib": before_mib,
        "after_mib": resident_mib(),
        "cpu_ms": median(cpu_ms),
        "worst_ms": max(wall_ms),
        "points": points,
    }


def child(count: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(count)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(asyncio.run(rounds(options.child))))
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, options.connections + 100), hard))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    kept = []
    for _ in range(options.connections // 2):  # both of a pair's ends are sockets of this host
        client = socket.create_connection(listener.getsockname())
        kept += [client, listener.accept()[0]]
        client.sendall(b"x")
    idle, busy = child(0), child(options.rounds)
    print(
        f"{len(kept)} connections, {busy['points']} points a round: {busy['cpu_ms']:.1f} ms of CPU "
        f"(median of {options.rounds}), the longest round took {busy['worst_ms']:.1f} ms"
    )
    more_mib = busy["after_mib"] - busy["before_mib"]
    print(f"memory: {busy['before_mib']:.1f} MiB before, {more_mib:+.1f} MiB with it")
    loaded = "loaded" if idle["pyroute2"] else "not loaded"
    print(f"without the section: {idle['after_mib']:.1f} MiB, pyroute2 {loaded}")


if __name__ == "__main__":
    main()
