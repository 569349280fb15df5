"""Logs of HotSpot's collector: unified (-Xlog:gc*,safepoint) and older (-XX:+PrintGC…) ones, as stops.

Sources: JEP 158 and 271, OpenJDK's safepoint.cpp (8, 11, 17, 25) and logs of these versions.

Where a log tells for how long threads were stopped (``Safepoint "…"``, ``Total time for which application
threads were stopped``), that is the stop, and its collections only say why; else collections' pauses are.
Times are the JVM's uptime, anchored once to the first wall stamp: a wall clock that is set does not move
them. Any other line of such a log says no more than that somebody was looking.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer_analyzer.importing.found import NS, Found, Line, Stop, decimal, is_length, is_time, refuse
from truechimer_analyzer.importing.jvmtime import Axis, stamped
from truechimer_analyzer.importing.watching import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# So many collections without a word on safepoints, and the log has none.
UNDECIDED = 20
LONGEST_LINE = 16_384

_SAFEPOINT = re.compile(
    r'Safepoint "([^"]{1,80})", .*?Reaching safepoint: (\d{1,19}) ns, .*?Total: (\d{1,19}) ns'
)
_STOPPED = re.compile(
    r"threads were stopped: ([\d.,]{1,30}) seconds(?:, Stopping threads took: ([\d.,]{1,30}) seconds)?"
)
_STOP_CUT = re.compile(r'threads were stopped|^Safepoint "')
_ENTERING = re.compile(r"Entering safepoint region: (.{1,80})")
_PAUSE = re.compile(r"GC\(\d{1,19}\) (?:[A-Za-z]: )?Pause .*?([\d.,]{1,30})(ms|s)\s*$")
_COLLECTION = re.compile(r"\[(?:Full )?GC(?! Worker| ref-proc)\b")
# What threads of the collector write between the beginning and the end of a stop's line.
_CONCURRENT = re.compile(r"\[(?:GC |CMS-)concurrent-[^\]]{0,120}\](?: ?\[Times:[^\]]{0,80}\])?")
_SECONDS = re.compile(r"([\d.,]{1,30}) secs\]")
_COLLECTS = re.compile(
    r"^(?:G1|Gen|Serial|Parallel|CollectFor|CGC|CMS|Z[A-Z]|X[A-Z]|Shenandoah|PSYoung)|Collect|GC(?!_Heap)"
)


def parse(lines: Iterable[Line], begin_ns: int) -> Iterator[Found]:
    """Stops and the windows in which somebody looked. ``begin_ns``: where a log without wall times begins."""
    log = _Log(Axis(begin_ns))
    for line in lines:
        if line.why is not None:
            yield refuse(line, line.why)
        elif len(line.text) > LONGEST_LINE:
            yield refuse(line, "longer than any line of a collector's log")
        else:
            yield from log.line(line)
    yield from log.end()


class _Log:
    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self._windows: Windows | None = None
        self._tells_stops: bool | None = None
        self._undecided: list[Stop] = []
        self._collected = False
        self._operation: str | None = None
        self._open: tuple[Line, int] | None = None

    def line(self, line: Line) -> Iterator[Found]:
        """What one line tells."""
        wall_ns, uptime_s, text = stamped(line.text)
        is_stamped = wall_ns is not None or uptime_s is not None
        if is_stamped:
            if self._axis.is_restart(uptime_s):
                yield from self._break()
            yield from self._axis.see(wall_ns, uptime_s)
        now_ns = self._axis.now_ns
        if not is_time(now_ns):
            yield refuse(line, "its time is beyond the years 1970 to 2255")
            return
        if is_stamped and self._windows is None:
            self._windows = Windows(now_ns)
        yield from self._told(line, text, now_ns)
        if self._windows is not None:
            yield from self._windows.until(now_ns)

    def end(self) -> Iterator[Found]:
        """What waited for the end of the log."""
        yield from self._break()

    def _break(self) -> Iterator[Found]:
        """Another JVM, or the end."""
        yield from self._decide(tells_stops=bool(self._tells_stops))
        if self._open is not None:
            yield refuse(self._open[0], "a collection that never tells how long it took")
        if self._windows is not None:
            yield from self._windows.end()
        self._windows, self._open, self._operation, self._collected = None, None, None, False
        self._tells_stops = None

    def _told(self, line: Line, text: str, now_ns: int) -> Iterator[Found]:
        # Nine of ten lines are details of a collection.
        if not ("GC" in text or "secs]" in text or "topped" in text or "afepoint" in text):
            return
        if (safepoint := _SAFEPOINT.search(text)) is not None:
            name, sync, total = safepoint.groups()
            yield from self._stopped(line, now_ns, int(total) / NS, int(sync) / NS, name)
        elif (stopped := _STOPPED.search(text)) is not None:
            sync_s = None if stopped.group(2) is None else decimal(stopped.group(2))
            yield from self._stopped(line, now_ns, decimal(stopped.group(1)), sync_s, self._operation)
        elif _STOP_CUT.search(text) is not None:
            yield refuse(line, "a stop that does not tell how long it took")
        elif (entering := _ENTERING.search(text)) is not None:
            self._operation = entering.group(1).strip()
        elif (pause := _PAUSE.search(text)) is not None:
            seconds = decimal(pause.group(1)) * (1e-3 if pause.group(2) == "ms" else 1.0)
            begin_ns = now_ns - round(seconds * NS) if is_length(seconds) else now_ns
            yield from self._collection(line, now_ns, begin_ns, seconds)
        else:
            yield from self._older(line, _CONCURRENT.sub("", text), now_ns)

    def _older(self, line: Line, text: str, now_ns: int) -> Iterator[Found]:
        """``[GC … , 0.012 secs]``, on one line or over several; its stamp is that of its beginning."""
        if _COLLECTION.search(text) is not None:
            if self._open is not None:
                yield refuse(self._open[0], "a collection that never tells how long it took")
            self._open = line, now_ns
        if self._open is None:
            return
        took = _SECONDS.findall(text.partition("[Times:")[0])
        if took:
            first, begin_ns = self._open
            self._open = None
            yield from self._collection(first, now_ns, begin_ns, decimal(took[-1]))

    def _stopped(
        self, line: Line, now_ns: int, seconds: float, sync_s: float | None, operation: str | None
    ) -> Iterator[Found]:
        collected = self._collected if operation is None else _COLLECTS.search(operation) is not None
        self._operation, self._collected = None, False
        yield from self._decide(tells_stops=True)
        if not is_length(seconds):
            yield refuse(line, "its length is no length of time")
            return
        cause = Cause.GC if collected else Cause.SAFEPOINT
        if sync_s is not None and not 0 <= sync_s <= seconds:
            sync_s = None
        yield from self._stop(Stop(now_ns - round(seconds * NS), seconds, cause.value, sync_s))

    def _collection(self, line: Line, now_ns: int, begin_ns: int, seconds: float) -> Iterator[Found]:
        if not is_length(seconds):
            yield refuse(line, "its length is no length of time")
            return
        self._collected = True
        if self._tells_stops:
            return
        # A stop that began before the clock did is the clock's fault.
        stop = Stop(min(begin_ns, now_ns), seconds, Cause.GC.value)
        if self._tells_stops is False:
            yield from self._stop(stop)
            return
        self._undecided.append(stop)
        if len(self._undecided) >= UNDECIDED:
            yield from self._decide(tells_stops=False)

    def _decide(self, *, tells_stops: bool) -> Iterator[Found]:
        self._tells_stops = tells_stops
        waiting, self._undecided = self._undecided, []
        if not tells_stops:
            for stop in waiting:
                yield from self._stop(stop)

    def _stop(self, stop: Stop) -> Iterator[Found]:
        if not is_time(stop.time_ns):
            return
        if self._windows is None:
            self._windows = Windows(stop.time_ns)
        yield from self._windows.stopped(stop.time_ns, stop.duration_s)
        yield stop
