"""pressure: what the host's tasks waited for (PSI, steal, run queue, faults), every 10 s."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from truechimer_agent.collecting import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer_agent.collecting import Host

PROC = Path("/proc")
US = 1e6
NS = 1e9
_PSI = {
    "cpu": {"some": "cpu_some_seconds_total"},
    "io": {"some": "io_some_seconds_total", "full": "io_full_seconds_total"},
    "memory": {"some": "memory_some_seconds_total", "full": "memory_full_seconds_total"},
}
_VMSTAT = {"pgmajfault": "major_faults_total", "pswpin": "swap_in_pages_total"}
_RUN_DELAY_COLUMN = 8
"""ns waited, in a cpu line of /proc/schedstat 15 to 17 (Documentation/scheduler/sched-stats.rst)."""

log = logging.getLogger("truechimer.pressure")


def parse_psi(text: str) -> Iterator[tuple[str, float]]:
    """The totals of a file under /proc/pressure, in seconds, by "some" and "full"."""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        total = rest.rpartition("total=")[2]
        if kind in ("some", "full") and total.isascii() and total.isdigit():
            yield kind, int(total) / US


def parse_vmstat(text: str) -> Iterator[tuple[str, int]]:
    """The counters of /proc/vmstat that are shipped, by field name."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name in _VMSTAT and value.isascii() and value.isdigit():
            yield _VMSTAT[name], int(value)


def parse_run_queue(text: str) -> float | None:
    """Seconds that runnable tasks waited, summed over the cpus of /proc/schedstat; None without any."""
    waited_ns = [
        int(words[_RUN_DELAY_COLUMN])
        for line in text.splitlines()
        if (words := line.split()) and words[0].startswith("cpu") and words[0][3:].isdigit()
        if len(words) > _RUN_DELAY_COLUMN and words[_RUN_DELAY_COLUMN].isdigit()
    ]
    return sum(waited_ns) / NS if waited_ns else None


class Pressure:
    """Counters of waiting. What this kernel does not have is left out of the sample, and said once."""

    interval_s = 10.0

    def __init__(self, host: Host, proc: Path = PROC) -> None:
        self._host = host
        self._proc = proc
        self._absent: set[str] = set()

    async def open(self) -> None:
        """Nothing to acquire."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def collect(self) -> list[Observation]:
        """One reading of all counters."""
        fields: dict[str, float | int] = {}
        for resource, names in _PSI.items():
            for kind, seconds in parse_psi(self._read(f"pressure/{resource}")):
                if kind in names:
                    fields[names[kind]] = seconds
        fields |= dict(parse_vmstat(self._read("vmstat")))
        waited_s = parse_run_queue(self._read("schedstat"))
        if waited_s is not None:
            fields["run_queue_seconds_total"] = waited_s
        fields["steal_seconds_total"] = float(getattr(psutil.cpu_times(), "steal", 0.0))
        fields["context_switches_total"] = int(psutil.cpu_stats().ctx_switches)
        return [Observation("truechimer_pressure", self._host.steady_now_ns(), fields)]

    def _read(self, name: str) -> str:
        try:
            return (self._proc / name).read_text(errors="replace")
        except OSError as error:
            if name not in self._absent:
                self._absent.add(name)
                log.info("left out of the samples: file=/proc/%s why=%s", name, error.strerror)
            return ""
