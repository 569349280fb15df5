"""A /proc tree of files for the process watch: processes that come, go and take each other's pid."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FakeProc:
    """Processes as files below ``root``; the counters of each are written by the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.add(1, "init")

    def add(self, pid, comm="x", *, started=100, cgroup="0::/\n", arguments=None, tasks=None):
        """Begin a process, or change it."""
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "comm").write_text(comm + "\n")
        words = [comm] if arguments is None else arguments
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
        (folder / "cgroup").write_text(cgroup)
        self.stat(pid, comm, started=started, threads=len(tasks or {pid: 0}))
        for task, delay_ns in (tasks or {pid: 0}).items():
            self.schedule(pid, task, delay_ns=delay_ns)

    def stat(self, pid, comm="x", *, state="S", started=100, threads=1, faults=0, io_ticks=0, task=None):
        fields = ["0"] * 52
        fields[2], fields[11], fields[19] = state, str(faults), str(threads)
        fields[21], fields[41] = str(started), str(io_ticks)
        folder = self.root / str(pid) if task is None else self.root / str(pid) / "task" / str(task)
        folder.mkdir(parents=True, exist_ok=True)
        for schedstat in (self.root / str(pid)).glob("task/*/schedstat"):
            run, *rest = schedstat.read_text().split()  # it has to run for anything to change
            schedstat.write_text(" ".join([str(int(run) + 1), *rest]) + "\n")
        (folder / "stat").write_text(f"{pid} ({comm}) {' '.join(fields[2:])}\n")

    def schedule(self, pid, task=None, *, run_ns=0, delay_ns=0, slices=0):
        folder = self.root / str(pid) / "task" / str(task or pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "schedstat").write_text(f"{run_ns} {delay_ns} {slices}\n")

    def end(self, pid):
        shutil.rmtree(self.root / str(pid))
