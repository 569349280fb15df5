"""How wrong a measured offset is: this agent's client, ntplib's own and chronyd's, against a known truth.

Usage (as root, after .ci/install-lab): python bench/offset_error.py [--exchanges 2000] [--idle]

A real chronyd serves over veth; both hosts share one kernel clock, so the true offset is 0 and every measured
one is error. All cores are loaded (not with --idle). The clients take turns within one run; chronyd's own
measures beside them, 32 times a second. Goal: p99 at most a fifth of ntplib's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import ntplib

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from typing import TYPE_CHECKING

from lab.harness import ChronyClient, ChronyServer, CpuLoad, Network

from truechimer.config.model import NtpConfig
from truechimer.readings import SystemClocks
from truechimer_agent.bounds.estimator import Estimator
from truechimer_agent.collectors.bound import Bounds
from truechimer_agent.collectors.ntp import Ntp
from truechimer_agent.hostclock import HostClock
from truechimer_agent.ntp.plan import make
from truechimer_agent.packettimes.kernelstamps import Stamping

if TYPE_CHECKING:
    from truechimer_agent.collecting import Observation

OURS, MIDDLE, NTPLIB, CHRONYD = "this agent", "middle of its bound", "ntplib", "chronyd"
HALF_WIDTH = "half width of its bound"
GAP_S = 0.05
LEAST_RATIO = 5


async def measure(address: str, exchanges: int) -> dict[str, list[float]]:
    """Offsets in seconds, the clients taking turns."""
    clock = HostClock(SystemClocks(), None)
    config = NtpConfig(servers=(address,))
    plan = make(config)
    estimator = Estimator([address], max_drift_ppb=500_000, wander_ppb=5_000, tolerated=None)
    seen: list[Observation] = []
    ntp = Ntp(clock, seen.append, config, plan, estimator)
    bounds = Bounds(clock, seen.append, estimator, None)
    ntplib_client = ntplib.NTPClient()
    found: dict[str, list[float]] = {OURS: [], NTPLIB: [], MIDDLE: [], HALF_WIDTH: []}
    ntp._stamping = Stamping(wanted=True)
    for _ in range(exchanges):
        seen.clear()
        await ntp.poll(plan.servers[0], 1)
        found[OURS] += [
            float(each.fields["offset_seconds"]) for each in seen if "offset_seconds" in each.fields
        ]
        bound = bounds.observe(bounds.publish()).fields
        if "lower_seconds" in bound:
            found[MIDDLE].append((float(bound["lower_seconds"]) + float(bound["upper_seconds"])) / 2)
            found[HALF_WIDTH].append(float(bound["half_width_seconds"]))
        found[NTPLIB].append(ntplib_client.request(address, version=4, timeout=2).offset)
        await asyncio.sleep(GAP_S)
    ntp._stamping.close()
    return found


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=2000)
    parser.add_argument("--idle", action="store_true", help="without load")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(asyncio.run(measure(options.inside, options.exchanges))))
        return 0
    with tempfile.TemporaryDirectory() as name, Network() as network:
        folder = Path(name)
        server = ChronyServer(network.host("server"))
        client = network.host("client")
        beside = ChronyClient(client, [server.address], log_measurements=folder)
        beside.wait_synchronised()
        cores = os.cpu_count() or 1
        with nullcontext() if options.idle else CpuLoad(client, cores, folder):
            command = (sys.executable, __file__, "--inside", server.address)
            done = client.run(*command, "--exchanges", str(options.exchanges), timeout_s=3600)
        found: dict[str, list[float]] = done.json
        found[CHRONYD] = beside.measured_offsets()
    print(f"{cores} cores {'idle' if options.idle else 'loaded'}; error of an offset whose truth is 0, in µs")
    print(f"{'':<24}{'count':>7}{'median':>9}{'p50':>9}{'p99':>9}{'max':>9}")
    for who, offsets in found.items():
        errors = [abs(offset) for offset in offsets]
        figures = (
            statistics.median(offsets),
            *(percentile(errors, share) for share in (0.5, 0.99)),
            max(errors),
        )
        print(f"{who:<24}{len(errors):>7}" + "".join(f"{figure * 1e6:>9.1f}" for figure in figures))
    ours, theirs = (percentile([abs(each) for each in found[who]], 0.99) for who in (OURS, NTPLIB))
    print(f"p99 of ntplib is {theirs / ours:.1f} times that of this agent (goal: {LEAST_RATIO})")
    return 0 if theirs >= LEAST_RATIO * ours else 1


if __name__ == "__main__":
    sys.exit(main())
