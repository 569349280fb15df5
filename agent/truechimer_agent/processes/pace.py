"""How much the watch stretches its intervals so that its own work stays below a share of a core: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT = 0.006
"""Of a core; the promise is 0.007."""
SHORT_LIMIT = 0.03
"""Of a core, where some interval was asked for that is shorter than the ordinary one."""
ORDINARY_MS = 100.0
RISING_NS = 5_000_000_000
FALLING_NS = 8_000_000_000
"""Over about how long the work is averaged; longer while it becomes less: bursts are not forgotten."""


def limit_of(intervals_ms: Iterable[float]) -> float:
    """The share of a core that looks at these intervals may take: who asks for short ones wants to pay."""
    return SHORT_LIMIT if min(intervals_ms, default=ORDINARY_MS) < ORDINARY_MS else LIMIT


class Pace:
    """``stretch``: by how much every interval is longer than it was asked for, 1 or more."""

    def __init__(self, mono_ns: int, cpu_ns: int, limit: float = LIMIT) -> None:
        self._limit = limit
        self._mono_ns = mono_ns
        self._cpu_ns = cpu_ns
        self._wanted = 0.0
        self.stretch = 1.0

    def measure(self, mono_ns: int, cpu_ns: int) -> float:
        """The stretch from now on, by CLOCK_MONOTONIC and the CPU time used up to now."""
        elapsed_ns = mono_ns - self._mono_ns
        if elapsed_ns <= 0:
            return self.stretch
        # The work grows with the number of looks: at the intervals asked for it would be so much more.
        wanted = (cpu_ns - self._cpu_ns) / elapsed_ns * self.stretch
        self._mono_ns, self._cpu_ns = mono_ns, cpu_ns
        memory_ns = RISING_NS if wanted > self._wanted else FALLING_NS
        weight = min(1.0, elapsed_ns / memory_ns)
        self._wanted += weight * (wanted - self._wanted)
        self.stretch = max(1.0, self._wanted / self._limit)
        return self.stretch
