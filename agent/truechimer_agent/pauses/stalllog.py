"""When this host or the agent itself stood still: what probes ask before they blame a peer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

REMEMBERED = 1024


@dataclass(slots=True)
class StallLog:
    """The latest stalls as [start, end] in S ns. Written by the stall meter's reader and by late timers."""

    _stalls: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, start_steady_ns: int, end_steady_ns: int) -> None:
        """Note that nothing ran from start to end."""
        if end_steady_ns > start_steady_ns:
            self._stalls.append((start_steady_ns, end_steady_ns))

    def was_stalled(self, start_steady_ns: int, end_steady_ns: int) -> bool:
        """Whether any stall overlaps this stretch."""
        return any(start < end_steady_ns and end > start_steady_ns for start, end in self._stalls)

    def longest_ns(self, start_steady_ns: int, end_steady_ns: int) -> int:
        """The longest part of this stretch that one noted stall covers."""
        parts = (min(end, end_steady_ns) - max(start, start_steady_ns) for start, end in self._stalls)
        return max(0, max(parts, default=0))

    def stalled_ns(self, start_steady_ns: int, end_steady_ns: int) -> int:
        """How much of this stretch was stalled; what several observers noted counts once."""
        total = 0
        reached = start_steady_ns
        for start, end in sorted(self._stalls):
            begin = max(start, reached)
            stop = min(end, end_steady_ns)
            if stop > begin:
                total += stop - begin
                reached = stop
        return total
