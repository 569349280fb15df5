"""One ``[[process]]`` section: its processes as they come and go, and what a look at them tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError
from truechimer_agent.processes.cgroups import TELLS_NOTHING, Cgroup, CgroupGrowth, places_of
from truechimer_agent.processes.finding import read_bounded
from truechimer_agent.processes.halts import Standing, waits
from truechimer_agent.processes.procfiles import parse_membership
from truechimer_agent.processes.runtimes import ProcessGone
from truechimer_agent.processes.selecting import CGROUP_ROOT
from truechimer_agent.processes.tasks import ProcessTasks
from truechimer_agent.processes.windows import KernelWindow, pause_of_halt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer_agent.collecting import Observation
    from truechimer_agent.processes.halts import Halt
    from truechimer_agent.processes.openfiles import OpenFiles
    from truechimer_agent.processes.runtimes import Target

RETRY_NS = 60_000_000_000
MOST_PAUSES = 16
"""Pauses of one look that are handed over singly: a starved pool of processes must not flood the store."""
STOPPING_NS = 1_000_000
"""What the threads of a process may still run after the first of them has stopped."""
MOVED_POINTS = 3
"""Every so many points a process is looked for in another cgroup: few are ever moved."""


@dataclass(slots=True)
class _Process:
    """A process that is watched: since when it was (S; None before its first look), and its cgroup."""

    tasks: ProcessTasks
    looked_ns: int | None = None
    membership: str = ""
    count: int = 0
    standing: Standing = field(default_factory=Standing)


class Source:
    """The kernel's view of one section's processes. ``trouble``: why some of them cannot be watched."""

    def __init__(
        self,
        name: str,
        files: OpenFiles,
        *,
        threshold_ns: int,
        accounts_io: bool,
        cgroup_root: Path = Path(CGROUP_ROOT),
    ) -> None:
        self.tags = {"source": name, "runtime": "process"}
        self.trouble: TruechimerError | None = None
        self._files = files
        self._threshold_ns = threshold_ns
        self._accounts_io = accounts_io
        self._cgroup_root = cgroup_root
        self._processes: dict[Target, _Process] = {}
        self._refused: dict[Target, int] = {}
        self._cgroups: dict[str, Cgroup] = {}
        self._window = KernelWindow()
        self._points = 0

    @property
    def targets(self) -> list[Target]:
        """The processes that are watched."""
        return list(self._processes)

    def watch(self, targets: Iterable[Target], now_ns: int, epoch: int) -> list[Observation]:
        """These match now: begin with the new ones, let go of the others (their pauses are returned)."""
        wanted = set(targets)
        halts: list[Halt] = []
        for target in self._processes.keys() - wanted:
            halts += self._drop(target, now_ns)
        self._refused = {one: retry_ns for one, retry_ns in self._refused.items() if one in wanted}
        for target in wanted - self._processes.keys():
            if now_ns < self._refused.get(target, now_ns):
                continue
            try:
                tasks = ProcessTasks(self._files, target, accounts_io=self._accounts_io)
            except ProcessGone:
                continue
            except TruechimerError as error:
                self._refuse(target, error, now_ns)
                continue
            self._processes[target] = _Process(tasks)
            self._window.started += 1
            self._refused.pop(target, None)
        if not self._refused:
            self.trouble = None
        self._find_cgroups()
        return self._say(halts, epoch)

    def look(self, now_ns: int, epoch: int) -> tuple[list[Observation], list[Target]]:
        """Look at every process: the pauses that became known, and the processes that have ended."""
        groups = {membership: cgroup.look() for membership, cgroup in self._cgroups.items()}
        for group in groups.values():
            self._window.add_cgroup(group)
        halts: list[Halt] = []
        gone: list[Target] = []
        watched_ns = 0
        standing: dict[str, int] = {}
        for target, process in list(self._processes.items()):
            before_ns = process.looked_ns if process.looked_ns is not None else now_ns
            try:
                growth = process.tasks.look()
            except ProcessGone:
                gone.append(target)
                halts += self._drop(target, now_ns)
                continue
            except TruechimerError as error:
                self._refuse(target, error, now_ns)
                halts += self._drop(target, now_ns)
                continue
            process.looked_ns, process.count = now_ns, growth.tasks
            group = groups.get(process.membership, TELLS_NOTHING)
            watched_ns = max(watched_ns, now_ns - before_ns)
            self._window.add_process(growth)
            if not growth.is_quiet:
                halts += waits(growth, group, before_ns, now_ns, self._threshold_ns)
            halt = process.standing.look(
                is_stopped=growth.is_stopped,
                group=group if before_ns < now_ns else CgroupGrowth(group.is_frozen),
                before_ns=before_ns,
                now_ns=now_ns,
                threshold_ns=self._threshold_ns,
                has_run=growth.run_ns > STOPPING_NS,
            )
            if halt is not None:
                halts.append(halt)
            if process.standing.cause is not None:
                cause = process.standing.cause.value
                standing[cause] = max(standing.get(cause, 0), now_ns - before_ns)
        for cause, span_ns in standing.items():
            self._window.add_standing(cause, span_ns)
        if watched_ns:
            self._window.exposure.add(watched_ns)
        return self._say(halts, epoch), gone

    def points(self, now_ns: int) -> list[Observation]:
        """The points of 10 s; the next ones begin."""
        window, self._window = self._window, KernelWindow()
        self._points += 1
        if self._points % MOVED_POINTS == 0:
            for process in self._processes.values():
                process.membership = ""
            self._find_cgroups()
        return window.observations(
            self.tags,
            now_ns,
            processes=len(self._processes),
            tasks=sum(process.count for process in self._processes.values()),
            threshold_ns=self._threshold_ns,
        )

    def close(self, now_ns: int, epoch: int) -> list[Observation]:
        """Let go of everything: the last points, and pauses that go on as far as they were seen."""
        halts = [halt for process in self._processes.values() for halt in self._end(process, None)]
        said = [*self._say(halts, epoch), *self.points(now_ns)]
        for process in self._processes.values():
            process.tasks.close()
        for cgroup in self._cgroups.values():
            cgroup.close()
        self._processes, self._cgroups = {}, {}
        return said

    def _say(self, halts: list[Halt], epoch: int) -> list[Observation]:
        """The longest of them as pauses; the window counts them all."""
        for halt in halts:
            self._window.add_halt(halt)
        if len(halts) > MOST_PAUSES:
            halts = sorted(halts, key=lambda halt: halt.duration_ns)[-MOST_PAUSES:]
        return [pause_of_halt(halt, self.tags, epoch) for halt in halts]

    def _drop(self, target: Target, now_ns: int) -> list[Halt]:
        """A process has ended, or is none of these any more."""
        process = self._processes.pop(target)
        process.tasks.close()
        self._window.ended += 1
        return self._end(process, now_ns)

    def _end(self, process: _Process, ended_ns: int | None) -> list[Halt]:
        """The stop that it was in, up to when it ended or was last looked at."""
        looked_ns = process.looked_ns
        if looked_ns is None:
            return []
        halt = process.standing.close(looked_ns, looked_ns if ended_ns is None else ended_ns)
        return [halt] if halt is not None and halt.duration_ns >= self._threshold_ns else []

    def _refuse(self, target: Target, error: TruechimerError, now_ns: int) -> None:
        self._refused[target] = now_ns + RETRY_NS
        self.trouble = error

    def _find_cgroups(self) -> None:
        """Open the cgroups of the processes, and let go of those that nothing is in any more."""
        for target, process in self._processes.items():
            if process.membership:
                continue
            try:
                text = read_bounded(target.proc / str(target.pid) / "cgroup").decode("utf-8", "replace")
                if text not in self._cgroups:
                    places = places_of(parse_membership(text), self._cgroup_root)
                    self._cgroups[text] = Cgroup(self._files, places)
            except (OSError, ValueError):
                continue  # it has ended: the next look finds out
            process.membership = text
        for text in self._cgroups.keys() - {process.membership for process in self._processes.values()}:
            self._cgroups.pop(text).close()
