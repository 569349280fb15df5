"""HdrHistogram logs, as jHiccup writes them: each interval's histogram as stops and a window.

Source: HdrHistogram 2.2.2, HistogramLogReader.java and HistogramLogProcessor.java; jHiccup 2.0.10,
HiccupMeter.java: it sleeps 1 ms again and again, and records how late it woke, with the corrections of
``recordValueWithExpectedInterval``: a stop of 100 ms is also recorded as 99, 98, … 1 ms. In logs that say
that jHiccup wrote them these are taken out again.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer_analyzer.importing.found import (
    MS,
    NS,
    Found,
    Line,
    Note,
    Stop,
    Watched,
    decimal,
    is_length,
    is_time,
    refuse,
)
from truechimer_analyzer.importing.hdrhistogram import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truechimer_analyzer.importing.hdrhistogram import Histogram

THRESHOLD_S = 0.002
NS_S = 1e-9
# More stops than this in one interval are told as sums of a bucket each.
SINGLY = 5_000
# jHiccup's -r, which the log does not tell.
_RESOLUTIONS_MS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_YEAR_S = 365 * 86_400.0

_BASE = re.compile(r"#\[BaseTime: (\d{1,12}(?:\.\d{1,9})?)")
_START = re.compile(r"#\[StartTime: (\d{1,12}(?:\.\d{1,9})?)")
_TAG = re.compile(r"Tag=([^,]{1,100}),")
UNTIMED = "the log tells no time of day: it is placed so that it begins at --begin"
CORRECTED = "jHiccup records a stop of 100 ms also as 99, 98, … ms: each is counted once, its longest"
PLAIN = "no word of jHiccup in the log: each recorded value of 2 ms or more is taken to be one stop"


def parse(lines: Iterable[Line], begin_ns: int, unit_s: float = NS_S) -> Iterator[Found]:
    """Stops of ``THRESHOLD_S`` or more, and each interval as a window that was watched.

    When in its interval a stop was is not told: they are placed at its beginning. ``unit_s``: of the
    recorded values. ``begin_ns``: where a log without times begins. Lines with a Tag are of that source.
    """
    log = _Log(begin_ns, unit_s)
    for line in lines:
        if line.why is not None:
            yield refuse(line, line.why)
        elif line.text.startswith("#"):
            log.comment(line.text)
        elif line.text and not line.text.startswith('"StartTimestamp"'):
            yield from log.interval(line)


class _Log:
    def __init__(self, begin_ns: int, unit_s: float) -> None:
        self._begin_ns = begin_ns
        self._unit_s = unit_s
        self._is_jhiccup = False
        self._base_s: float | None = None
        self._start_s: float | None = None
        self._offset_s: float | None = None
        self._resolution_s: float | None = None

    def comment(self, text: str) -> None:
        """A line of the header."""
        if "jHiccup" in text[:200]:
            self._is_jhiccup = True
        if (base := _BASE.match(text)) is not None:
            self._base_s, self._offset_s = float(base.group(1)), None
        elif (start := _START.match(text)) is not None:
            self._start_s, self._offset_s = float(start.group(1)), None

    def interval(self, line: Line) -> Iterator[Found]:
        """A line with a histogram."""
        tag = _TAG.match(line.text)
        parts = (line.text[tag.end() :] if tag else line.text).split(",")
        if len(parts) != 4:
            yield refuse(line, "no line of an HdrHistogram log: start, length, maximum, histogram")
            return
        start_s, length_s = decimal(parts[0].strip()), decimal(parts[1].strip())
        if not (0 <= start_s <= 1e10 and length_s > 0 and is_length(length_s)):
            yield refuse(line, "its start or length is no time")
            return
        try:
            histogram = decode(parts[3].strip())
        except DecodeError as error:
            yield refuse(line, str(error))
            return
        if self._offset_s is None:
            self._offset_s = self._offset(start_s)
            if self._base_s is None and self._start_s is None and start_s < _YEAR_S:
                yield Note(UNTIMED)
            yield Note(CORRECTED if self._is_jhiccup else PLAIN)
        begin_ns = round((self._offset_s + start_s) * NS)
        end_ns = begin_ns + round(length_s * NS)
        if not is_time(begin_ns) or not is_time(end_ns):
            yield refuse(line, "its time is beyond the years 1970 to 2255")
            return
        stops = self._stops(histogram, length_s)
        if stops is None:
            yield refuse(line, "its histogram has values that are no lengths of stops")
            return
        source = None if tag is None else tag.group(1)
        yield from _told(stops, begin_ns, source)
        count = sum(count for _, count in stops)
        total_s = sum(seconds * count for seconds, count in stops)
        max_s = histogram.highest_value(histogram.counts[-1][0]) * self._unit_s if histogram.counts else 0.0
        yield Watched(end_ns, length_s, count, total_s, max_s, THRESHOLD_S, source)

    def _offset(self, start_s: float) -> float:
        """What is added to the log's times; as HistogramLogReader decides it."""
        if self._base_s is not None:
            return self._base_s
        if self._start_s is None:
            return self._begin_ns / NS - start_s if start_s < _YEAR_S else 0.0
        return self._start_s if start_s < self._start_s - _YEAR_S else 0.0

    def _stops(self, histogram: Histogram, length_s: float) -> list[tuple[float, int]] | None:
        """Lengths in s from ``THRESHOLD_S`` on, ascending, with how many there were; None: implausible."""
        recorded = [(value * self._unit_s, count) for value, count in histogram.values()]
        if recorded and not is_length(recorded[-1][0]):
            return None
        if not self._is_jhiccup:
            return [each for each in recorded if each[0] >= THRESHOLD_S]
        if self._resolution_s is None:
            total = sum(count for _, count in recorded)
            self._resolution_s = _resolution_s(length_s / total) if total else None
        if self._resolution_s is None:
            return []
        return _uncorrected(histogram, self._unit_s, self._resolution_s)


def _resolution_s(apart_s: float) -> float:
    """The round resolution of which records are so far apart: sleeping takes longer, never shorter."""
    return max((ms for ms in _RESOLUTIONS_MS if ms <= 1100 * apart_s), default=_RESOLUTIONS_MS[0]) / 1000


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of values, and how many stops were longer than all of it: one record a resolution each."""

    stops: float
    lengths: tuple[tuple[float, int], ...]


def _uncorrected(histogram: Histogram, unit_s: float, resolution_s: float) -> list[tuple[float, int]]:
    """The stops that, each recorded again and again a resolution shorter, make up these records.

    From the longest down: wherever there are more records to a resolution than stops so far, and below
    as well, there are new ones, of the greatest lengths recorded there.
    """
    parts = list(_parts(histogram, unit_s, resolution_s))
    stops: list[tuple[float, int]] = []
    active = 0
    for at, part in enumerate(parts):
        below = parts[at + 1] if at + 1 < len(parts) else part
        found = round(min(part.stops, below.stops))
        new = found - active
        for length_s, count in part.lengths:
            some = min(new, count)
            if some > 0 and length_s >= THRESHOLD_S:
                stops.append((length_s, some))
            new -= some
            if new <= 0:
                break
        active = max(active, found)
    stops.reverse()
    return stops


def _parts(histogram: Histogram, unit_s: float, resolution_s: float) -> Iterator[_Part]:
    """Stretches of whole resolutions, wide enough for the buckets in them, down below the threshold."""
    records = [
        (histogram.lowest_value(index) * unit_s, (histogram.highest_value(index) + 1) * unit_s, count)
        for index, count in reversed(histogram.counts)
    ]
    at = 0
    bottom_s = math.inf
    while at < len(records) and bottom_s > THRESHOLD_S - resolution_s:
        low_s, high_s, _ = records[at]
        resolutions = max(1, math.ceil(2 * (high_s - low_s) / resolution_s))
        width_s = resolutions * resolution_s
        # Where nothing was recorded for longer than that, the next begins with what comes.
        top_s = bottom_s if (low_s + high_s) / 2 >= bottom_s - width_s else high_s
        bottom_s = top_s - width_s
        lengths: list[tuple[float, int]] = []
        while at < len(records) and (middle_s := (records[at][0] + records[at][1]) / 2) >= bottom_s:
            lengths.append((middle_s, records[at][2]))
            at += 1
        yield _Part(sum(count for _, count in lengths) / resolutions, tuple(lengths))


def _told(stops: list[tuple[float, int]], begin_ns: int, source: str | None) -> Iterator[Stop]:
    singly = sum(count for _, count in stops) <= SINGLY
    at_ns = begin_ns
    for seconds, count in stops:
        for _ in range(count if singly else 1):
            pauses = 1 if singly else count
            yield Stop(at_ns, seconds * pauses, Cause.UNKNOWN.value, None, pauses, source)
            at_ns += MS
