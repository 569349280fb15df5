"""The process watch: when is looked at which processes, and how often at most; run by one thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError
from truechimer.readings import boot_ns, mono_ns, thread_cpu_ns, wall_ns
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.processes.finding import Finder, PidFile
from truechimer_agent.processes.openfiles import OpenFiles, keepable
from truechimer_agent.processes.pace import Pace, limit_of
from truechimer_agent.processes.runtimes import PROC
from truechimer_agent.processes.runtimewatch import RuntimeWatch
from truechimer_agent.processes.selecting import CGROUP_ROOT, selector_of
from truechimer_agent.processes.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truechimer.config.model import ProcessConfig
    from truechimer_agent.collecting import Host, Observation
    from truechimer_agent.processes.runtimes import Target

MS = 1_000_000
FIND_NS = 1_000_000_000
POINTS_NS = 10_000_000_000
AGAIN_LEAST_NS = 1_000_000
AGAIN_SHARE = 16
"""A runtime in a stop is polled after a sixteenth of what it has lasted so far: some 150 polls in 40 s."""

log = logging.getLogger("truechimer.processes")


def accounts_io(proc: Path = PROC) -> bool:
    """Whether this kernel accounts for waiting for block I/O; before Linux 5.14 it always did."""
    try:
        return (proc / "sys/kernel/task_delayacct").read_text().strip() != "0"
    except OSError:
        return True


@dataclass(slots=True)
class _Section:
    """One ``[[process]]``: its views, and when (MONOTONIC) it is looked at next.

    ``again_ns``: when its runtimes are polled before that, because one of them is in a stop.
    """

    config: ProcessConfig
    source: Source
    runtime: RuntimeWatch | None
    pid_file: PidFile | None
    due_ns: int
    again_ns: int | None = None
    trouble: TruechimerError | None = None

    @property
    def next_ns(self) -> int:
        """When there is something to do."""
        return self.due_ns if self.again_ns is None else min(self.again_ns, self.due_ns)


class Watch:
    """All sections. ``troubles``: what is wrong now, by the section's name and what part of it."""

    def __init__(
        self,
        host: Host,
        configs: Sequence[ProcessConfig],
        *,
        threshold_ns: int,
        proc: Path = PROC,
        cgroup_root: Path = Path(CGROUP_ROOT),
    ) -> None:
        self._host = host
        self._proc = proc
        self.troubles: Mapping[str, TruechimerError] = {}
        self._watched: dict[str, list[int]] = {}
        files = OpenFiles(keepable())
        io = accounts_io(proc)
        began_ns = mono_ns()
        self._sections = [
            _Section(
                config,
                Source(
                    config.name, files, threshold_ns=threshold_ns, accounts_io=io, cgroup_root=cgroup_root
                ),
                RuntimeWatch(config.name, config.runtime, scan=config.scan, threshold_ns=threshold_ns)
                if config.runtime != "process"
                else None,
                PidFile(config.pid_file, proc) if config.pid_file is not None else None,
                began_ns,
            )
            for config in configs
        ]
        selectors = {config.name: selector_of(config) for config in configs}
        self._finder = Finder({name: one for name, one in selectors.items() if one is not None}, proc)
        self._finder_trouble: TruechimerError | None = None
        self._find_ns = began_ns
        self._points_ns = began_ns + POINTS_NS
        limit = limit_of(config.interval_ms for config in configs)
        self._pace = Pace(began_ns, thread_cpu_ns(), limit)

    @property
    def stretch(self) -> float:
        """By how much the intervals are longer than configured."""
        return self._pace.stretch

    def watched(self) -> dict[str, list[int]]:
        """The pids that are watched, by section, once they were looked for."""
        return dict(self._watched)

    def step(self) -> tuple[list[Observation], float]:
        """Do what is due: what became known, and in how many seconds to come again."""
        wake_ns = mono_ns()
        stretch = self._pace.measure(wake_ns, thread_cpu_ns())
        said: list[Observation] = []
        if wake_ns >= self._find_ns:
            said += self._find()
            self._find_ns = wake_ns + round(FIND_NS * stretch)
        for section in self._sections:
            if wake_ns >= section.due_ns:
                said += self._look(section)
                section.due_ns = wake_ns + round(section.config.interval_ms * MS * stretch)
            elif wake_ns >= section.next_ns:
                said += self._poll(section)
        if wake_ns >= self._points_ns:
            said += self._points()
            self._points_ns += (1 + (wake_ns - self._points_ns) // POINTS_NS) * POINTS_NS
        self.troubles = dict(self._standing_troubles())
        self._watched = {
            section.config.name: [target.pid for target in section.source.targets]
            for section in self._sections
        }
        next_ns = min(self._find_ns, self._points_ns, *(section.next_ns for section in self._sections))
        return said, max(0, next_ns - mono_ns()) / 1e9

    def close(self) -> list[Observation]:
        """Let go of everything; the last points and the pauses that go on are returned."""
        now_ns, epoch = self._host.steady_now_ns(), self._host.steady().epoch
        said: list[Observation] = []
        for section in self._sections:
            said += section.source.close(now_ns, epoch)
            if section.runtime is not None:
                said += section.runtime.points(now_ns)
                section.runtime.close()
        return said

    def _find(self) -> list[Observation]:
        try:
            found = self._finder.scan(boot_ns())
            self._finder_trouble = None
        except TruechimerError as error:
            found, self._finder_trouble = {}, error
            return []
        finally:
            now_ns, epoch = self._host.steady_now_ns(), self._host.steady().epoch
        said: list[Observation] = []
        for section in self._sections:
            targets = found[section.config.name] if section.pid_file is None else _by_pid_file(section)
            had = section.source.targets
            said += section.source.watch(targets, now_ns, epoch)
            has = section.source.targets
            if has and not had:
                log.info("found: process=%s pids=%s", section.config.name, [one.pid for one in has[:8]])
        return said

    def _look(self, section: _Section) -> list[Observation]:
        steady = self._host.steady()
        said, gone = section.source.look(steady.at(self._host.clocks.raw_ns()), steady.epoch)
        for target in gone:
            self._finder.forget(target.pid)
        if gone and not section.source.targets:
            log.info("ended: process=%s pids=%s", section.config.name, [one.pid for one in gone[:8]])
        return [*said, *self._poll(section)]

    def _poll(self, section: _Section) -> list[Observation]:
        runtime = section.runtime
        if runtime is None:
            return []
        steady = self._host.steady()
        reading = self._host.clocks.read()
        said = runtime.look(section.source.targets, reading, steady.at(reading.raw_ns), steady.epoch)
        section.again_ns = None
        if runtime.under_way_ns is not None:
            wait_ns = max(AGAIN_LEAST_NS, runtime.under_way_ns // AGAIN_SHARE)
            section.again_ns = reading.mono_ns + round(wait_ns * self._pace.stretch)
        return said

    def _points(self) -> list[Observation]:
        now_ns = self._host.steady_now_ns()
        said: list[Observation] = []
        for section in self._sections:
            said += section.source.points(now_ns)
            if section.runtime is not None:
                said += section.runtime.points(now_ns)
        return said

    def _standing_troubles(self) -> list[tuple[str, TruechimerError]]:
        if self._finder_trouble is not None:
            return [("finding", self._finder_trouble)]
        troubles = []
        for section in self._sections:
            name = section.config.name
            for part, trouble in (
                ("finding", section.trouble or self._absence(section)),
                ("kernel", section.source.trouble),
                ("runtime", section.runtime.trouble if section.runtime is not None else None),
            ):
                if trouble is not None:
                    troubles.append((f"{name} {part}", trouble))
        return troubles

    def _absence(self, section: _Section) -> TruechimerError | None:
        if section.source.targets or section.source.trouble is not None:
            return None
        config = section.config
        ways = {way: getattr(config, way) for way in ("unit", "pid_file", "command", "cgroup")}
        how = next(f"{way} = {str(value)!r}" for way, value in ways.items() if value is not None)
        return CollectFailure(
            f"no process of [[process]] {config.name!r} is there ({how})",
            hint="it is watched as soon as it runs; check how it is named if it does",
        )


def _by_pid_file(section: _Section) -> list[Target]:
    assert section.pid_file is not None
    try:
        targets = section.pid_file.find(wall_ns(), boot_ns(), section.source.targets)
    except TruechimerError as error:
        section.trouble = error
        return []
    section.trouble = None
    return targets
