"""A record of what a store holds of probes, however much that is.

What fits into memory is read once and kept whole. Of more, paths are read one after the other, each whole:
the slowest operations and silences are kept, the others counted (``listing``). How often paths are probed is
guessed before, from some. Heartbeats at other intervals, and at those that were guessed wrong, are then a
second reading, of all that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import Via
from truechimer_analyzer.timeouts.collecting import FIELDS, PATH_TAGS, Collector, by_class
from truechimer_analyzer.timeouts.lateness import Lates
from truechimer_analyzer.timeouts.lines import line_of
from truechimer_analyzer.timeouts.listing import LISTED, Listing
from truechimer_analyzer.timeouts.record import Record, whole
from truechimer_analyzer.timeouts.replay import SLACK
from truechimer_analyzer.timeouts.silences import Replay, judged, stops_of
from truechimer_analyzer.timeouts.streams import Chosen
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.stores import Columns, Tally
    from truechimer_analyzer.timeouts.collecting import Probed
    from truechimer_analyzer.timeouts.lateness import Lateness
    from truechimer_analyzer.timeouts.lines import Line
    from truechimer_analyzer.timeouts.silences import Silences, Stops

MEASUREMENT = "truechimer_rtt"
# So many probes are kept whole.
MOST_WHOLE = 3_000_000
PARTS = 5
# How often paths are probed is told by so many probes of the middle.
_SAMPLE = 1_000_000


@dataclass(frozen=True)
class Probes:
    """The window's probes: which paths there are of what length; nothing is read yet."""

    reader: Reader
    paths: tuple[Tally, ...]

    @classmethod
    def of(cls, reader: Reader) -> Probes:
        """What the question is about; what the kernel says of real connections is left out."""
        found = reader.tally(MEASUREMENT, PATH_TAGS)
        return cls(reader, tuple(each for each in found if each.key[3] != Via.KERNEL.value))

    @property
    def rows(self) -> int:
        """How many probes there are."""
        return sum(each.rows for each in self.paths)

    def ends(self, known: Collection[str]) -> list[str]:
        """The nodes whose pauses may bind: those that probed, and the peers that are nodes themselves."""
        return sorted({name for each in self.paths for name in each.key[1:3]}.intersection(known))

    def record(self, pauses: Columns, heartbeat_s: float | None, *, lates: bool = True) -> Record:
        """Read them. ``pauses`` are rows of truechimer_pause.

        ``heartbeat_s`` and ``lates`` tell what will be asked for, to spare a second reading or time.
        """
        edges_s = self._edges_s()
        if self.rows <= MOST_WHOLE:
            every, connects = Collector(Listing(edges_s, None)), Collector(Listing(edges_s, None))
            for probed in self.probed():
                every.add(probed)
                if probed.path.via == Via.TCP.value:
                    connects.add(probed)
            return whole(every.operations(), connects.operations(), pauses)
        return _Large(self, edges_s, stops_of(pauses)).record(heartbeat_s, lates=lates)

    def _edges_s(self) -> NDArray[np.float64]:
        if not self.paths:
            return np.zeros(PARTS + 1)
        # Divided as the probes' own times are: two ways of it may differ in the last digit.
        firsts_s = np.array([each.first_ns for each in self.paths]) / NS
        lasts_s = np.array([each.last_ns for each in self.paths]) / NS
        edges_s = np.linspace(float(firsts_s.min()), float(lasts_s.max()), PARTS + 1)
        # The very last operation is part of the last span.
        edges_s[-1] = np.nextafter(edges_s[-1], np.inf)
        return edges_s

    def probed(self) -> Iterator[Probed]:
        """Read every path, one after the other."""
        done = 0
        for series in self.reader.series(MEASUREMENT, FIELDS, PATH_TAGS, self.paths):
            yield from by_class(series)
            done += len(series.time_ns)
            self.reader.progress(done, self.rows)

    def usual_gaps_s(self) -> list[float]:
        """How far apart the probes of each path are, by those in the middle of the window."""
        first_ns = min(each.first_ns for each in self.paths)
        last_ns = max(each.last_ns for each in self.paths)
        half_ns = round((last_ns - first_ns) / 2 * min(1.0, _SAMPLE / self.rows))
        middle_ns = (first_ns + last_ns) // 2
        since_ns, until_ns = middle_ns - half_ns, middle_ns + half_ns + 1
        paths = self.reader.tally(MEASUREMENT, PATH_TAGS, since_ns=since_ns, until_ns=until_ns)
        some = self.reader.series(MEASUREMENT, FIELDS, PATH_TAGS, paths, since_ns=since_ns, until_ns=until_ns)
        lines = [_line(probed) for series in some for probed in by_class(series)]
        return [line.gap_s for line in lines if line is not None]


class _Large:
    """Probes that do not fit into memory; what was replayed of them so far."""

    def __init__(
        self, probes: Probes, edges_s: NDArray[np.float64], stops: dict[tuple[str, str], Stops]
    ) -> None:
        self._probes = probes
        self._edges_s = edges_s
        self._stops = stops
        # A guess, until all have been read once.
        self._gaps_s = probes.usual_gaps_s()
        self._guessed = True
        self._silences: dict[float, Silences | None] = {}
        self._lateness: dict[float, Lateness | None] = {}
        self._missing: tuple[set[float], set[float]] = set(), set()

    def record(self, heartbeat_s: float | None, *, lates: bool) -> Record:
        every = Collector(self._listing(count_delays=True))
        connects = Collector(self._listing(count_delays=True))
        chosen = Chosen()

        def take(probed: Probed) -> None:
            every.add(probed)
            if probed.path.via == Via.TCP.value:
                connects.add(probed)
            chosen.add(probed)

        self._read([self._judged_s(heartbeat_s)], [0.0] if lates else [], take)
        return Record(
            every.operations(),
            connects.operations(),
            chosen.streams(),
            self.silences,
            self.lateness,
            self.catch_up,
        )

    def silences(self, heartbeat_s: float | None) -> Silences | None:
        judged_s = self._judged_s(heartbeat_s)
        for each_s, found in self._silences.items():
            # What jitter makes of an interval is no other one.
            if abs(each_s - judged_s) <= SLACK / 2 * judged_s:
                return found
        self._missing[0].add(judged_s)
        return next(iter(self._silences.values()))

    def lateness(self, heartbeat_s: float) -> Lateness | None:
        # Where no path is probed oftener, one reading serves all intervals.
        is_rarer = bool(self._gaps_s) and heartbeat_s * (1 - SLACK) > min(self._gaps_s)
        key_s = heartbeat_s if is_rarer else 0.0
        if key_s not in self._lateness:
            self._missing[1].add(key_s)
        found = self._lateness.get(key_s)
        return None if found is None else replace(found, heartbeat_s=heartbeat_s)

    def catch_up(self) -> bool:
        if not any(self._missing):
            return False
        judged_s, heartbeats_s = self._missing
        self._missing = set(), set()
        # Heartbeats that fit no probes ask for both.
        self._read(sorted(judged_s), sorted(heartbeats_s | judged_s))
        return True

    def _read(
        self,
        judged_s: Sequence[float],
        heartbeats_s: Sequence[float],
        take: Callable[[Probed], None] = lambda _: None,
    ) -> None:
        """Read every path once, and replay it at all these intervals."""
        replays = {each_s: Replay(each_s, self._stops, self._listing()) for each_s in judged_s}
        lates = {each_s: Lates(each_s, self._listing()) for each_s in heartbeats_s}
        paths, gaps_s = [], []
        for probed in self._probes.probed():
            take(probed)
            line = _line(probed)
            if line is not None:
                gaps_s.append(line.gap_s)
            for replay in replays.values():
                replay.add(line, probed.path)
            for late in lates.values():
                late.add(line)
            paths.append(probed.path)
        if self._guessed:
            self._gaps_s, self._guessed = gaps_s, False
        for each_s, replay in replays.items():
            self._silences[each_s] = replay.silences(tuple(paths))
        for each_s, late in lates.items():
            self._lateness[each_s] = late.lateness(tuple(paths))

    def _judged_s(self, heartbeat_s: float | None) -> float:
        return judged(self._gaps_s, heartbeat_s) if self._gaps_s else heartbeat_s or 1.0

    def _listing(self, *, count_delays: bool = False) -> Listing:
        return Listing(self._edges_s, LISTED, count_delays=count_delays)


def _line(probed: Probed) -> Line | None:
    replied, lost, unreachable = probed.rows()
    sent = replied | lost | unreachable
    delay_s = np.where(replied, probed.rtt_s, np.inf)
    if sent.all():
        return line_of(probed.time_s, delay_s, 0)
    return line_of(probed.time_s[sent], delay_s[sent], 0)
