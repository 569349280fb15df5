"""Counters of the whole host from /proc texts: None is what a kernel does not tell, garbage DecodeError."""

from __future__ import annotations

import re
from dataclasses import dataclass

from truechimer.errors import DecodeError

MICROSECONDS = 1e6
NS = 1e9
STEAL_FIELD = 8
RUN_DELAY_FIELD = 8
LONGEST_COUNT = 18

_PSI = re.compile(r"^(some|full) .*\btotal=([0-9]{1,18})$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Psi:
    """Stalled time since boot in s: of some task, of all tasks (None before Linux 5.13 for cpu)."""

    some_s: float
    full_s: float | None


@dataclass(frozen=True, slots=True)
class Scheduling:
    """``/proc/stat``: CPU time taken by the hypervisor (all CPUs, s), context switches."""

    steal_s: float | None
    context_switches: int | None


@dataclass(frozen=True, slots=True)
class Paging:
    """``/proc/vmstat``: major faults, pages swapped in."""

    major_faults: int | None
    swap_in_pages: int | None


def parse_psi(text: str) -> Psi:
    """``/proc/pressure/*`` (Documentation/accounting/psi.rst): totals are µs."""
    totals = {kind: int(total) / MICROSECONDS for kind, total in _PSI.findall(text)}
    if "some" not in totals:
        raise DecodeError("pressure without a line of some")
    return Psi(totals["some"], totals.get("full"))


def parse_stat(text: str, ticks_per_s: int) -> Scheduling:
    """``/proc/stat`` (proc_stat(5)): steal is the eighth number of the line ``cpu``, in ticks."""
    steal_s = switches = None
    for line in text.splitlines():
        name, *values = line.split()[: STEAL_FIELD + 1] or [""]
        if name == "cpu" and len(values) >= STEAL_FIELD:
            steal_s = _count(values[STEAL_FIELD - 1]) / ticks_per_s
        elif name == "ctxt" and values:
            switches = _count(values[0])
    if steal_s is None and switches is None:
        raise DecodeError("neither cpu nor ctxt in /proc/stat")
    return Scheduling(steal_s, switches)


def parse_vmstat(text: str) -> Paging:
    """``/proc/vmstat``; a kernel without swap has no pswpin."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name in ("pgmajfault", "pswpin"):
            found[name] = _count(value.strip())
    return Paging(found.get("pgmajfault"), found.get("pswpin"))


def parse_schedstat(text: str) -> float:
    """``/proc/schedstat`` (Documentation/scheduler/sched-stats.rst, version 15 on).

    Time in s that runnable tasks waited for a CPU, all CPUs summed: the eighth number of each ``cpuN``.
    """
    waits = [
        _count(values[RUN_DELAY_FIELD])
        for line in text.splitlines()
        if line.startswith("cpu") and len(values := line.split()) > RUN_DELAY_FIELD
    ]
    if not waits:
        raise DecodeError("no CPU in /proc/schedstat")
    return sum(waits) / NS


def _count(text: str) -> int:
    if len(text) > LONGEST_COUNT or not (text.isascii() and text.isdigit()):
        raise DecodeError(f"not a count: {text[:40]!r}")
    return int(text)
