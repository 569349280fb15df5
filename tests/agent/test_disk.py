"""Disks probed for real, and disks that hang: what is told, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, in_loop, until

from truechimer.codes import FsyncOutcome
from truechimer.config.model import DiskConfig, PausesConfig
from truechimer.readings import monotonic_s
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors import disk as disk_module
from truechimer_agent.collectors.disk import Disks, label_of
from truechimer_agent.disks.probefile import write_and_sync
from truechimer_agent.pauses.stalllog import StallLog

BEAT_S = 0.05


def disks(host, *paths, threshold_ms=5.0, sync=write_and_sync, stalls=None):
    configs = [DiskConfig(path, BEAT_S) for path in paths]
    pauses = PausesConfig(threshold_ms=threshold_ms)
    return Disks(host, configs, "n", pauses, stalls if stalls is not None else StallLog(), sync)


def outcomes(host):
    return [FsyncOutcome(one.fields["outcome"]) for one in host.of("truechimer_fsync")]


class Gate:
    """A disk that hangs while it is shut."""

    def __init__(self):
        self._open = threading.Event()
        self._open.set()
        self.begun = 0

    def __call__(self, _fd, _block):
        self.begun += 1
        self._open.wait(30)

    def shut(self):
        self._open.clear()

    def open(self):
        self._open.set()


@in_loop
async def test_a_disk_is_probed_on_its_beat_and_its_file_is_gone_in_the_end(tmp_path):
    """Each probe is a point with its duration; the window says that somebody looked."""
    host = ListeningHost()
    collector = disks(host, tmp_path)
    await collector.open()
    await until(lambda: len(host.seen) >= 5)
    assert await collector.collect() == []
    await collector.close()
    points = host.of("truechimer_fsync")
    assert set(outcomes(host)) == {FsyncOutcome.DONE}
    assert all(0 < point.fields["duration_seconds"] < 20 for point in points)
    assert {point.tags["disk"] for point in points} == {str(tmp_path)}
    times = [point.steady_ns for point in points]
    assert times == sorted(set(times))
    (window,) = host.of("truechimer_pause_window")
    assert window.tags == {"source": f"disk:{tmp_path}", "runtime": "disk"}
    assert window.fields["interval_seconds"] == BEAT_S
    assert 0 < window.fields["observed_seconds"] < 60
    assert list(tmp_path.iterdir()) == []


@in_loop
async def test_a_disk_that_hangs_is_told_while_it_hangs_and_holds_up_nobody(tmp_path, monkeypatch):
    """The other disk's probes go on; no second probe begins; the end is one pause over all of it."""
    monkeypatch.setattr(disk_module, "HUNG_NS", 10**8)
    host, gate = ListeningHost(), Gate()
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()

    def sync(fd, block):
        if Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(bad):
            gate(fd, block)

    collector = disks(host, good, bad, sync=sync)
    await collector.open()
    await until(lambda: gate.begun >= 2)
    gate.shut()
    hung = []
    began_s = monotonic_s()
    while len(hung) < 3:
        await asyncio.sleep(0.05)
        await collector.collect()
        hung = [one for one in host.of("truechimer_fsync") if one.fields["outcome"] == FsyncOutcome.HUNG]
        assert monotonic_s() - began_s < 30
    begun = gate.begun
    others = len([one for one in host.of("truechimer_fsync") if one.tags["disk"] == str(good)])
    await asyncio.sleep(4 * BEAT_S)
    assert len([one for one in host.of("truechimer_fsync") if one.tags["disk"] == str(good)]) > others
    assert gate.begun == begun
    gate.open()
    await until(lambda: gate.begun > begun)
    await collector.close()
    assert {one.tags["disk"] for one in hung} == {str(bad)}
    so_far = [one.fields["duration_seconds"] for one in hung]
    assert so_far == sorted(so_far)
    ended = [one for one in host.of("truechimer_fsync") if one.fields.get("hidden", 0) >= 10]
    assert [one.fields["outcome"] for one in ended] == [FsyncOutcome.DONE]
    (pause,) = [one for one in host.of("truechimer_pause") if one.fields["duration_seconds"] >= so_far[-1]]
    assert pause.fields["duration_seconds"] == ended[0].fields["duration_seconds"]
    assert pause.tags["source"] == f"disk:{bad}"
    windows = [one for one in host.of("truechimer_pause_window") if one.tags["source"] == f"disk:{bad}"]
    assert max(one.fields["max_seconds"] for one in windows) == pause.fields["duration_seconds"]
    assert sum(one.fields["count"] for one in windows) >= 1


@in_loop
async def test_closing_does_not_wait_for_a_disk_that_hangs(tmp_path, monkeypatch):
    """It ends after its grace; how long the probe has hung so far is told as a pause."""
    monkeypatch.setattr(disk_module, "HUNG_NS", 10**8)
    monkeypatch.setattr(disk_module, "TROUBLE_NS", 10**8)
    monkeypatch.setattr(disk_module, "GRACE_S", 0.3)
    host, gate = ListeningHost(), Gate()
    gate.shut()
    collector = disks(host, tmp_path, sync=gate)
    await collector.open()
    await until(lambda: gate.begun == 1)
    await asyncio.sleep(0.2)
    words = set()
    for _ in range(3):
        with pytest.raises(CollectFailure, match="has hung for over 10 s") as caught:
            await collector.collect()
        words.add(str(caught.value))
        await asyncio.sleep(0.02)
    assert len(words) == 1
    began_s = monotonic_s()
    await collector.close()
    assert monotonic_s() - began_s < 10
    (pause,) = host.of("truechimer_pause")
    assert pause.fields["duration_seconds"] >= 0.5
    (window,) = host.of("truechimer_pause_window")
    assert window.fields["observed_seconds"] == pytest.approx(window.fields["max_seconds"])
    assert window.fields["count"] == 1
    seen = len(host.seen)
    gate.open()
    await until(lambda: not list(tmp_path.iterdir()))
    await asyncio.sleep(0.05)
    assert len(host.seen) == seen + 1  # the probe's own point


@in_loop
async def test_a_slow_probe_while_this_host_stood_still_is_not_blamed_on_the_disk(tmp_path):
    """The stall meter's word is waited for before a pause is handed over."""
    host, stalls = ListeningHost(), StallLog()
    slow = threading.Event()
    collector = disks(host, tmp_path, sync=lambda _fd, _block: slow.wait(0.1), stalls=stalls)
    await collector.open()
    await until(lambda: len(host.of("truechimer_fsync")) >= 1)
    (first,) = host.of("truechimer_fsync")[:1]
    assert host.of("truechimer_pause") == []
    stalls.add(first.steady_ns, first.steady_ns + 60 * 10**9)
    slow.set()
    await collector.close()
    pauses = {one.steady_ns: one for one in host.of("truechimer_pause")}
    assert pauses[first.steady_ns].tags["cause"] in {"unknown", "run_queue"}


@in_loop
async def test_failures_are_points_and_one_message_and_no_watching(tmp_path):
    """No duration, no window: a disk that could not be probed was not seen to be quiet."""
    host = ListeningHost()

    def full(fd, block):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    collector = disks(host, tmp_path, tmp_path / "missing", sync=full, threshold_ms=5000.0)
    await collector.open()
    await until(lambda: len(host.seen) >= 6)
    with pytest.raises(CollectFailure, match=r"No space left.*No such file") as caught:
        await collector.collect()
    assert "free some space" in caught.value.hint
    assert "mount or make the directory" in caught.value.hint
    await collector.close()
    assert set(outcomes(host)) == {FsyncOutcome.FAILED}
    assert all("duration_seconds" not in one.fields for one in host.seen)
    assert host.of("truechimer_pause_window") == []


@in_loop
async def test_a_new_epoch_makes_a_duration_unknown(tmp_path):
    """Nobody knows how long a probe took across a restored virtual machine."""
    host, gate = ListeningHost(), Gate()
    gate.shut()
    collector = disks(host, tmp_path, sync=gate)
    await collector.open()
    await until(lambda: gate.begun == 1)
    host._steady = host._steady.next_epoch()
    gate.open()
    await until(lambda: len(host.seen) >= 2)
    await collector.close()
    first, second = host.of("truechimer_fsync")[:2]
    assert "duration_seconds" not in first.fields
    assert "duration_seconds" in second.fields


@in_loop
async def test_another_file_system_in_its_place_is_said_once(tmp_path, caplog):
    """After an unmount the path is on the disk below: the figures are of something else."""
    host = ListeningHost()
    collector = disks(host, tmp_path)
    await collector.open()
    await until(lambda: len(host.seen) >= 1)
    collector._disks[0].device = -1
    seen = len(host.seen)
    await until(lambda: len(host.seen) >= seen + 3)
    await collector.close()
    assert sum("another file system" in record.getMessage() for record in caplog.records) == 1


@in_loop
async def test_closing_before_opening_is_safe(tmp_path):
    """The runner closes a collector whose open failed."""
    await disks(ListeningHost(), tmp_path).close()


def test_labels_are_tags(tmp_path):
    """Control characters, and bytes that are no text, are question marks."""
    assert label_of(tmp_path / "a\nb\x7f\udcff") == f"{tmp_path}/a?b??"
