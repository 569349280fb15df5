"""This host's clocks as the daemon holds them: readings, the steady clock, and its epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.readings import boot_id, keep_steady_clock, open_steady_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from truechimer.readings import Clocks, Reading, SteadyClock

_TIGHT_NS = 2_000
_TRIES = 50


class HostClock:
    """The steady clock of the present epoch, kept in ``path`` so that a restart goes on with it.

    ``path`` None keeps nothing: for a single look. Those who keep times in S register for new epochs.
    """

    def __init__(self, clocks: Clocks, path: Path | None) -> None:
        self.clocks = clocks
        self._path = path
        self._boot_id = boot_id()
        reading = clocks.read()
        self._steady = open_steady_clock(path, reading, self._boot_id)
        self._suspended_ns = _least_suspended_ns(clocks, reading)
        self.disruption_marker: int | None = None
        """The VM clock's, as of this epoch; None where there is none."""
        self.restored_mono_ns: int | None = None
        """When the hypervisor last told of a restore or migration; None: never."""
        self._on_epoch: list[Callable[[], object]] = []
        self._on_step: list[Callable[[], object]] = []

    def steady(self) -> SteadyClock:
        """The steady clock of the present epoch."""
        return self._steady

    def steady_now_ns(self) -> int:
        """S now."""
        return self._steady.at(self.clocks.raw_ns())

    @property
    def suspended_ns(self) -> int:
        """BOOTTIME − MONOTONIC at least, as of the last sleep seen: any excess may be a sleep since."""
        return self._suspended_ns

    def wall_minus_steady_ns(self, reading: Reading) -> int:
        """W − S at a reading."""
        return self._steady.wall_minus_steady_ns(reading)

    def on_epoch(self, react: Callable[[], object]) -> None:
        """Have ``react`` called when a new epoch has begun."""
        self._on_epoch.append(react)

    def on_step(self, react: Callable[[], object]) -> None:
        """Have ``react`` called when W was seen to step, or the bound is in doubt: it must be said anew."""
        self._on_step.append(react)

    def begin_epoch(self) -> None:
        """RAW cannot be trusted across what just happened: what was measured in S is void."""
        self._steady = self._steady.next_epoch()
        for react in self._on_epoch:
            react()
        if self._path is not None:
            keep_steady_clock(self._path, self._steady, self._boot_id, self._suspended_ns)

    def slept(self) -> None:
        """The host was seen to have slept: a new epoch, and what was published before stays refused."""
        self._suspended_ns = _least_suspended_ns(self.clocks, self.clocks.read())
        self.begin_epoch()

    def stepped(self) -> None:
        """W was seen to step: what is published of UTC − W must be said anew."""
        for react in self._on_step:
            react()

    def doubted(self) -> None:
        """The bound is in doubt, or no longer: what is published must be said anew at once."""
        self.stepped()


def _least_suspended_ns(clocks: Clocks, reading: Reading) -> int:
    """From the tightest of several readings, so that a starved host does not keep a loose one for long."""
    for _ in range(_TRIES):
        if reading.width_ns <= _TIGHT_NS:
            break
        reading = min(reading, clocks.read(), key=lambda one: one.width_ns)
    return reading.least_suspended_ns
