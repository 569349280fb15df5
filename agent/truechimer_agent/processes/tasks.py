"""One process and its tasks: how much each counter grew between two looks."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.collecting import Lacking
from truechimer_agent.processes.procfiles import Schedule, Stat, parse_schedule, parse_stat
from truechimer_agent.processes.runtimes import ProcessGone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.processes.openfiles import KernelFile, OpenFiles
    from truechimer_agent.processes.runtimes import Target

MOST_TASKS = 4096
"""Tasks of one process that are watched."""
NOT_TOLD = b"0 0 0\n"
"""A kernel without sched_info writes this always, others for a task that has not run yet."""
_GONE = (errno.ESRCH, errno.ENOENT)


@dataclass(slots=True)
class Growth:
    """What one process did between two looks.

    ``wait_ns`` is the most that one task waited in the run queue and ``wait_slices`` how many times that
    task came to run, so of how many waits it is the sum at most. ``io_wait_ns`` is None where the kernel
    does not account for it; ``io_wait_most_ns`` is one task's.
    """

    is_stopped: bool
    tasks: int = 0
    run_ns: int = 0
    delay_ns: int = 0
    wait_ns: int = 0
    wait_slices: int = 0
    major_faults: int = 0
    io_wait_ns: int | None = None
    io_wait_most_ns: int = 0

    @property
    def is_quiet(self) -> bool:
        """Nothing of it ran or waited, as far as the kernel has told yet."""
        return not (self.run_ns or self.delay_ns or self.major_faults or self.io_wait_ns)

    def add_wait(self, io_wait_ns: int) -> None:
        """One task's waiting for block I/O."""
        self.io_wait_ns = (self.io_wait_ns or 0) + io_wait_ns
        self.io_wait_most_ns = max(self.io_wait_most_ns, io_wait_ns)


class _Task:
    """One task's files and its counters at the last look."""

    __slots__ = ("io_wait_ns", "schedule", "schedule_file", "schedule_text", "stat_file")

    def __init__(self, schedule_file: KernelFile) -> None:
        self.schedule_file = schedule_file
        self.schedule_text = b""
        self.schedule = Schedule(0, 0, 0)
        self.stat_file: KernelFile | None = None
        self.io_wait_ns = 0

    def close(self) -> None:
        self.schedule_file.close()
        if self.stat_file is not None:
            self.stat_file.close()


class ProcessTasks:
    """Reads one process. Raises ProcessGone from any call once it ended or its pid is another's."""

    def __init__(self, files: OpenFiles, target: Target, *, accounts_io: bool) -> None:
        self.target = target
        self._accounts_io = accounts_io
        self._first = True
        self._files = files
        self._folder = f"{target.proc}/{target.pid}"
        self._tasks: dict[int, _Task] = {}
        self._passed_over: set[int] = set()
        self._stat_text = b""
        self._stat_file = self._open("stat")
        try:
            self._stat = self._read_stat()
        except BaseException:
            self.close()
            raise

    def look(self) -> Growth:
        """How much it did since the last look; all 0 at the first.

        Tasks that began since then count in full; what ended ones did after it is lost. Raises ProcessGone,
        and Lacking when the kernel does not tell run delay.
        """
        growth = Growth(is_stopped=False)
        if self._accounts_io:
            growth.io_wait_ns = 0
        moved, ended = self._look_at(self._tasks, growth)
        # A task has to run to be stopped, to end, to fault or to make another: the rest is as it was.
        if moved or ended or self._first:
            before, self._stat = self._stat, self._read_stat()
            growth.major_faults = max(0, self._stat.major_faults - before.major_faults)
            if ended or len(self._tasks) != min(self._stat.threads, MOST_TASKS):
                new, late = self._list()
                more, _ = self._look_at(new, growth)
                moved += more
                self._begin_from(late)
            if self._accounts_io:
                for number in moved:
                    if number in self._tasks:  # it may have ended since
                        self._add_io_wait(number, self._tasks[number], growth)
        if self._first:
            self._first = False
            growth = Growth(is_stopped=False)
        growth.is_stopped, growth.tasks = self._stat.is_stopped, self._stat.threads
        return growth

    def close(self) -> None:
        """Let go of its files."""
        self._stat_file.close()
        for task in self._tasks.values():
            task.close()
        self._tasks = {}

    def _open(self, name: str) -> KernelFile:
        try:
            return self._files.open(f"{self._folder}/{name}")
        except OSError as error:
            raise self._gone_or(error) from error

    def _gone_or(self, error: OSError) -> Exception:
        if error.errno in _GONE:
            return ProcessGone(f"process {self.target.pid} ended")
        return Lacking(
            f"process {self.target.pid} cannot be read: {error.filename or self._folder}: {error.strerror}"
        )

    def _read_stat(self) -> Stat:
        try:
            text = self._stat_file.read()
            if text == self._stat_text:
                return self._stat
            stat = parse_stat(text)
        except OSError as error:
            raise self._gone_or(error) from error
        except (ValueError, IndexError) as error:
            raise ProcessGone(f"process {self.target.pid} ended while it was read") from error
        if stat.is_ended or stat.start_ticks != self.target.start_ticks:
            raise ProcessGone(f"process {self.target.pid} ended")
        self._stat_text = text
        return stat

    def _begin_from(self, late: Mapping[int, _Task]) -> None:
        """What these did up to now was before this look, nobody knows how long: it does not count."""
        nobodys = Growth(is_stopped=False)
        moved, _ = self._look_at(late, nobodys)
        if self._accounts_io:
            for number in moved:
                if number in self._tasks:
                    self._add_io_wait(number, self._tasks[number], nobodys)

    def _list(self) -> tuple[dict[int, _Task], dict[int, _Task]]:
        """Open the tasks that are not yet, and close those that are no more.

        Returns those that began since the last look, and those that were there before but could not be
        opened (no file descriptor left) or were too many.
        """
        try:
            with os.scandir(f"{self._folder}/task") as entries:
                listed = sorted(int(entry.name) for entry in entries if entry.name.isdigit())
        except OSError as error:
            raise self._gone_or(error) from error
        numbers = listed[:MOST_TASKS]
        for number in self._tasks.keys() - set(numbers):
            self._tasks.pop(number).close()
        passed_over, self._passed_over = self._passed_over, set(listed[MOST_TASKS:])
        missing: OSError | None = None
        new: dict[int, _Task] = {}
        late: dict[int, _Task] = {}
        for number in numbers:
            if number not in self._tasks:
                try:
                    file = self._files.open(f"{self._folder}/task/{number}/schedstat")
                except OSError as error:  # a task that ended between the listing and here is normal
                    missing = error
                    if error.errno not in _GONE:
                        self._passed_over.add(number)
                else:
                    task = self._tasks[number] = _Task(file)
                    (late if number in passed_over else new)[number] = task
        if not self._tasks and missing is not None:
            self._read_stat()
            raise Lacking(
                f"run delay of process {self.target.pid} cannot be read: {missing.strerror}: "
                f"{self._folder}/task/*/schedstat",
                hint="the kernel needs CONFIG_SCHED_INFO (schedstats or delay accounting)",
            )
        return new, late

    def _look_at(self, tasks: Mapping[int, _Task], growth: Growth) -> tuple[list[int], bool]:
        """Add the growth of tasks: those that ran or waited, and whether any has ended."""
        moved, ended = [], []
        for number, task in tasks.items():
            try:
                text = task.schedule_file.read()
                if text == task.schedule_text:
                    if text == NOT_TOLD:
                        moved.append(number)
                    continue
                schedule = parse_schedule(text)
            except (OSError, ValueError):
                ended.append(number)
                continue
            moved.append(number)
            before, task.schedule, task.schedule_text = task.schedule, schedule, text
            delay_ns = max(0, schedule.delay_ns - before.delay_ns)
            growth.run_ns += max(0, schedule.run_ns - before.run_ns)
            growth.delay_ns += delay_ns
            if delay_ns > growth.wait_ns:
                growth.wait_ns = delay_ns
                growth.wait_slices = max(1, schedule.slices - before.slices)
        for number in ended:
            self._tasks.pop(number).close()
        return moved, bool(ended)

    def _add_io_wait(self, number: int, task: _Task, growth: Growth) -> None:
        if self._stat.threads == 1:
            io_wait_ns = self._stat.io_wait_ns
        else:
            try:
                if task.stat_file is None:
                    task.stat_file = self._files.open(f"{self._folder}/task/{number}/stat")
                io_wait_ns = parse_stat(task.stat_file.read()).io_wait_ns
            except (OSError, ValueError, IndexError):
                return
        growth.add_wait(max(0, io_wait_ns - task.io_wait_ns))
        task.io_wait_ns = io_wait_ns
