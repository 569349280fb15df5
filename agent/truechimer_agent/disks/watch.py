"""What was watched of one disk, in windows: pure, times in S ns.

A probe speaks for the time since the last one that succeeded: a disk that could not be probed was not
watched meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """How long was watched, how many probes took longer than the threshold, their sum, the longest of all."""

    observed_ns: int
    count: int
    total_ns: int
    max_ns: int


class Watch:
    """Gathers probes into windows. ``threshold_ns``: from there on a probe is a pause."""

    def __init__(self, threshold_ns: int) -> None:
        self._threshold_ns = threshold_ns
        self._reached_ns: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._observed_ns = self._count = self._total_ns = self._max_ns = 0

    def done(self, began_ns: int, took_ns: int) -> bool:
        """A probe succeeded; whether it is a pause."""
        self._extend(began_ns, began_ns + took_ns)
        self._max_ns = max(self._max_ns, took_ns)
        if took_ns <= self._threshold_ns:
            return False
        self._count += 1
        self._total_ns += took_ns
        return True

    def failed(self) -> None:
        """A probe failed: from the last success until the next nothing is known."""
        self._reached_ns = None

    def waiting(self, began_ns: int, now_ns: int) -> None:
        """A probe that began then has not come back: it is being watched how it hangs."""
        self._extend(began_ns, now_ns)
        self._max_ns = max(self._max_ns, now_ns - began_ns)

    def take(self) -> Window | None:
        """The window so far, and begin the next; None when nothing was watched."""
        window = Window(self._observed_ns, self._count, self._total_ns, self._max_ns)
        self._clear()
        return window if window.observed_ns > 0 else None

    def _extend(self, began_ns: int, ended_ns: int) -> None:
        reached_ns = began_ns if self._reached_ns is None else self._reached_ns
        self._observed_ns += max(0, ended_ns - reached_ns)
        self._reached_ns = max(reached_ns, ended_ns)
