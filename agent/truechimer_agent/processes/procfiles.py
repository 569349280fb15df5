"""The texts of /proc/PID that the watch reads, parsed: pure.

Sources: proc(5); Documentation/scheduler/sched-stats.rst. A text that is not what it should be raises
ValueError or IndexError, never anything else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PID_LIMIT = 1 << 22
"""The largest pid that Linux can give (PID_MAX_LIMIT)."""


@dataclass(frozen=True, slots=True)
class Stat:
    """``/proc/PID/stat``: of the whole process, but for ``io_wait_ns``, which is its leader's.

    ``state``: its letter (R, S, D, T stopped, t traced, Z zombie…); ``threads`` counts the living tasks.
    """

    state: str
    major_faults: int
    threads: int
    start_ticks: int
    io_wait_ns: int

    @property
    def is_stopped(self) -> bool:
        """By SIGSTOP and the like, or by a debugger."""
        return self.state in ("T", "t")

    @property
    def is_ended(self) -> bool:
        """Nothing of it runs any more; a zombie leader with living threads has not ended."""
        return self.state in ("X", "x") or (self.state == "Z" and self.threads <= 1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """``schedstat`` of one task: ns run, ns waited in the run queue, and how many times it came to run."""

    run_ns: int
    delay_ns: int
    slices: int


def parse_stat(text: bytes) -> Stat:
    """Fields 3, 12, 20, 22 and 42; the command in field 2 may hold anything, a ``)`` too."""
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        state=fields[0].decode("ascii", "replace"),
        major_faults=int(fields[9]),
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        io_wait_ns=int(fields[39]) * TICK_NS,
    )


def parse_schedule(text: bytes) -> Schedule:
    """A task's ``schedstat``."""
    run, delay, slices = text.split()
    return Schedule(int(run), int(delay), int(slices))


def parse_pid(text: bytes) -> int:
    """The pid that a pid file begins with."""
    word = text.split(None, 1)[0]
    if not word.isdigit() or not 0 < (pid := int(word[:10])) <= PID_LIMIT:
        raise ValueError(word[:20])
    return pid


def parse_membership(text: str) -> dict[str, str]:
    """``/proc/PID/cgroup`` as controllers → path; the unified hierarchy's controllers are ""."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _number, controllers, path = line.split(":", 2)
        paths[controllers] = path
    return paths
