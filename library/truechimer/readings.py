"""The one file that reads clocks: sets of readings, and the steady clock S.

``W`` is CLOCK_REALTIME, ``R`` CLOCK_MONOTONIC_RAW. ``S = R + anchor`` is never stepped or slewed by
anybody; the anchor is taken once per boot and kept, with the boot's id, in the state directory. The
*epoch* numbers the stretches over which R can be trusted: a reboot, a suspend or a change of the
clocksource begins a new one.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from truechimer.errors import TruechimerError

NS = 1_000_000_000
_SUSPEND_NS = 1_000_000
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIME_NAMESPACE = Path("/proc/self/timens_offsets")
_FASTEST = 1.101
"""The kernel's steered clocks against RAW at most (NTP tick 10 %, frequency 500 ppm): widths are in RAW."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Four clocks at (nearly) one instant, in ns.

    ``raw_ns`` is the middle of the two RAW readings that bracket the others, ``width_ns`` their
    distance: each other clock was read within ``width_ns / 2`` of ``raw_ns``.
    """

    wall_ns: int
    raw_ns: int
    mono_ns: int
    boot_ns: int
    width_ns: int

    @property
    def suspended_ns(self) -> int:
        """BOOTTIME − MONOTONIC: time asleep since boot (plus up to ``width_ns`` of noise)."""
        return self.boot_ns - self.mono_ns

    @property
    def least_suspended_ns(self) -> int:
        """What BOOTTIME − MONOTONIC is at least: MONOTONIC was read first, so all noise is upwards."""
        return self.suspended_ns - math.ceil(self.width_ns * _FASTEST)


RAW = time.CLOCK_MONOTONIC_RAW
BOOTTIME = time.CLOCK_BOOTTIME
_MONOTONIC_COARSE = 6
"""Linux's number: Python has no name for it."""
# Only for truechimer.clock.now(), where a function of Python's around a clock costs as much as the clock.
read_ns = time.clock_gettime_ns
read_monotonic_ns = time.monotonic_ns


class Clocks(Protocol):
    """Where readings come from; tests hand in clocks that step backwards."""

    def read(self) -> Reading:
        """The tightest of several bracketed tries."""
        ...

    def raw_ns(self) -> int:
        """CLOCK_MONOTONIC_RAW alone, for stamping packets."""
        ...


class SystemClocks:
    """This host's clocks."""

    def __init__(self, tries: int = 3) -> None:
        self._tries = tries

    def read(self) -> Reading:
        """The tightest of ``tries`` bracketed readings."""
        best = _bracketed()
        for _ in range(self._tries - 1):
            other = _bracketed()
            if other.width_ns < best.width_ns:
                best = other
        return best

    def raw_ns(self) -> int:
        """CLOCK_MONOTONIC_RAW now."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def _bracketed() -> Reading:
    gettime = time.clock_gettime_ns
    first = gettime(time.CLOCK_MONOTONIC_RAW)
    wall = gettime(time.CLOCK_REALTIME)
    mono = gettime(time.CLOCK_MONOTONIC)
    boot = gettime(time.CLOCK_BOOTTIME)
    last = gettime(time.CLOCK_MONOTONIC_RAW)
    return Reading(wall, (first + last) // 2, mono, boot, last - first)


def coarse_ns() -> int:
    """CLOCK_MONOTONIC_COARSE: MONOTONIC as of the last tick."""
    return time.clock_gettime_ns(_MONOTONIC_COARSE)


def coarse_tick_ns() -> int:
    """How often CLOCK_MONOTONIC_COARSE moves on."""
    return math.ceil(time.clock_getres(_MONOTONIC_COARSE) * NS)


def are_clocks_shifted() -> bool:
    """Whether this process is in a time namespace of its own: its RAW is then not the host's."""
    try:
        offsets = TIME_NAMESPACE.read_text()
    except OSError:
        return False
    return any(number.strip("0") for line in offsets.splitlines() for number in line.split()[1:])


def monotonic_s() -> float:
    """CLOCK_MONOTONIC in seconds, for deadlines and back-offs."""
    return time.monotonic()


def mono_ns() -> int:
    """CLOCK_MONOTONIC in ns."""
    return time.monotonic_ns()


def thread_cpu_ns() -> int:
    """CPU time that the calling thread has used, in ns."""
    return time.thread_time_ns()


def boot_ns() -> int:
    """CLOCK_BOOTTIME in ns: MONOTONIC plus time asleep, comparable within one boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_ns() -> int:
    """CLOCK_REALTIME in ns: only where something outside asks for the host's own opinion."""
    return time.time_ns()


@dataclass(frozen=True, slots=True)
class SteadyClock:
    """S = RAW + ``anchor_ns``, in the stretch numbered ``epoch``."""

    anchor_ns: int
    epoch: int

    def at(self, raw_ns: int) -> int:
        """S in ns at a reading of RAW."""
        return raw_ns + self.anchor_ns

    def wall_minus_steady_ns(self, reading: Reading) -> int:
        """W − S at a reading; right to within half of ``reading.width_ns``."""
        return reading.wall_ns - self.at(reading.raw_ns)

    def next_epoch(self) -> SteadyClock:
        """The same clock after an event across which RAW cannot be trusted."""
        return SteadyClock(self.anchor_ns, self.epoch + 1)


def boot_id() -> str:
    """The kernel's name for this boot."""
    return BOOT_ID.read_text().strip()


def open_steady_clock(path: Path | None, reading: Reading, boot: str) -> SteadyClock:
    """The steady clock of this boot: as kept in ``path``, or begun now (S = W at this instant).

    Without a path nothing is kept. Another boot's file gives the next epoch number; without a file, or with
    a damaged one, the number is drawn from the wall clock so that none comes again.
    """
    if path is None:
        return SteadyClock(reading.wall_ns - reading.raw_ns, 1)
    kept = _read_kept(path)
    if kept is not None and kept.boot_id == boot:
        if abs(reading.suspended_ns - kept.suspended_ns) <= _SUSPEND_NS + reading.width_ns:
            return kept.steady
        steady = kept.steady.next_epoch()
        keep_steady_clock(path, steady, boot, reading.suspended_ns)
        return steady
    epoch = reading.wall_ns // NS if kept is None else kept.steady.epoch + 1
    steady = SteadyClock(reading.wall_ns - reading.raw_ns, epoch)
    keep_steady_clock(path, steady, boot, reading.suspended_ns)
    return steady


def keep_steady_clock(path: Path, steady: SteadyClock, boot: str, suspended_ns: int) -> None:
    """Write anchor and epoch so that a restart in this boot goes on with them; atomic and durable.

    The time asleep is kept too: a sleep while nobody was watching begins a new epoch.
    """
    text = json.dumps(
        {
            "boot_id": boot,
            "anchor_ns": steady.anchor_ns,
            "epoch": steady.epoch,
            "suspended_ns": suspended_ns,
        }
    )
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise TruechimerError(
            f"cannot keep the steady clock in {path}: {error.strerror}",
            hint="give the agent a state_dir that it may write",
        ) from error


@dataclass(frozen=True, slots=True)
class _Kept:
    boot_id: str
    steady: SteadyClock
    suspended_ns: int


def _read_kept(path: Path) -> _Kept | None:
    try:
        kept = json.loads(path.read_text())
        return _Kept(
            str(kept["boot_id"]),
            SteadyClock(int(kept["anchor_ns"]), int(kept["epoch"])),
            int(kept["suspended_ns"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
