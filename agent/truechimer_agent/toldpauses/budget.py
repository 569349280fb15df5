"""How much one program, and all of them together, may have of something."""

from __future__ import annotations

NS = 1_000_000_000


class Budget:
    """``per_second`` on average, ``most`` at once; times are CLOCK_MONOTONIC in ns."""

    def __init__(self, per_second: int, most: int, now_mono_ns: int) -> None:
        self._per_second = per_second
        self._most = most
        self._left = float(most)
        self._at_ns = now_mono_ns

    def take(self, now_mono_ns: int, amount: int = 1) -> bool:
        """Whether there is anything left; what is taken may go below nothing and is made up for."""
        self._left = min(self._most, self._left + (now_mono_ns - self._at_ns) * self._per_second / NS)
        self._at_ns = now_mono_ns
        if self._left <= 0:
            return False
        self._left -= amount
        return True
