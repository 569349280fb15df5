"""From observations in steady time to samples: their tags, and the time that they are filed under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.collecting import Observation

MS = 1_000_000
RUNS_KEPT = 64
"""Runs of neighbouring milliseconds remembered of a series: as many samples at least."""
SERIES_KEPT = 10_000


class Stamper:
    """Files each sample under Unix ns, never two of one series within one millisecond.

    VictoriaMetrics keeps milliseconds only, and a point's identity is its time: a sample whose millisecond
    is taken goes to the next free one. Samples may come in any order (a loss is known seconds after the
    replies that followed it), and keep their times.
    """

    def __init__(self, common_tags: Mapping[str, str]) -> None:
        self._common = dict(common_tags)
        self._taken: dict[tuple[str, ...], _Taken] = {}

    def stamp(self, observation: Observation, unix_minus_steady_ns: int) -> Sample:
        """The sample of an observation; ``unix_minus_steady_ns`` is the best known UTC − S (or W − S)."""
        series = (observation.measurement, *(f"{k}={v}" for k, v in sorted(observation.tags.items())))
        time_ns = observation.steady_ns + unix_minus_steady_ns
        taken = self._taken.get(series)
        if taken is None:
            if len(self._taken) >= SERIES_KEPT:
                self._taken.pop(next(iter(self._taken)))
            taken = self._taken[series] = _Taken()
        millisecond = taken.take(time_ns // MS)
        time_ns = max(time_ns, millisecond * MS)
        return Sample(
            observation.measurement, {**self._common, **observation.tags}, observation.fields, time_ns
        )


class _Taken:
    """The milliseconds that a series used lately: runs [first, end), the one that grew last at the end."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int]] = []

    def take(self, millisecond: int) -> int:
        """Take the first free millisecond from this one on."""
        wanted = self._past(millisecond)
        while wanted != millisecond:
            millisecond, wanted = wanted, self._past(wanted)
        first = millisecond
        for index in range(len(self._runs) - 1, -1, -1):
            if self._runs[index][1] == millisecond:
                first = self._runs.pop(index)[0]
                break
        self._runs.append((first, millisecond + 1))
        del self._runs[:-RUNS_KEPT]
        return millisecond

    def _past(self, millisecond: int) -> int:
        """The end of the run that holds this millisecond; itself when it is free."""
        for first, end in reversed(self._runs):
            if first <= millisecond < end:
                return end
        return millisecond
