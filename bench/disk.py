"""What the disk collector tells, against the same write + fsync timed by a bare loop beside it.

    python bench/disk.py [--path DIR] [--seconds 60] [--interval 0.1]

The agent's collector in a real event loop probes every --interval; a process that does nothing but pwrite
and fsync does so as often, at random moments, on the same disk. Then a file system is frozen for known
times (root, a loop mount): the told duration must lie between how long it was frozen for certain and how
long at most. Last, the collector's CPU at one probe a second. Other work on the disk changes the first
figure: take a quiet run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.config.model import DiskConfig, PausesConfig
from truechimer.readings import SteadyClock, SystemClocks
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors.disk import Disks
from truechimer_agent.disks.probefile import BLOCK
from truechimer_agent.pauses.stalllog import StallLog

if TYPE_CHECKING:
    from truechimer_agent.collecting import Observation

RATIO_TARGET = 1.15
CPU_TARGET = 0.003
FREEZES_S = (0.3, 0.7, 1.5, 2.5)
PLAIN = """
import os, random, sys, time
path, interval_s, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
end = time.monotonic() + seconds
number = 0
while time.monotonic() < end:
    time.sleep(random.uniform(0.5, 1.5) * interval_s)
    number += 1
    block = (b"beside %d" % number).ljust(4096, b"\\0")
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    os.pwrite(fd, block, 0)
    os.fsync(fd)
    print(time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - began)
os.unlink(path)
"""


class Host:
    """What the collector uses of the daemon."""

    def __init__(self) -> None:
        self.clocks = SystemClocks()
        self.seen: list[Observation] = []
        self._steady = SteadyClock(0, 1)

    def steady(self) -> SteadyClock:
        return self._steady

    def steady_now_ns(self) -> int:
        return self.clocks.raw_ns()

    def emit(self, observation: Observation) -> None:
        self.seen.append(observation)

    def durations_s(self) -> list[float]:
        """Those of probes that came back."""
        return [
            one.fields["duration_seconds"]
            for one in self.seen
            if one.measurement == "truechimer_fsync" and one.fields["outcome"] == 0
        ]


async def collected(path: Path, interval_s: float, seconds: float) -> Host:
    """Run the collector for so long."""
    host = Host()
    collector = Disks(host, [DiskConfig(path, interval_s)], "bench", PausesConfig(), StallLog())
    await collector.open()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await asyncio.sleep(1.0)
        with suppress(CollectFailure):
            await collector.collect()
    await collector.close()
    return host


def line(name: str, value: str, target: str, met: bool) -> None:
    print(f"{name:<44} {value:<22} target {target:<12} {'MET' if met else 'MISSED'}")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def against_beside(path: Path, interval_s: float, seconds: float) -> None:
    """The same disk, turn by turn."""
    beside_file = path / f".beside-{os.getpid()}"
    command = [sys.executable, "-c", PLAIN, str(beside_file), str(interval_s), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        host = asyncio.run(collected(path, interval_s, seconds))
        out, _ = child.communicate()
    told = host.durations_s()
    beside = [int(text) / 1e9 for text in out.split()]
    print(f"{len(told)} probes told, {len(beside)} beside, {BLOCK} bytes each")
    for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99")):
        a, b = percentile(told, share), percentile(beside, share)
        print(f"  {name}: told {a * 1e3:8.3f} ms, beside {b * 1e3:8.3f} ms, ratio {a / b:.3f}")
    mean = statistics.fmean(told) / statistics.fmean(beside)
    print(f"  mean ratio {mean:.3f}")
    ratio = percentile(told, 0.5) / percentile(beside, 0.5)
    line("told / beside, medians", f"{ratio:.3f}", f"<= {RATIO_TARGET}", ratio <= RATIO_TARGET)


def against_freezes() -> None:
    """A frozen file system: the longest told against how long it was frozen."""
    with tempfile.TemporaryDirectory() as folder:
        image, mount = Path(folder, "image"), Path(folder, "mount")
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(32 << 20)
        try:
            subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
            subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"freezes: not run, a loop mount needs root and e2fsprogs ({error})")
            return
        try:
            contained = sum(frozen(mount, seconds) for seconds in FREEZES_S)
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    whole = len(FREEZES_S)
    line("freezes told within their bounds", f"{contained} of {whole}", f"{whole}", contained == whole)


def frozen(mount: Path, seconds: float) -> bool:
    """Whether the longest told lies between the freeze's least and greatest length.

    At least: from when it was frozen until it began to thaw, less one interval. At most: from when
    freezing began until it had thawed, and the longest other fsync, for its own work after that.
    """
    interval_s = 0.005
    script = (
        "import subprocess, sys, time\n"
        "time.sleep(0.5)\n"
        "outer = time.monotonic()\n"
        "subprocess.run(['fsfreeze', '-f', sys.argv[1]], check=True)\n"
        "inner = time.monotonic()\n"
        "time.sleep(float(sys.argv[2]))\n"
        "inner_end = time.monotonic()\n"
        "subprocess.run(['fsfreeze', '-u', sys.argv[1]], check=True)\n"
        "print(inner_end - inner, time.monotonic() - outer)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(mount), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as child:
        host = asyncio.run(collected(mount, interval_s, seconds + 2.0))
        least_s, most_s = (float(text) for text in child.communicate()[0].split())
    *others_s, told_s = sorted(host.durations_s())
    least_s, most_s = least_s - interval_s, most_s + others_s[-1]
    print(f"  frozen for {least_s * 1e3:.1f} to {most_s * 1e3:.1f} ms, told {told_s * 1e3:.1f} ms")
    return least_s <= told_s <= most_s


def cost(path: Path, seconds: float) -> None:
    """CPU of a process that does nothing else, against the same without the collector."""

    def used_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    async def idle() -> None:
        for _ in range(round(seconds)):
            await asyncio.sleep(1.0)

    before_s = used_s()
    asyncio.run(idle())
    between_s = used_s()
    asyncio.run(collected(path, 1.0, seconds))
    share = (used_s() - between_s - (between_s - before_s)) / seconds
    line("CPU at one probe a second", f"{share:.3%} of a core", f"<= {CPU_TARGET:.1%}", share <= CPU_TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", type=Path, help="a directory on the disk; default: a temporary one")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--interval", type=float, default=0.1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.path) as folder:
        against_beside(Path(folder), options.interval, options.seconds)
        cost(Path(folder), min(options.seconds, 30.0))
    against_freezes()


if __name__ == "__main__":
    main()
