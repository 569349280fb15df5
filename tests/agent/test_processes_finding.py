"""Finding processes in a /proc tree of files, and by pid files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent.fakeproc import FakeProc

from truechimer.config.model import ProcessConfig
from truechimer.readings import boot_ns, wall_ns
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.processes.finding import FULL_SCAN, SETTLED_NS, Finder, PidFile
from truechimer_agent.processes.procfiles import TICK_NS
from truechimer_agent.processes.runtimes import Target
from truechimer_agent.processes.selecting import selector_of

LATE_NS = 10 * SETTLED_NS


def finder(root, **sections):
    """A finder of sections that name commands."""
    return Finder(
        {name: selector_of(ProcessConfig(name=name, command=command)) for name, command in sections.items()},
        root,
    )


def pids(found):
    return {name: sorted(target.pid for target in targets) for name, targets in found.items()}


def test_all_that_match_are_found_and_those_that_ended_are_not(tmp_path):
    """Forks too; a process may match two sections."""
    proc = FakeProc(tmp_path)
    proc.add(7, "db")
    proc.add(8, "db")
    proc.add(9, "web")
    find = finder(tmp_path, db="db", any="db|web")
    assert pids(find.scan(LATE_NS)) == {"db": [7, 8], "any": [7, 8, 9]}
    proc.end(8)
    assert pids(find.scan(LATE_NS)) == {"db": [7], "any": [7, 9]}


def test_a_young_process_is_looked_at_until_it_is_what_it_will_be(tmp_path):
    """It has its parent's name between fork and exec."""
    proc = FakeProc(tmp_path)
    proc.add(7, "sh", started=100)
    find = finder(tmp_path, db="db")
    assert pids(find.scan(100 * TICK_NS)) == {"db": []}
    proc.add(7, "db", started=100)
    assert pids(find.scan(100 * TICK_NS + SETTLED_NS // 2)) == {"db": [7]}


def test_an_old_process_is_looked_at_anew_now_and_then(tmp_path):
    """One that changes later than that is found by a full scan."""
    proc = FakeProc(tmp_path)
    proc.add(7, "sh")
    find = finder(tmp_path, db="db")
    find.scan(LATE_NS)
    proc.add(7, "db")
    assert pids(find.scan(LATE_NS)) == {"db": []}
    for _ in range(FULL_SCAN):
        found = find.scan(LATE_NS)
    assert pids(found) == {"db": [7]}


def test_a_pid_that_is_used_again_is_another_process(tmp_path):
    """Whoever finds out that the first one ended has its pid looked at anew."""
    proc = FakeProc(tmp_path)
    proc.add(7, "db", started=100)
    find = finder(tmp_path, db="db")
    assert find.scan(LATE_NS) == {"db": [Target(7, 100, tmp_path)]}
    proc.add(7, "web", started=200)
    find.forget(7)
    assert find.scan(LATE_NS) == {"db": []}
    proc.add(7, "db", started=300)
    find.forget(7)
    assert find.scan(LATE_NS) == {"db": [Target(7, 300, tmp_path)]}


@pytest.mark.parametrize("name", ["stat", "cgroup", "comm", "cmdline"])
def test_a_process_that_ends_while_it_is_looked_at_is_not_there(tmp_path, name):
    """Any of its files may be gone, or be empty."""
    proc = FakeProc(tmp_path)
    proc.add(7, "db")
    proc.add(8, "db")
    (tmp_path / "7" / name).unlink()
    assert pids(finder(tmp_path, db="db").scan(LATE_NS)) == {"db": [8]}


def test_hidden_processes_are_said_to_be_hidden(tmp_path):
    """hidepid: what is not seen is not absent."""
    FakeProc(tmp_path).end(1)
    with pytest.raises(CollectFailure, match="hidepid"):
        finder(tmp_path, db="db").scan(LATE_NS)


def test_a_zombie_is_not_watched(tmp_path):
    """It has ended; its parent has not asked yet."""
    proc = FakeProc(tmp_path)
    proc.add(7, "db")
    proc.stat(7, "db", state="Z")
    assert pids(finder(tmp_path, db="db").scan(LATE_NS)) == {"db": []}


def own_pid_file(tmp_path, text=None, age_s=0.0):
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n" if text is None else text)
    written_s = wall_ns() / 1e9 - age_s
    os.utime(path, (written_s, written_s))
    return path


def test_a_pid_file_names_its_process(tmp_path):
    """As this very process would write it."""
    found = PidFile(own_pid_file(tmp_path)).find(wall_ns(), boot_ns(), [])
    assert [target.pid for target in found] == [os.getpid()]


def test_a_pid_file_that_was_written_before_its_process_began_is_refused(tmp_path):
    """The pid is another's now; the clocks of both ages are this machine's."""
    uptime_s = boot_ns() / 1e9
    began_s = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) * TICK_NS / 1e9
    if began_s < 30:
        pytest.skip("needs a machine that has been up for half a minute before")
    path = own_pid_file(tmp_path, age_s=uptime_s - began_s + 20)
    with pytest.raises(CollectFailure, match="older than the process") as refused:
        PidFile(path).find(wall_ns(), boot_ns(), [])
    assert refused.value.hint


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "99999999999999"])
def test_a_file_without_a_pid_is_refused(tmp_path, text):
    """It says what it is not."""
    with pytest.raises(CollectFailure, match="holds no process id"):
        PidFile(own_pid_file(tmp_path, text)).find(wall_ns(), boot_ns(), [])


def test_no_file_and_no_process_are_no_failure(tmp_path):
    """The service is down."""
    assert PidFile(tmp_path / "none").find(wall_ns(), boot_ns(), []) == []
    (tmp_path / "proc").mkdir()
    proc = FakeProc(tmp_path / "proc")
    path = own_pid_file(tmp_path, "77")
    assert PidFile(path, proc.root).find(wall_ns(), boot_ns(), []) == []


def test_a_pipe_in_place_of_a_pid_file_is_refused_and_not_waited_for(tmp_path):
    """Opening it to read would block for ever."""
    os.mkfifo(tmp_path / "pid")
    with pytest.raises(CollectFailure, match="cannot be read"):
        PidFile(tmp_path / "pid").find(wall_ns(), boot_ns(), [])
