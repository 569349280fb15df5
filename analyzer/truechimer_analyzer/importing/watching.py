"""Windows of observation from what a log tells: for how long somebody was looking, and what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.importing.found import NS, Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW_NS = 10 * NS
# Where nothing stops, one window says as much as sixty.
QUIET_NS = 600 * NS


class Windows:
    """Cuts the time from ``begin_ns`` on into windows of 10 s, quiet ones of up to 10 min."""

    def __init__(self, begin_ns: int) -> None:
        self._begin_ns = begin_ns
        self._is_first = True
        self._seen_ns = begin_ns
        self._busy_until_ns = begin_ns
        self._count = 0
        self._total_s = 0.0
        self._max_s = 0.0

    @property
    def seen_ns(self) -> int:
        """How far somebody has looked."""
        return self._seen_ns

    def until(self, time_ns: int) -> Iterator[Watched]:
        """Somebody looked until then; the windows that are full thereby."""
        self._seen_ns = max(self._seen_ns, time_ns)
        while self._seen_ns - self._begin_ns >= WINDOW_NS:
            longest_ns = WINDOW_NS if self._count else QUIET_NS
            end_ns = max(min(self._begin_ns + longest_ns, self._seen_ns), self._busy_until_ns)
            yield self._cut(end_ns)

    def stopped(self, begin_ns: int, duration_s: float) -> Iterator[Watched]:
        """A stop that ended in what was looked at; the windows before it."""
        yield from self.until(begin_ns)
        if self._is_first:
            # A stop that ended right after the first stamp began before it.
            self._begin_ns = min(self._begin_ns, begin_ns)
        self._count += 1
        self._total_s += duration_s
        self._max_s = max(self._max_s, duration_s)
        self._busy_until_ns = max(self._busy_until_ns, begin_ns + round(duration_s * NS))
        self._seen_ns = max(self._seen_ns, self._busy_until_ns)

    def end(self) -> Iterator[Watched]:
        """Nobody looked any further."""
        yield from self.until(self._seen_ns)
        if self._seen_ns > self._begin_ns or self._count:
            yield self._cut(self._seen_ns)

    def _cut(self, end_ns: int) -> Watched:
        window = Watched(end_ns, (end_ns - self._begin_ns) / NS, self._count, self._total_s, self._max_s)
        self._begin_ns, self._is_first = end_ns, False
        self._seen_ns = max(self._seen_ns, end_ns)
        self._count, self._total_s, self._max_s = 0, 0.0, 0.0
        return window
