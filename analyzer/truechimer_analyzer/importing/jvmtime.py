"""The stamps of HotSpot's logs, and one axis of time made from them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from truechimer_analyzer.importing.found import MS, NS, Note, decimal, is_time

if TYPE_CHECKING:
    from collections.abc import Iterator

# Lines of several threads are written a little out of order.
DISORDER_S = 1.0
_LONGEST_UPTIME_S = 1e9
# A count of ms or ns since 1970, and none since the JVM's start.
_SINCE_1970_S = 1e8

_WALL = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.,]\d{3}[+-]\d{4})"
_OLD_WALL = re.compile(_WALL + r":\s*")
_OLD_UPTIME = re.compile(r"(\d{1,12}[.,]\d{3}):\s*")
_DECORATION = re.compile(r"\[([^\[\]]{0,80})\]")
_UNIFIED_WALL = re.compile(_WALL + r"\s*\Z")
_UNIFIED_UPTIME = re.compile(r"(\d{1,19}(?:[.,]\d{1,9})?)(s|ms|ns)\s*\Z")
_UNIT_S = {"s": 1.0, "ms": 1e-3, "ns": 1e-9}
UNTIMED = "the log tells no time of day: it is placed so that it begins at --begin"


def stamped(text: str) -> tuple[int | None, float | None, str]:
    """A line's wall time (Unix ns), its uptime in s, and what follows them; None for what it lacks.

    Of several older stamps in a row, where one line was written into another, the last counts.
    """
    if text.startswith("["):
        return _unified(text)
    wall: str | None = None
    uptime_s: float | None = None
    at = 0
    while True:
        if (match := _OLD_WALL.match(text, at)) is not None:
            wall = match.group(1)
        elif (match := _OLD_UPTIME.match(text, at)) is not None:
            uptime_s = decimal(match.group(1))
        else:
            break
        at = match.end()
    return None if wall is None else wall_ns_of(wall), uptime_s, text[at:]


def _unified(text: str) -> tuple[int | None, float | None, str]:
    wall: str | None = None
    wall_ns: int | None = None
    uptime_s: float | None = None
    at = 0
    while (match := _DECORATION.match(text, at)) is not None:
        at = match.end()
        inside = match.group(1)
        if (found := _UNIFIED_WALL.match(inside)) is not None:
            wall = wall or found.group(1)
        elif uptime_s is None and (found := _UNIFIED_UPTIME.match(inside)) is not None:
            seconds = decimal(found.group(1)) * _UNIT_S[found.group(2)]
            if seconds < _SINCE_1970_S:
                uptime_s = seconds
            elif found.group(2) == "ms" and found.group(1).isdigit():
                # -Xlog's timemillis
                wall_ns = int(found.group(1)) * MS
    return wall_ns if wall is None else wall_ns_of(wall), uptime_s, text[at:].lstrip()


def wall_ns_of(text: str) -> int | None:
    """``2014-06-16T07:57:14.622+0200``, with a comma as well, as Unix ns."""
    try:
        return round(datetime.fromisoformat(text.replace(",", ".")).timestamp() * 1000) * MS
    except (ValueError, OverflowError):
        return None


class Axis:
    """Time by the JVM's uptime, anchored to the first wall stamp; by wall stamps where there is no uptime.

    A log without wall stamps begins at ``begin_ns``, another JVM in it where the one before it ended.
    """

    def __init__(self, begin_ns: int) -> None:
        self.now_ns = begin_ns
        self._anchor_ns: int | None = None
        self._uptime_s: float | None = None
        self._shift_ns = 0
        self._has_wall = False

    def is_restart(self, uptime_s: float | None) -> bool:
        """Whether this uptime can only be another JVM's."""
        return uptime_s is not None and self._uptime_s is not None and uptime_s < self._uptime_s - DISORDER_S

    def see(self, wall_ns: int | None, uptime_s: float | None) -> Iterator[Note]:
        """A line with these stamps."""
        if uptime_s is None or uptime_s > _LONGEST_UPTIME_S:
            if wall_ns is not None:
                self._see_wall(wall_ns)
            return
        if self.is_restart(uptime_s):
            self._anchor_ns = None
        if self._anchor_ns is None:
            if wall_ns is None:
                yield Note(UNTIMED)
            begin_ns = self.now_ns if wall_ns is None else wall_ns
            self._anchor_ns = begin_ns - round(uptime_s * NS)
        self._uptime_s = uptime_s
        self.now_ns = self._anchor_ns + round(uptime_s * NS)

    def _see_wall(self, wall_ns: int) -> None:
        """Without uptime a step back is all that can be told of a clock that was set: time goes on."""
        if self._anchor_ns is not None or not is_time(wall_ns):
            return
        if self._has_wall and wall_ns + self._shift_ns < self.now_ns - round(DISORDER_S * NS):
            self._shift_ns = self.now_ns - wall_ns
        self._has_wall = True
        self.now_ns = wall_ns + self._shift_ns
