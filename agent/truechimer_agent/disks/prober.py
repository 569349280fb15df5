"""One thread that probes one disk on its beat. A disk that hangs holds up this thread and nobody else."""

from __future__ import annotations

import math
import os
import resource
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.readings import monotonic_s
from truechimer_agent.disks.probefile import ProbeFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer.readings import Clocks
    from truechimer_agent.disks.probefile import ProbeFile, Written

NS = 1e9
TASKS = Path("/proc/self/task")
_STAT_BYTES = 512


@dataclass(frozen=True, slots=True)
class Waited:
    """What of a probe's time was not the disk's: RAW ns of its ends, and evidence in ns.

    ``run_delay_ns``: its thread waited for a CPU (None: this kernel does not tell). ``others_ns``: other
    threads of the agent ran, which may have kept Python's lock. RAW stands still while the host sleeps.
    """

    began_ns: int
    ended_ns: int
    run_delay_ns: int | None
    others_ns: int


@dataclass(frozen=True, slots=True)
class Probed:
    """One probe. ``hidden``: beats that passed while it lasted, and on which nothing was probed therefore."""

    waited: Waited
    hidden: int
    written: Written | None = None
    failure: ProbeFailure | None = None


class Prober:
    """Probes every ``interval_s`` of CLOCK_MONOTONIC until ``stop``.

    ``tell`` is called in its thread with each probe, and at last with None: there will be no more.
    """

    def __init__(
        self, file: ProbeFile, interval_s: float, clocks: Clocks, tell: Callable[[Probed | None], None]
    ) -> None:
        self._file = file
        self._interval_s = interval_s
        self._clocks = clocks
        self._tell = tell
        self._stopping = threading.Event()
        self._task = 0
        self._began_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="disk probe", daemon=True)

    def start(self) -> None:
        """Begin; the first probe at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no more probes; the file is removed once none is in flight. Does not wait."""
        self._stopping.set()

    @property
    def outstanding_since_ns(self) -> int | None:
        """RAW ns when the probe in flight began; None when there is none."""
        return self._began_ns

    def is_blocked(self) -> bool:
        """Whether the kernel holds the thread in an uninterruptible sleep (state D of its stat) now."""
        try:
            text = (TASKS / str(self._task) / "stat").read_bytes()[:_STAT_BYTES]
        except OSError:
            return False
        return text.rpartition(b")")[2].split()[:1] == [b"D"]

    def _run(self) -> None:
        self._task = threading.get_native_id()
        delay = RunDelay(self._task)
        try:
            due_s = monotonic_s()
            while not self._stopping.wait(max(0.0, due_s - monotonic_s())):
                probed, due_s = self._probe(due_s, delay)
                self._tell(probed)
        finally:
            delay.close()
            self._file.remove()
            self._tell(None)

    def _probe(self, due_s: float, delay: RunDelay) -> tuple[Probed, float]:
        written, failure = None, None
        delay_ns, others_ns = delay.read_ns(), others_cpu_ns()
        self._began_ns = began_ns = self._clocks.raw_ns()
        try:
            written = self._file.probe()
        except ProbeFailure as error:
            failure = error
        finally:
            self._began_ns = None
        ended_ns, delayed_ns = self._clocks.raw_ns(), delay.read_ns()
        waited = Waited(
            began_ns,
            ended_ns,
            None if delay_ns is None or delayed_ns is None else delayed_ns - delay_ns,
            max(0, others_cpu_ns() - others_ns),
        )
        due_s += self._interval_s
        hidden = max(0, 1 + math.floor((monotonic_s() - due_s) / self._interval_s))
        return Probed(waited, hidden, written, failure), due_s + hidden * self._interval_s


class RunDelay:
    """How long a task waited for a CPU: the second field of its schedstat, kept open."""

    def __init__(self, task: int) -> None:
        try:
            self._fd = os.open(TASKS / str(task) / "schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def read_ns(self) -> int | None:
        """The sum in ns; None where this kernel does not tell."""
        if self._fd < 0:
            return None
        try:
            words = os.pread(self._fd, _STAT_BYTES, 0).split()
            return int(words[1])
        except (OSError, ValueError, IndexError):
            return None

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def others_cpu_ns() -> int:
    """CPU time of this process but for the calling thread, in ns."""
    whole = resource.getrusage(resource.RUSAGE_SELF)
    own = resource.getrusage(resource.RUSAGE_THREAD)
    return round((whole.ru_utime + whole.ru_stime - own.ru_utime - own.ru_stime) * NS)
