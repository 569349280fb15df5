"""Which processes match a section now: found by a scan of /proc, or named by a pid file."""

from __future__ import annotations

import os
import stat as filetypes
from typing import TYPE_CHECKING

from truechimer_agent.collecting import CollectFailure
from truechimer_agent.processes.procfiles import TICK_NS, parse_membership, parse_pid, parse_stat
from truechimer_agent.processes.runtimes import PROC, ProcessGone, Target
from truechimer_agent.processes.selecting import Facts, is_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

SETTLED_NS = 10_000_000_000
"""Age at which a process is taken to have become what it will be (fork, exec, moved to its cgroup)."""
FULL_SCAN = 60
"""Every so many scans all processes are looked at anew."""
TEXT_BYTES = 4096
MOST_MATCHES = 4096


def read_bounded(path: Path, limit: int = TEXT_BYTES) -> bytes:
    """The beginning of a regular file. Raises OSError; a pipe or device is refused, not waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not filetypes.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "it is no regular file", str(path))
        return os.read(fd, limit)
    finally:
        os.close(fd)


def start_ticks(proc: Path, pid: int) -> int:
    """When a process began, in ticks since boot. Raises ProcessGone."""
    try:
        stat = parse_stat(read_bounded(proc / str(pid) / "stat"))
    except (OSError, ValueError, IndexError) as error:
        raise ProcessGone(f"process {pid} is not there") from error
    if stat.is_ended:
        raise ProcessGone(f"process {pid} has ended")
    return stat.start_ticks


class Finder:
    """Scans of /proc that look at new processes only, and at all of them now and then."""

    def __init__(self, selectors: Mapping[str, Callable[[Facts], bool]], proc: Path = PROC) -> None:
        self._selectors = selectors
        self._proc = proc
        self._settled: set[int] = set()
        self._matches: dict[str, dict[int, Target]] = {name: {} for name in selectors}
        self._scans = 0

    def forget(self, pid: int) -> None:
        """A process ended: whatever has its pid is looked at anew."""
        self._settled.discard(pid)
        for matches in self._matches.values():
            matches.pop(pid, None)

    def scan(self, boot_ns: int) -> dict[str, list[Target]]:
        """By section, the processes that match at BOOTTIME ``boot_ns``.

        Raises CollectFailure when /proc cannot be searched.
        """
        try:
            read_bounded(self._proc / "1" / "stat")
        except OSError as error:
            raise CollectFailure(
                f"other users' processes are hidden in {self._proc} (hidepid, ProtectProc): {error.strerror}",
                hint="run the agent as root, or let it see them "
                "(systemd/truechimer-agent.service.d/processes.conf.example)",
            ) from error
        if not self._selectors:
            return {}
        try:
            with os.scandir(self._proc) as entries:
                pids = {int(entry.name) for entry in entries if entry.name.isdigit()}
        except OSError as error:
            raise CollectFailure(f"{self._proc} cannot be listed: {error.strerror}") from error
        if self._scans % FULL_SCAN == 0:
            self._settled.clear()
        self._scans += 1
        self._settled &= pids
        for matches in self._matches.values():
            for pid in matches.keys() - pids:
                del matches[pid]
        for pid in pids - self._settled:
            self._look_at(pid, boot_ns)
        return {name: list(matches.values()) for name, matches in self._matches.items()}

    def _look_at(self, pid: int, boot_ns: int) -> None:
        folder = self._proc / str(pid)
        try:
            # Its beginning comes first: a pid used again meanwhile does not fit it, and is refused later.
            target = Target(pid, start_ticks(self._proc, pid), self._proc)
            membership = read_bounded(folder / "cgroup").decode("utf-8", "replace")
            comm = read_bounded(folder / "comm").decode("utf-8", "replace").rstrip("\n")
            words = read_bounded(folder / "cmdline").decode("utf-8", "replace").rstrip("\0").split("\0")
            facts = Facts(parse_membership(membership), comm, tuple(words) if words != [""] else ())
        except (OSError, ValueError, ProcessGone):
            for matches in self._matches.values():
                matches.pop(pid, None)
            return
        if boot_ns - target.start_ticks * TICK_NS >= SETTLED_NS:
            self._settled.add(pid)
        for name, is_meant in self._selectors.items():
            matches = self._matches[name]
            if is_meant(facts) and (pid in matches or len(matches) < MOST_MATCHES):
                matches[pid] = target
            else:
                matches.pop(pid, None)


class PidFile:
    """A pid file, read again when it was written again or its process is not watched."""

    def __init__(self, path: Path, proc: Path = PROC) -> None:
        self._path = path
        self._proc = proc
        self._seen: tuple[int, int] | None = None
        self._target: Target | None = None

    def find(self, wall_ns: int, boot_ns: int, watched: Collection[Target]) -> list[Target]:
        """The process that it names; none when there is no file, or nothing has this pid.

        ``wall_ns`` and ``boot_ns`` are REALTIME and BOOTTIME now. Raises CollectFailure when the file holds
        no pid, cannot be read, or was written before the process began that has its pid now.
        """
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen == self._seen and self._target in watched:
                return [self._target] if self._target is not None else []
            pid = parse_pid(read_bounded(self._path, 64))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CollectFailure(
                f"the pid file {self._path} cannot be read: {error.strerror}",
                hint="it must be a file that the agent's user may read",
            ) from error
        except (ValueError, IndexError) as error:
            raise CollectFailure(f"the pid file {self._path} holds no process id") from error
        try:
            target = Target(pid, start_ticks(self._proc, pid), self._proc)
        except ProcessGone:
            return []
        if is_stale(boot_ns - target.start_ticks * TICK_NS, wall_ns - stat.st_mtime_ns, boot_ns):
            raise CollectFailure(
                f"the pid file {self._path} is older than the process {pid} that it names: "
                "that is not watched",
                hint="remove the stale file, or name the process by unit, cgroup or command",
            )
        self._seen, self._target = seen, target
        return [target]
