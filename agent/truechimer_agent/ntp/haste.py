"""How often all servers may be asked out of turn, sans-IO: a token bucket."""

from __future__ import annotations

MOST = 4.0


class Haste:
    """Allows ``MOST`` times in a row, and then once per ``interval_s``.

    A server that contradicts itself without end must not make the agent flood it and all others.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._tokens = MOST
        self._at_s: float | None = None

    def may(self, now_s: float) -> bool:
        """Whether it may be done at ``now_s`` (any monotonic clock); asked once, it is taken as done."""
        if self._at_s is not None:
            self._tokens = min(MOST, self._tokens + (now_s - self._at_s) / self._interval_s)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
