"""The processes collector with real children that are really stopped, frozen, throttled and killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, in_loop, until

from truechimer.config.model import PausesConfig, ProcessConfig
from truechimer.readings import boot_ns, mono_ns
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors.processes import Processes
from truechimer_agent.processes import runtimewatch
from truechimer_agent.processes.finding import Finder
from truechimer_agent.processes.openfiles import OpenFiles
from truechimer_agent.processes.runtimes import Polled
from truechimer_agent.processes.tasks import ProcessTasks
from truechimer_agent.processes.watch import Watch

V1 = Path("/sys/fs/cgroup")
V2 = next((path for path in (V1 / "unified", V1) if (path / "cgroup.procs").exists()), None)
INTERVAL_S = 0.02
BUSY_S = 0.1
"""What a busy machine adds: a signal is acted upon when its process comes to run."""
SLEEP = "import time\nwhile True: time.sleep(0.005)"
SLEEP_LONG = "import time; time.sleep(3600)"
THREADS = (
    "import threading, time\n"
    "for _ in range(3): threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"
    "time.sleep(3600)"
)
SPIN = "while True: pass"


@contextlib.contextmanager
def child(program=SLEEP):
    """A Python process of its own, killed at the end."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", program])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def cgroup(parent):
    """A new cgroup, removed at the end; what is in it by then has been killed."""
    folder = parent / f"truechimer-test-{os.getpid()}-{mono_ns()}.scope"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"needs a cgroup below {parent}: {error}")
    try:
        yield folder
    finally:
        for _ in range(200):
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.01)


@contextlib.asynccontextmanager
async def watching(path, pids, **options):
    """A collector that watches the process of a pid file, once it has seen it."""
    pid_file = path / "pid"
    pid_file.write_text(f"{pids}\n")
    host = ListeningHost()
    config = ProcessConfig(name="child", pid_file=pid_file, interval_ms=INTERVAL_S * 1e3, **options)
    collector = Processes(host, [config], PausesConfig())
    await collector.open()
    try:
        await until(lambda: collector.watched() == {"child": [pids]})
        await asyncio.sleep(0.2)
        yield host, collector
    finally:
        await collector.close()


def pauses(host, cause):
    """The pauses of one cause."""
    return [one for one in host.of("truechimer_pause") if one.tags["cause"] == cause]


def assert_contains(pause, began_ns, ended_ns, host):
    """The pause is the injected one, to within two looks (and what this machine made of them)."""
    slack_s = 2 * pause.fields["interval_seconds"] + BUSY_S
    true_s = (ended_ns - began_ns) / 1e9
    assert abs(pause.fields["duration_seconds"] - true_s) <= slack_s
    assert abs(pause.steady_ns - host.steady_of_mono_ns(began_ns)) / 1e9 <= slack_s


@pytest.mark.parametrize(("program", "tasks"), [(SLEEP, 1), (SLEEP_LONG, 1), (THREADS, 4)])
@in_loop
async def test_a_stopped_child_is_one_pause_as_long_as_it_was_stopped(tmp_path, program, tasks):
    """However many looks find it stopped; the length is right to within two looks."""
    with child(program) as process:
        async with watching(tmp_path, process.pid) as (host, _collector):
            os.kill(process.pid, signal.SIGSTOP)
            began_ns = mono_ns()
            await asyncio.sleep(0.6)
            os.kill(process.pid, signal.SIGCONT)
            ended_ns = mono_ns()
            await until(lambda: pauses(host, "stopped"))
        (pause,) = pauses(host, "stopped")
        assert_contains(pause, began_ns, ended_ns, host)
        assert pause.fields["confidence_ratio"] == 0.99
        (window,) = host.of("truechimer_pause_window")
        assert window.tags == {"source": "child", "runtime": "process"}
        told = host.of("truechimer_pause")
        assert window.fields["count"] == sum(one.fields.get("pauses", 1) for one in told)
        assert window.fields["max_seconds"] >= pause.fields["duration_seconds"]
        (point,) = host.of("truechimer_process")
        assert (point.fields["processes"], point.fields["tasks"]) == (1, tasks)
        assert point.fields["stopped_seconds"] == pytest.approx(
            pause.fields["duration_seconds"], abs=2 * pause.fields["interval_seconds"] + BUSY_S
        )


@pytest.mark.parametrize("version", [1, 2])
@in_loop
async def test_a_frozen_child_is_one_pause_of_cause_frozen(tmp_path, version):
    """By the freezer of cgroup v1, and by that of v2, where the process shows as sleeping."""
    parent = V1 / "freezer" if version == 1 else V2
    if parent is None or not parent.exists():
        pytest.skip(f"needs the freezer of cgroup v{version}")
    with cgroup(parent) as folder, child() as process:
        (folder / "cgroup.procs").write_text(str(process.pid))
        frozen, thawed = (("FROZEN", "THAWED"), ("1", "0"))[version - 1]
        switch = folder / ("freezer.state", "cgroup.freeze")[version - 1]
        async with watching(tmp_path, process.pid) as (host, _collector):
            switch.write_text(frozen)
            began_ns = mono_ns()
            await asyncio.sleep(0.5)
            switch.write_text(thawed)
            ended_ns = mono_ns()
            await until(lambda: pauses(host, "frozen"))
        (pause,) = pauses(host, "frozen")
        assert_contains(pause, began_ns, ended_ns, host)
        assert pause.fields["confidence_ratio"] == 0.99
        assert not pauses(host, "stopped")


@in_loop
async def test_a_quota_of_cgroup_v1_is_told_from_a_busy_machine(tmp_path):
    """A spinning child that may use a tenth of a CPU waits nine tenths: throttled, not merely queued."""
    with cgroup(V1 / "cpu") as folder, child(SPIN) as process:
        if not (folder / "cpu.cfs_quota_us").exists():
            pytest.skip("needs the cpu controller of cgroup v1")
        (folder / "cpu.cfs_period_us").write_text("100000")
        (folder / "cpu.cfs_quota_us").write_text("10000")
        (folder / "cgroup.procs").write_text(str(process.pid))
        async with watching(tmp_path, process.pid) as (host, _collector):
            await asyncio.sleep(1.5)
        throttled = [one for one in pauses(host, "throttled") if one.fields["confidence_ratio"] <= 0.9]
        assert len(throttled) >= 5
        assert sum(one.fields["duration_seconds"] for one in throttled) > 0.5
        (point,) = host.of("truechimer_process")
        assert point.fields["throttled_seconds"] > 0.5
        assert point.fields["run_delay_seconds"] > point.fields["run_seconds"]


@in_loop
async def test_a_process_that_ends_and_one_that_follows_are_both_watched(tmp_path):
    """A restart is found again; what was between them was not observed."""
    with child() as first:
        async with watching(tmp_path, first.pid) as (host, collector):
            first.kill()
            first.wait()
            await until(lambda: collector.watched() == {"child": []})
            with pytest.raises(CollectFailure, match=r"no process of .*'child' is there"):
                await collector.collect()
            assert await collector.collect() == []
            with child() as second:
                (tmp_path / "pid").write_text(str(second.pid))
                await until(lambda: collector.watched() == {"child": [second.pid]})
                await asyncio.sleep(0.2)
        (point,) = host.of("truechimer_process")
        assert (point.fields["started"], point.fields["ended"]) == (2, 1)
        (window,) = host.of("truechimer_pause_window")
        assert window.fields["observed_seconds"] > 0


@in_loop
async def test_a_process_that_is_not_there_is_not_observed(tmp_path):
    """Nothing was watched: that is said, in the log and by a point without exposure."""
    host = ListeningHost()
    missing = ProcessConfig(name="missing", command="no-such-program-anywhere")
    collector = Processes(host, [missing], PausesConfig())
    await collector.open()
    await until(lambda: collector.watched() == {"missing": []})
    with pytest.raises(CollectFailure, match="no-such-program-anywhere") as told:
        await collector.collect()
    assert told.value.hint
    await collector.close()
    (point,) = host.of("truechimer_process")
    assert (point.fields["processes"], point.fields["observed_seconds"]) == (0, 0)
    (window,) = host.of("truechimer_pause_window")
    assert (window.fields["observed_seconds"], window.fields["count"]) == (0, 0)


@in_loop
async def test_all_processes_of_a_command_are_watched_and_told_by_name(tmp_path):
    """Several that match are one source; a process of another name is not among them."""
    name = f"tc{os.getpid()}"
    (tmp_path / name).symlink_to(sys.executable)
    children = [subprocess.Popen([tmp_path / name, "-I", "-S", "-c", SLEEP]) for _ in range(3)]
    host = ListeningHost()
    collector = Processes(host, [ProcessConfig(name="three", command=name)], PausesConfig())
    try:
        await collector.open()
        pids = sorted(process.pid for process in children)
        await until(lambda: sorted(collector.watched().get("three", [])) == pids)
    finally:
        await collector.close()
        for process in children:
            process.kill()
            process.wait()
    (point,) = host.of("truechimer_process")
    assert point.fields["started"] == 3


@pytest.mark.parametrize("parent", [V1 / "systemd", V2], ids=["v1", "v2"])
@in_loop
async def test_a_unit_is_all_the_processes_in_its_cgroup(parent):
    """Where systemd would put them: in its own hierarchy of v1, or in the unified one."""
    if parent is None or not (parent / "cgroup.procs").exists():
        pytest.skip("needs systemd's hierarchy of cgroup v1, or the unified one")
    with cgroup(parent) as folder, child() as first, child() as second, child():
        host = ListeningHost()
        for process in (first, second):
            (folder / "cgroup.procs").write_text(str(process.pid))
        sections = [
            ProcessConfig(name="unit", unit=folder.name),
            ProcessConfig(name="cgroup", cgroup=folder.name),
        ]
        collector = Processes(host, sections, PausesConfig())
        await collector.open()
        pids = sorted((first.pid, second.pid))
        try:
            await until(lambda: [sorted(found) for found in collector.watched().values()] == [pids, pids])
        finally:
            await collector.close()


def as_nobody(work):
    """What a function returns in a forked process without any privilege."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give it up")
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return json.loads(os.read(reading, 65536) or b"null")
    finally:
        os.close(reading)
        os.waitpid(pid, 0)


def test_another_users_process_is_watched_without_any_privilege():
    """Run delay, state and faults are for everybody to read."""

    def look():
        finder = Finder({"spin": lambda facts: SPIN in facts.arguments})
        (target,) = [one for one in finder.scan(boot_ns())["spin"] if one.pid == process.pid]
        tasks = ProcessTasks(OpenFiles(10), target, accounts_io=True)
        tasks.look()
        time.sleep(0.3)
        growth = tasks.look()
        return [growth.tasks, growth.run_ns + growth.delay_ns]

    with child(SPIN) as process:
        time.sleep(0.1)
        tasks, busy_ns = as_nobody(look)
    assert tasks == 1
    assert busy_ns > 0.1e9


def test_a_proc_that_hides_other_users_processes_is_said_to_hide_them():
    """Mounted with hidepid; nothing is taken to be absent that cannot be seen."""
    options = ("off", "noaccess", "invisible")

    def look():
        said = {}
        for option in options:
            try:
                Finder({"any": lambda _: True}, root / option).scan(boot_ns())
            except CollectFailure as failure:
                said[option] = str(failure)
        return said

    mounted = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        try:
            for option in options:
                (root / option).mkdir()
                command = ["mount", "-t", "proc", "-o", f"hidepid={option}", "proc", root / option]
                if subprocess.run(command, capture_output=True).returncode != 0:
                    pytest.skip("needs root and a kernel that mounts /proc with hidepid=invisible")
                mounted.append(root / option)
            said = as_nobody(look)
        finally:
            for folder in mounted:
                subprocess.run(["umount", folder], check=True)
    assert set(said) == {"noaccess", "invisible"}
    assert all("hidden" in text for text in said.values())


@in_loop
async def test_a_defect_is_said_and_the_watch_starts_anew(monkeypatch):
    """What was watched until then is still handed over."""
    steps = []
    step = Watch.step

    def fails_once(watch):
        steps.append(watch)
        if len(steps) == 2:
            raise ZeroDivisionError
        return step(watch)

    monkeypatch.setattr(Watch, "step", fails_once)
    host = ListeningHost()
    sections = [ProcessConfig(name="missing", command="no-such-program-anywhere")]
    collector = Processes(host, sections, PausesConfig())
    await collector.open()
    # The thread hands over first, and then ends.
    await until(lambda: host.of("truechimer_process") and collector._failure is not None)
    with pytest.raises(ZeroDivisionError):
        await collector.collect()
    await until(lambda: len(steps) > 3)
    await collector.close()
    assert len({id(watch) for watch in steps}) == 2
    assert len(host.of("truechimer_process")) == 2


@in_loop
async def test_closing_before_opening_is_safe():
    """The runner closes a collector whose open failed."""
    await Processes(ListeningHost(), [], PausesConfig()).close()


class InAStop:
    """A runtime in a stop that has been seen for ``seen_ns``, until nobody has to ask any more."""

    def __init__(self, seen_ns):
        self.seen_ns = seen_ns

    def poll(self, *_):
        return Polled(under_way_ns=self.seen_ns)

    def close(self):
        """Nothing is held."""


@pytest.mark.parametrize(("seen_ns", "least_s", "most_s"), [(1, 0.0, 0.001), (160_000_000_000, 5.0, 10.0)])
def test_a_runtime_in_a_stop_is_polled_again_soon_and_the_rarer_the_longer_it_lasts(
    monkeypatch, seen_ns, least_s, most_s
):
    """At most once a millisecond, and never later than it is due anyway."""
    monkeypatch.setattr(runtimewatch, "opener_of", lambda _: lambda *_, **__: InAStop(seen_ns))
    with child(SLEEP_LONG) as process, tempfile.TemporaryDirectory() as scratch:
        pid_file = Path(scratch) / "pid"
        pid_file.write_text(f"{process.pid}\n")
        config = ProcessConfig("db", pid_file=pid_file, runtime="jvm", interval_ms=3_600_000.0)
        watch = Watch(ListeningHost(), [config], threshold_ns=5_000_000)
        try:
            watch.step()
            (section,) = watch._sections
            assert section.again_ns is not None
            wait_s = (section.again_ns - mono_ns()) / 1e9 / watch.stretch
            assert least_s <= max(0.0, wait_s) <= most_s
            assert section.next_ns == section.again_ns < section.due_ns
        finally:
            watch.close()
