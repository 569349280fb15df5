"""One section's processes in a /proc tree of files: counters that grow, processes that end in mid-read."""

from __future__ import annotations

import errno

import pytest
from agent.fakeproc import FakeProc
from agent.listeninghost import checked
from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.processes.openfiles import OpenFiles
from truechimer_agent.processes.procfiles import TICK_NS
from truechimer_agent.processes.runtimes import ProcessGone, Target
from truechimer_agent.processes.source import MOST_PAUSES, RETRY_NS, Source
from truechimer_agent.processes.tasks import ProcessTasks

MS = 1_000_000
LOOK = 100 * MS
FEW = 3


def source(tmp_path, *, files=None, accounts_io=True):
    return Source(
        "db", files or OpenFiles(100), threshold_ns=5 * MS, accounts_io=accounts_io, cgroup_root=tmp_path
    )


def fields(observations, measurement):
    """The fields of the only observation of a measurement, which is as declared."""
    (one,) = [checked(one) for one in observations if one.measurement == measurement]
    return one.fields


@pytest.mark.parametrize("limit", [0, FEW, 100])
def test_run_delay_is_summed_over_tasks_and_the_longest_is_one_tasks(tmp_path, limit):
    """The leader's own file tells a fraction; few descriptors make no difference."""
    proc = FakeProc(tmp_path)
    proc.add(7, tasks={7: 1000, 8: 2000, 9: 3000})
    watched = source(tmp_path, files=OpenFiles(limit))
    watched.watch([Target(7, 100, tmp_path)], 0, 1)
    assert watched.look(0, 1) == ([], [])
    proc.schedule(7, 8, run_ns=MS, delay_ns=2000 + 40 * MS, slices=2)
    proc.schedule(7, 9, run_ns=MS, delay_ns=3000 + 20 * MS, slices=1)
    pauses, gone = watched.look(LOOK, 1)
    assert not gone
    pause = fields(pauses, "truechimer_pause")
    assert pause["duration_seconds"] == pause["run_delay_seconds"] == 0.04
    assert pause["pauses"] == 2
    points = watched.points(LOOK)
    process = fields(points, "truechimer_process")
    assert process["run_delay_seconds"] == pytest.approx(0.06)
    assert process["run_delay_seconds_max"] == pytest.approx(0.04)
    assert process["run_seconds"] == pytest.approx(0.002)
    assert (process["processes"], process["tasks"]) == (1, 3)
    window = fields(points, "truechimer_pause_window")
    assert (window["count"], window["total_seconds"]) == (2, 0.04)
    assert (window["max_seconds"], window["max_upper_seconds"]) == (0.02, 0.04)
    assert window["observed_seconds"] == window["interval_seconds"] == 0.1
    watched.close(LOOK, 1)


def test_a_starved_pool_of_processes_tells_its_longest_pauses_and_counts_them_all(tmp_path):
    """The window's count and sum are exact."""
    proc = FakeProc(tmp_path)
    pids = range(10, 10 + 2 * MOST_PAUSES)
    for pid in pids:
        proc.add(pid, tasks={pid: 0})
    watched = source(tmp_path)
    watched.watch([Target(pid, 100, tmp_path) for pid in pids], 0, 1)
    watched.look(0, 1)
    for pid in pids:
        proc.schedule(pid, delay_ns=pid * MS, slices=1)
    pauses, _ = watched.look(LOOK, 1)
    told_ms = sorted(round(pause.fields["duration_seconds"] * 1e3) for pause in pauses)
    assert told_ms == list(pids)[MOST_PAUSES:]
    window = fields(watched.points(LOOK), "truechimer_pause_window")
    assert window["count"] == len(pids)
    assert window["total_seconds"] == pytest.approx(sum(pids) / 1e3)
    watched.close(LOOK, 1)


def test_a_task_that_began_between_two_looks_counts_in_full_and_one_that_ended_goes(tmp_path):
    """Pools of threads come and go."""
    proc = FakeProc(tmp_path)
    proc.add(7, tasks={7: 0, 8: 0})
    watched = source(tmp_path, files=OpenFiles(0))  # an open file of a real task would fail to read
    watched.watch([Target(7, 100, tmp_path)], 0, 1)
    watched.look(0, 1)
    proc.end("7/task/8")
    proc.schedule(7, 9, delay_ns=30 * MS, slices=1)
    pauses, _ = watched.look(LOOK, 1)  # the count is the same: one could not be read
    assert fields(pauses, "truechimer_pause")["duration_seconds"] == 0.03
    watched.close(LOOK, 1)


def test_a_task_that_could_not_be_opened_at_first_does_not_count_its_whole_life(tmp_path, monkeypatch):
    """Descriptors ran out at the first look; what it waited since the second counts."""
    proc = FakeProc(tmp_path)
    proc.add(7, tasks={7: 0, 8: 900 * MS})
    files = OpenFiles(0)
    opened = files.open

    def refuse(path):
        if path.endswith("task/8/schedstat"):
            raise OSError(errno.EMFILE, "Too many open files", path)
        return opened(path)

    monkeypatch.setattr(files, "open", refuse)
    tasks = ProcessTasks(files, Target(7, 100, tmp_path), accounts_io=True)
    tasks.look()
    monkeypatch.setattr(files, "open", opened)
    proc.stat(7, threads=2)
    assert tasks.look().delay_ns == 0
    proc.schedule(7, 8, run_ns=MS, delay_ns=930 * MS, slices=1)
    assert tasks.look().delay_ns == 30 * MS


def test_a_task_that_ends_between_its_own_file_and_the_list_is_normal(tmp_path, monkeypatch):
    """It was read, and is not listed any more."""
    proc = FakeProc(tmp_path)
    proc.add(7, tasks={7: 0, 8: 0})
    tasks = ProcessTasks(OpenFiles(0), Target(7, 100, tmp_path), accounts_io=True)
    tasks.look()
    proc.schedule(7, 8, run_ns=MS)
    proc.stat(7, threads=1)
    listing = tasks._list

    def end_first():
        proc.end("7/task/8")
        return listing()

    monkeypatch.setattr(tasks, "_list", end_first)
    growth = tasks.look()
    assert growth.run_ns >= MS
    assert growth.tasks == 1


def test_faults_and_disk_waits_are_the_processes_and_the_tasks(tmp_path):
    """Field 42 of /proc/PID/stat is the leader's only: each task's own is read."""
    proc = FakeProc(tmp_path)
    proc.add(7, tasks={7: 0, 8: 0})
    proc.stat(7, task=8)
    watched = source(tmp_path)
    watched.watch([Target(7, 100, tmp_path)], 0, 1)
    watched.look(0, 1)
    proc.stat(7, threads=2, faults=3)
    proc.stat(7, task=8, io_ticks=4)
    proc.schedule(7, 8, run_ns=MS)
    watched.look(LOOK, 1)
    process = fields(watched.points(LOOK), "truechimer_process")
    assert process["major_faults"] == 3
    assert process["io_wait_seconds"] == pytest.approx(4 * TICK_NS / 1e9)
    watched.close(LOOK, 1)


def test_what_the_kernel_does_not_account_for_is_left_out(tmp_path):
    """0 would say that it never waited."""
    FakeProc(tmp_path).add(7)
    watched = source(tmp_path, accounts_io=False)
    watched.watch([Target(7, 100, tmp_path)], 0, 1)
    watched.look(0, 1)
    watched.look(LOOK, 1)
    assert "io_wait_seconds" not in fields(watched.points(LOOK), "truechimer_process")
    watched.close(LOOK, 1)


@pytest.mark.parametrize("limit", [0, 100])
def test_a_pid_that_is_used_again_ends_the_process_and_is_not_taken_for_it(tmp_path, limit):
    """Its counters are another's: nothing of them is told."""
    proc = FakeProc(tmp_path)
    proc.add(7, tasks={7: 0})
    watched = source(tmp_path, files=OpenFiles(limit))
    target = Target(7, 100, tmp_path)
    watched.watch([target], 0, 1)
    watched.look(0, 1)
    proc.add(7, started=200, tasks={7: 900 * MS})
    assert watched.look(LOOK, 1) == ([], [target])
    watched.watch([target], LOOK, 1)
    assert watched.targets == []
    process = fields(watched.points(LOOK), "truechimer_process")
    assert (process["started"], process["ended"], process["processes"]) == (1, 1, 0)
    assert process["observed_seconds"] == 0


@pytest.mark.parametrize("state", ["gone", "zombie", "torn"])
def test_a_process_that_ends_in_mid_read_ends_its_stop(tmp_path, state):
    """It was stopped up to then; the time since the last look was not watched."""
    proc = FakeProc(tmp_path)
    proc.add(7)
    proc.add(8)
    watched = source(tmp_path, files=OpenFiles(0))
    targets = [Target(7, 100, tmp_path), Target(8, 100, tmp_path)]
    watched.watch(targets, 0, 1)
    watched.look(0, 1)
    proc.stat(7, state="T")
    watched.look(LOOK, 1)
    watched.look(2 * LOOK, 1)
    if state == "gone":
        proc.end(7)
    elif state == "zombie":
        proc.stat(7, state="Z")
    else:
        proc.stat(7)
        (tmp_path / "7" / "stat").write_text("7 (x")
    pauses, gone = watched.look(3 * LOOK, 1)
    assert gone == targets[:1]
    pause = fields(pauses, "truechimer_pause")
    assert pause["duration_seconds"] == pytest.approx(0.2)
    assert watched.targets == targets[1:]
    process = fields(watched.points(3 * LOOK), "truechimer_process")
    assert process["stopped_seconds"] == pytest.approx(0.2)
    assert process["observed_seconds"] == pytest.approx(0.3)  # the other was there
    watched.close(3 * LOOK, 1)


def test_a_kernel_without_run_delay_is_said_and_tried_again_after_a_minute(tmp_path):
    """The other processes of the section go on."""
    proc = FakeProc(tmp_path)
    proc.add(7)
    proc.add(8)
    (tmp_path / "7/task/7/schedstat").unlink()
    watched = source(tmp_path)
    targets = [Target(7, 100, tmp_path), Target(8, 100, tmp_path)]
    watched.watch(targets, 0, 1)
    watched.look(0, 1)
    assert "schedstat" in str(watched.trouble)
    proc.schedule(7)
    watched.watch(targets, RETRY_NS - 1, 1)
    assert watched.targets == targets[1:]
    watched.watch(targets, RETRY_NS, 1)
    assert set(watched.targets) == set(targets)
    assert watched.trouble is None
    watched.close(RETRY_NS, 1)


def test_no_descriptor_stays_open_behind_the_watch(tmp_path):
    """Whether processes ended or the watch did."""
    proc = FakeProc(tmp_path)
    files = OpenFiles(FEW)
    watched = source(tmp_path, files=files)
    for pid in (7, 8, 9):
        proc.add(pid)
    watched.watch([Target(pid, 100, tmp_path) for pid in (7, 8, 9)], 0, 1)
    watched.look(0, 1)
    assert files.kept == FEW
    proc.end(7)
    watched.watch([Target(8, 100, tmp_path)], LOOK, 1)
    watched.close(LOOK, 1)
    assert files.kept == 0


@given(text=st.binary(max_size=200), name=st.sampled_from(["stat", "task/7/schedstat"]))
def test_whatever_a_file_holds_the_process_is_watched_or_gone(tmp_path_factory, text, name):
    """Nothing else is raised."""
    root = tmp_path_factory.mktemp("proc")
    FakeProc(root).add(7)
    tasks = ProcessTasks(OpenFiles(10), Target(7, 100, root), accounts_io=True)
    (root / "7" / name).write_bytes(text)
    try:
        growth = tasks.look()
        assert growth.delay_ns >= 0
        tasks.look()
    except ProcessGone:
        pass
    finally:
        tasks.close()
