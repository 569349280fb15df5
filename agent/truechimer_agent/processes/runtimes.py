"""What a language runtime tells of its own stops: the seam between the process watch and HotSpot or Go.

A reader belongs to one process and is polled by the watch's thread; it must not block for long and reads
a bounded amount whatever the process holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from truechimer.errors import TruechimerError
from truechimer_agent.collecting import CollectFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer.codes import Cause
    from truechimer.readings import Reading

PROC = Path("/proc")


class ProcessGone(TruechimerError):  # noqa: N818 - reads as the statement it is
    """The process ended, or its pid is another's now: its reader is closed and it is looked for anew."""


class StillLooking(CollectFailure):
    """Nothing is wrong: the runtime has not told anything yet."""


@dataclass(frozen=True, slots=True)
class Target:
    """One process as the host numbers it; ``start_ticks``: field 22 of its stat, tells a pid used again."""

    pid: int
    start_ticks: int
    proc: Path = PROC


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of a process, or ``count`` of them that were not seen singly and sum up to ``duration_ns``.

    ``start_steady_ns`` is S when it (or the first of them) began; ``sync_ns`` of it passed until all
    threads had stopped.
    """

    start_steady_ns: int
    duration_ns: int
    cause: Cause
    confidence: float
    count: int = 1
    sync_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Heap:
    """How full the old generation is (the whole heap where there is none), in bytes.

    ``collecting_ns``: how long a collection that has not ended has been running; 0 when there is none.
    """

    old_used: int
    old_limit: int | None
    collecting_ns: int = 0


@dataclass(frozen=True, slots=True)
class Polled:
    """Since the last poll: every stop, short ones included, and the heap as it is now.

    ``count`` and ``total_ns`` are exact by the runtime's own counters; ``stops`` holds them all, singly
    where they could be told apart. ``longest_ns`` and ``longest_upper_ns`` enclose the longest.
    ``under_way_ns``: for how long a stop that has not ended has been seen; 0 when there is none. Polled
    again soon, it is known singly even when another follows at once.
    """

    stops: tuple[Stop, ...] = ()
    count: int = 0
    total_ns: int = 0
    sync_ns: int = 0
    longest_ns: int = 0
    longest_upper_ns: int = 0
    heap: Heap | None = None
    under_way_ns: int = 0
    facts: Mapping[str, float] = field(default_factory=dict)


class RuntimeReader(Protocol):
    """One process's runtime."""

    def poll(self, reading: Reading, steady_ns: int) -> Polled:
        """What happened since the last poll; ``steady_ns`` is S at ``reading``.

        Raises ProcessGone when the process ended or was replaced, CollectFailure when what it holds
        cannot be (or is not) what its runtime writes.
        """
        ...

    def close(self) -> None:
        """Let go of files and maps; safe to call twice."""
        ...


class OpenRuntime(Protocol):
    """How a reader is made: ``open_runtime(target, scan=…)`` of one module a runtime."""

    def __call__(self, target: Target, *, scan: bool) -> RuntimeReader:
        """Raises Lacking when a privilege or file is missing (tried again later), ProcessGone."""
        ...
