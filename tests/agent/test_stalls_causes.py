"""The stall meter under real stops of the kernel's: freezers, a quota, a contended CPU (root, cgroups)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from agent.listeninghost import ListeningHost, in_loop

from truechimer.config.model import PausesConfig
from truechimer_agent.collectors.stalls import Stalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.lab

GROUPS = Path("/sys/fs/cgroup")
STOPS = 5
STOP_S = 0.1
MOVED_S = 1.2
"""The meter looks twice a second for the cgroup that it is in."""


@contextlib.contextmanager
def group(file: str, *hierarchies: str) -> Iterator[Path]:
    """A cgroup that has this file, in the first hierarchy that gives one; skips with the reason."""
    folder = None
    for hierarchy in hierarchies:
        folder = GROUPS / hierarchy / f"truechimer-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / file).exists():
            break
        folder.rmdir()
    else:
        pytest.skip(f"no cgroup with {file} can be made here (root; {folder} was the last tried)")
    try:
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (folder.parent / "cgroup.procs").write_text(pid)
        folder.rmdir()


@contextlib.asynccontextmanager
async def metered(host: ListeningHost) -> AsyncIterator[Stalls]:
    stalls = Stalls(host, PausesConfig())
    await stalls.open()
    try:
        yield stalls
    finally:
        await stalls.close()


def long_pauses(host: ListeningHost) -> list:
    return [one for one in host.of("truechimer_pause") if one.fields["duration_seconds"] > STOP_S / 2]


async def froze(path: Path, frozen: str, thawed: str) -> list:
    """Pauses of a meter whose group is frozen a few times."""
    host = ListeningHost()
    async with metered(host) as stalls:
        (path.parent / "cgroup.procs").write_text(str(stalls.meter_pid))
        await asyncio.sleep(MOVED_S)
        await stalls.collect()
        try:
            for _ in range(STOPS):
                path.write_text(frozen)
                await asyncio.sleep(STOP_S)
                path.write_text(thawed)
                await asyncio.sleep(STOP_S)
        finally:
            path.write_text(thawed)
    return long_pauses(host)


@in_loop
async def test_a_freezer_of_cgroup_v1_is_told_although_it_leaves_no_trace_in_the_frozen_process():
    """The agent, which was not frozen, saw it in freezer.state, and how long."""
    with group("freezer.state", "freezer") as folder:
        pauses = await froze(folder / "freezer.state", "FROZEN", "THAWED")
    assert len(pauses) >= STOPS
    assert sum(pause.tags["cause"] == "frozen" for pause in pauses) >= STOPS - 1
    assert max(pause.fields["frozen_seconds"] for pause in pauses) >= STOP_S / 2


@in_loop
async def test_a_freezer_of_cgroup_v2_is_told():
    """By frozen_usec, or before Linux 6.18 by what the agent saw in cgroup.events."""
    with group("cgroup.freeze", "unified", ".") as folder:
        pauses = await froze(folder / "cgroup.freeze", "1", "0")
    assert len(pauses) >= STOPS
    assert sum(pause.tags["cause"] == "frozen" for pause in pauses) >= STOPS - 1


@in_loop
async def test_a_used_up_quota_is_told_apart_from_a_busy_cpu():
    """A hog in the meter's own group uses it up: 80 of each 100 ms nobody there runs."""
    host = ListeningHost()
    with (
        group("cpu.cfs_quota_us", "cpu", "cpu,cpuacct") as folder,
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) as hog,
    ):
        try:
            async with metered(host) as stalls:
                (folder / "cgroup.procs").write_text(str(stalls.meter_pid))
                await asyncio.sleep(MOVED_S)
                # On a busy machine it would not get as far as its quota.
                (folder / "cpu.shares").write_text("100000")
                (folder / "cpu.cfs_quota_us").write_text("20000")
                for pid in (stalls.meter_pid, hog.pid):
                    os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
                (folder / "cgroup.procs").write_text(str(hog.pid))
                await asyncio.sleep(1.5)
                (folder / "cpu.cfs_quota_us").write_text("-1")
        finally:
            hog.kill()
    # Other work on this machine keeps the group waiting too, which is another cause.
    told = [pause for pause in long_pauses(host) if pause.tags["cause"] == "throttled"]
    assert len(told) >= 3
    assert all(pause.fields["throttled_seconds"] > 0 for pause in told)


BURSTS = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
for _ in range(5):
    time.sleep(0.2)
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
"""


@in_loop
async def test_a_taken_cpu_is_told_as_the_run_queue_and_never_wrong_for_certain():
    """A task of a higher class takes the meter's CPU five times."""
    host = ListeningHost()
    cpu = min(os.sched_getaffinity(0))
    async with metered(host) as stalls:
        os.sched_setaffinity(stalls.meter_pid, {cpu})
        taker = await asyncio.create_subprocess_exec(sys.executable, "-c", BURSTS, str(cpu))
        assert await taker.wait() == 0
        await asyncio.sleep(STOP_S)
    pauses = long_pauses(host)
    assert len(pauses) >= STOPS - 1
    assert sum(pause.tags["cause"] == "run_queue" for pause in pauses) >= 0.7 * len(pauses)
    for pause in pauses:
        assert pause.tags["cause"] == "run_queue" or pause.fields["confidence_ratio"] <= 0.9
