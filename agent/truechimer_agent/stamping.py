"""From observations in steady time to samples: their tags, and the time that they are filed under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.collecting import Observation

MS = 1_000_000
DISORDER_NS = 1_000_000_000
"""Within this, a series' times are kept in its own order; past it, time really went back."""
SERIES_KEPT = 10_000


class Stamper:
    """Files each sample under Unix ns, never two of one series within one millisecond.

    VictoriaMetrics keeps milliseconds only, and a point's identity is its time: a later point of a series
    is moved to the next free millisecond.
    """

    def __init__(self, common_tags: Mapping[str, str]) -> None:
        self._common = dict(common_tags)
        self._last_ns: dict[tuple[str, ...], int] = {}

    def stamp(self, observation: Observation, unix_minus_steady_ns: int) -> Sample:
        """The sample of an observation; ``unix_minus_steady_ns`` is the best known UTC − S (or W − S)."""
        series = (observation.measurement, *(f"{k}={v}" for k, v in sorted(observation.tags.items())))
        time_ns = observation.steady_ns + unix_minus_steady_ns
        last_ns = self._last_ns.get(series)
        if last_ns is not None and last_ns - DISORDER_NS < time_ns < (last_ns // MS + 1) * MS:
            time_ns = (last_ns // MS + 1) * MS
        if len(self._last_ns) >= SERIES_KEPT and series not in self._last_ns:
            self._last_ns.pop(next(iter(self._last_ns)))
        self._last_ns[series] = time_ns
        return Sample(
            observation.measurement, {**self._common, **observation.tags}, observation.fields, time_ns
        )
