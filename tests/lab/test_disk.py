"""Disks that are full, read-only and frozen for real: each is told as what it is."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, until
from lab.harness.clocks import monotonic_s

from truechimer.codes import FsyncOutcome
from truechimer.config.model import DiskConfig, PausesConfig
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors.disk import Disks
from truechimer_agent.pauses.stalllog import StallLog

pytestmark = pytest.mark.lab

INTERVAL_S = 0.1
FROZEN_S = 2.5


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[Path]:
    """Something mounted on a new directory."""
    place.mkdir()
    subprocess.run(["mount", *arguments, str(place)], check=True, timeout=20)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=20)


def probed(path: Path, look: Callable[[ListeningHost, Disks], Awaitable[None]]) -> ListeningHost:
    """Run the collector on a path while ``look`` lasts."""

    async def run() -> ListeningHost:
        host = ListeningHost()
        collector = Disks(host, [DiskConfig(path, INTERVAL_S)], "lab", PausesConfig(), StallLog())
        await collector.open()
        try:
            await look(host, collector)
        finally:
            await collector.close()
        return host

    return asyncio.run(run())


def outcomes(host: ListeningHost) -> list[FsyncOutcome]:
    return [FsyncOutcome(int(one.fields["outcome"])) for one in host.of("truechimer_fsync")]


@pytest.mark.parametrize(
    ("options", "what", "advice"),
    [("size=64k", "No space left on device", "free some space"), ("ro", "Read-only", "ReadWritePaths")],
)
def test_a_full_and_a_read_only_disk_fail_with_what_to_do(
    tmp_path: Path, options: str, what: str, advice: str
) -> None:
    """Every probe is a point; the collector says why, and what is to be done."""

    async def look(host: ListeningHost, collector: Disks) -> None:
        await until(lambda: len(host.seen) >= 3)
        with pytest.raises(CollectFailure, match=what) as caught:
            await collector.collect()
        assert advice in str(caught.value.hint)

    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", options, "none") as disk:
        if options != "ro":
            with pytest.raises(OSError, match="No space"):
                (disk / "filler").write_bytes(b"x" * (1 << 20))
        host = probed(disk, look)
    assert set(outcomes(host)) == {FsyncOutcome.FAILED}


def test_nothing_keeps_a_probed_disk_from_being_unmounted(tmp_path: Path) -> None:
    """Between probes no file is open: umount succeeds (tried a few times) while the agent runs."""

    async def look(host: ListeningHost, _collector: Disks) -> None:
        await until(lambda: len(host.seen) >= 3)
        for _ in range(20):
            done = await asyncio.to_thread(subprocess.run, ["umount", str(place)], check=False, timeout=20)
            if done.returncode == 0:
                return
            await asyncio.sleep(INTERVAL_S / 3)
        raise AssertionError("it was busy every time")

    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True, timeout=20)
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "-q", str(place)], check=False, timeout=20)
        probed(place, look)
    assert not os.path.ismount(place)


def test_a_frozen_file_system_is_told_while_it_hangs_and_is_one_pause_of_io(tmp_path: Path) -> None:
    """fsfreeze of an ext4 on a loop device: hung, seen blocked by the kernel, as long as it was frozen."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, timeout=60)
    truth_s: list[float] = []

    async def look(host: ListeningHost, collector: Disks) -> None:
        await until(lambda: len(host.seen) >= 3)
        before_s = monotonic_s()
        await asyncio.to_thread(subprocess.run, ["fsfreeze", "-f", str(disk)], check=True, timeout=20)
        frozen_s = monotonic_s()
        try:
            while monotonic_s() - frozen_s < FROZEN_S:
                await asyncio.sleep(0.25)
                await collector.collect()
            truth_s.append(monotonic_s() - frozen_s)
        finally:
            await asyncio.to_thread(subprocess.run, ["fsfreeze", "-u", str(disk)], check=True, timeout=20)
        truth_s.append(monotonic_s() - before_s)
        seen = len(host.seen)
        await until(lambda: len(host.seen) >= seen + 4)

    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
        host = probed(disk, look)
    assert FsyncOutcome.HUNG in outcomes(host)
    longest = max(host.of("truechimer_pause"), key=lambda one: one.fields["duration_seconds"])
    least_s, most_s = truth_s
    assert least_s - INTERVAL_S <= longest.fields["duration_seconds"] <= most_s + 2.0
    assert longest.tags == {"source": f"disk:{disk}", "runtime": "disk", "cause": "io"}
    assert longest.fields["confidence_ratio"] == 0.95
    hidden = max(int(one.fields.get("hidden", 0)) for one in host.of("truechimer_fsync"))
    assert hidden >= (least_s - 2 * INTERVAL_S) / INTERVAL_S - 1
