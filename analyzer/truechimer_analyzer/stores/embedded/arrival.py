"""The store's arrival clock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truechimer.readings import Clocks

NS = 1_000_000_000
# A wall clock set back by no more than this between two runs is bridged; beyond, the last run's was wrong.
BRIDGED_NS = 60 * NS


class ArrivalClock:
    """Unix ns: the wall clock as it was at the start, and BOOTTIME's progress since.

    Setting the host's clock neither moves it nor makes a node stale; a suspend counts. ``last_ns`` is the
    newest arrival of earlier runs: this run begins after it unless it lies ``BRIDGED_NS`` ahead.
    """

    def __init__(self, clocks: Clocks, last_ns: int | None) -> None:
        reading = clocks.read()
        self._clocks = clocks
        self._boot_ns = reading.boot_ns
        self._start_ns = reading.wall_ns
        self.set_back_ns = 0
        if last_ns is not None and last_ns >= reading.wall_ns:
            ahead = last_ns - reading.wall_ns
            if ahead <= BRIDGED_NS:
                self._start_ns = last_ns + 1
            else:
                self.set_back_ns = ahead
        self._lock = threading.Lock()
        self._last_ns = self._start_ns

    def now_ns(self) -> int:
        """Now; never less than any earlier answer."""
        boot_ns = self._clocks.read().boot_ns
        with self._lock:
            self._last_ns = max(self._last_ns, self._start_ns + boot_ns - self._boot_ns)
            return self._last_ns

    def next_ns(self) -> int:
        """Now, and more than any earlier answer: the stamp of one transaction."""
        boot_ns = self._clocks.read().boot_ns
        with self._lock:
            self._last_ns = max(self._last_ns + 1, self._start_ns + boot_ns - self._boot_ns)
            return self._last_ns
