"""Stops of other processes and of disks for bench/attribution.py, judged by their collectors."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import attribution_causes as causes
from attribution_causes import FROZEN, RUN_QUEUE, THROTTLED, NotRunError, Scenario, Subject, Truth, running

from truechimer.codes import Cause
from truechimer.config.model import DiskConfig, PausesConfig, ProcessConfig
from truechimer.readings import mono_ns
from truechimer_agent.pauses.stalllog import StallLog

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable

    from agent.listeninghost import ListeningHost

WATCH_MS = 10.0
DISK_S = 0.1
LONG_GC_NS = 40_000_000
# A victim like the meter itself: it sleeps, and does a little.
SLEEPER = "import time\nwhile True: time.sleep(0.005)"
# What everybody waits for: files of megabytes written and synced as fast as the disk takes them.
STORM = """
import mmap, os, sys
os.nice(19)
data = mmap.mmap(-1, 8 << 20)  # aligned, for O_DIRECT: the storm takes the disk and leaves the CPUs
data.write(os.urandom(1 << 20) * 8)
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
while True:
    os.pwrite(file, data, 0)
    os.fsync(file)
"""
# Another's record of the same kind of work: from when to when a write with fsync took over 20 ms, of which it
# waited less than a tenth for a CPU.
SYNCING = """
import os, sys, time
def waited_ns():
    with open("/proc/self/schedstat") as file:
        return int(file.read().split()[1])
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
while True:
    time.sleep(0.02)
    start, waited = time.monotonic_ns(), waited_ns()
    os.pwrite(file, bytes(4096), 0)
    os.fsync(file)
    end = time.monotonic_ns()
    if end - start > 20_000_000 and waited_ns() - waited < (end - start) / 10:
        print(start, end, flush=True)
"""
JAVA = """
public class Victim {
    static Object[] kept = new Object[3_000_000];
    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < kept.length; i++) kept[i] = new long[i % 8];
        for (int i = 0; i < Integer.parseInt(arguments[0]); i++) { System.gc(); Thread.sleep(250); }
    }
}
"""
SAFEPOINT = re.compile(r"\[(\d+)ns\].*Total: +(\d+) ns")


@contextlib.asynccontextmanager
async def watched(host: ListeningHost, pid: int, runtime: str) -> AsyncIterator[Callable[[], None]]:
    """The process watch, following one process; gives what a thread calls when that was moved.

    The watch looks for another cgroup only now and then, few processes being ever moved: it is opened anew.
    """
    try:
        processes = import_module("truechimer_agent.collectors.processes")
    except ImportError as error:
        raise NotRunError(f"this build has no process watch: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        pid_file = Path(folder, "pid")
        await asyncio.to_thread(pid_file.write_text, str(pid))
        config = ProcessConfig("victim", pid_file=pid_file, runtime=runtime, interval_ms=WATCH_MS)
        collector = processes.Processes(host, [config], PausesConfig())
        await collector.open()
        loop = asyncio.get_running_loop()

        async def reopen() -> None:
            await collector.close()
            await collector.open()
            await asyncio.sleep(2)

        try:
            await asyncio.sleep(2)
            yield lambda: asyncio.run_coroutine_threadsafe(reopen(), loop).result()
            await asyncio.sleep(1)
        finally:
            await collector.close()


def victim_of(inject: Callable[..., list[Truth]]) -> Callable[..., object]:
    """The same stops as the meter's, of another process."""

    async def run(host: ListeningHost, each: int, rng: random.Random) -> list[Truth]:
        with running((SLEEPER,)) as (victim,):
            async with watched(host, victim.pid, "process") as moved:
                subject = Subject(victim.pid, moved)
                return await asyncio.to_thread(inject, subject, each, rng)

    return run


async def collected(host: ListeningHost, each: int, _rng: random.Random) -> list[Truth]:
    """Full collections of a JVM, by its own safepoint log (timenanos is CLOCK_MONOTONIC)."""
    with tempfile.TemporaryDirectory() as folder:
        source, log = Path(folder, "Victim.java"), Path(folder, "log")
        await asyncio.to_thread(source.write_text, JAVA)
        command = [
            "java", "-XX:+UseSerialGC", "-Xmx1g", f"-Xlog:safepoint:file={log}:timenanos",
            str(source), str(each),
        ]  # fmt: skip
        try:
            java = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        except OSError as error:
            raise NotRunError(f"java: {error.strerror}") from error
        try:
            async with watched(host, java.pid, "jvm"):
                begun_ns = mono_ns()
                await java.wait()
        finally:
            if java.returncode is None:
                java.kill()
            await java.wait()
        told = await asyncio.to_thread(log.read_text)
        stops = [(int(end), int(total)) for end, total in SAFEPOINT.findall(told)]
    return [
        Truth(end_ns - total_ns, end_ns)
        for end_ns, total_ns in stops
        if total_ns >= LONG_GC_NS and end_ns - total_ns > begun_ns
    ]


async def synced(host: ListeningHost, each: int, _rng: random.Random) -> list[Truth]:
    """Storms of fsync, judged by the [[disk]] probe of the same file system."""
    try:
        disks = import_module("truechimer_agent.collectors.disk")
    except ImportError as error:
        raise NotRunError(f"this build has no disk collector: {error}") from error
    with tempfile.TemporaryDirectory(prefix="truechimer-storm-", dir="/var/tmp") as folder:
        config = DiskConfig(Path(folder), DISK_S)
        collector = disks.Disks(host, [config], "bench", PausesConfig(), StallLog())
        await collector.open()
        rounds = asyncio.create_task(collect_each_second(collector))
        storm = [(STORM, f"{folder}/storm{number}") for number in range(4)]
        try:
            with running((SYNCING, f"{folder}/own"), *storm) as (own, *_others):
                await asyncio.sleep(max(10.0, 3.0 * each))
                own.kill()
                slow = causes.truths_of(own)
            await asyncio.sleep(2)
        finally:
            rounds.cancel()
            await collector.close()
    if not slow:
        raise NotRunError("four writers made no fsync of another process take 20 ms: this disk is too fast")
    return slow


async def collect_each_second(collector: object) -> None:
    """As the runner does."""
    while True:
        await asyncio.sleep(1)
        await collector.collect()


FREEZER = ("freezer", "freezer.state", "FROZEN", "THAWED")
SCENARIOS = (
    Scenario("victim: SIGSTOP", frozenset({Cause.STOPPED}), watch=victim_of(causes.stopped)),
    Scenario("victim: freezer v1", FROZEN, watch=victim_of(causes.frozen_by(*FREEZER))),
    Scenario("victim: SCHED_FIFO", RUN_QUEUE, watch=victim_of(causes.preempted)),
    Scenario("victim: quota v1", THROTTLED, watch=victim_of(causes.throttled("cpu", causes.V1_QUOTA))),
    Scenario("disk: fsync storm", frozenset({Cause.IO}), kind="within", watch=synced),
    Scenario("JVM: full GC", frozenset({Cause.GC, Cause.SAFEPOINT}), runtime="jvm", watch=collected),
)
