"""pressure: how long this host's tasks waited for CPUs, memory and disks."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer_agent.collecting import CollectFailure, Lacking, Observation
from truechimer_agent.procfs.counters import parse_psi, parse_schedstat, parse_stat, parse_vmstat

if TYPE_CHECKING:
    from truechimer_agent.collecting import Host

log = logging.getLogger("truechimer.pressure")


class Pressure:
    """Counters since boot from /proc every 10 s; fields that this kernel lacks are absent, said once."""

    interval_s = 10.0

    def __init__(self, host: Host, proc: Path = Path("/proc")) -> None:
        self._host = host
        self._proc = proc
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._said: set[str] = set()

    async def open(self) -> None:
        """Raises Lacking where there is no /proc to read."""
        if not (self._proc / "stat").exists():
            raise Lacking(f"{self._proc} has no stat", hint="the agent needs /proc mounted")

    async def collect(self) -> list[Observation]:
        """One point of all counters. Raises CollectFailure when none could be read."""
        now_ns = self._host.steady_now_ns()
        found = {**self._pressures(), **self._counters()}
        fields = {name: value for name, value in found.items() if value is not None}
        if not fields:
            raise CollectFailure(f"nothing could be read under {self._proc}")
        return [Observation("truechimer_pressure", now_ns, fields)]

    async def close(self) -> None:
        """Nothing is kept open."""

    def _pressures(self) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for resource in ("cpu", "io", "memory"):
            text = self._read(f"pressure/{resource}")
            if text is None:
                continue
            psi = parse_psi(text)
            found[f"{resource}_some_seconds_total"] = psi.some_s
            if resource != "cpu":
                found[f"{resource}_full_seconds_total"] = psi.full_s
        return found

    def _counters(self) -> dict[str, float | int | None]:
        found: dict[str, float | int | None] = {}
        if (text := self._read("stat")) is not None:
            scheduling = parse_stat(text, self._ticks_per_s)
            found["steal_seconds_total"] = scheduling.steal_s
            found["context_switches_total"] = scheduling.context_switches
        if (text := self._read("vmstat")) is not None:
            paging = parse_vmstat(text)
            found["major_faults_total"] = paging.major_faults
            found["swap_in_pages_total"] = paging.swap_in_pages
        if (text := self._read("schedstat")) is not None:
            try:
                found["run_queue_seconds_total"] = parse_schedstat(text)
            except DecodeError as error:
                self._say_once("schedstat", str(error))
        return found

    def _read(self, name: str) -> str | None:
        """A text of /proc; None, said once, when this kernel has none (PSI switched off: EOPNOTSUPP)."""
        try:
            return (self._proc / name).read_text("ascii", "replace")
        except OSError as error:
            self._say_once(name, error.strerror or str(error))
            return None

    def _say_once(self, name: str, why: str) -> None:
        if name not in self._said:
            self._said.add(name)
            log.info("left out: file=%s why=%s", self._proc / name, why)
