"""What happened between two pages of one process: pure. Nothing is made of counters that went back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.scraping.page import Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.scraping.families import Family
    from truechimer_agent.scraping.page import Key, Page, RuntimePauses

NOISE_S = 1e-9
START_TOLERANCE_S = 2.0
"""Programs reckon their start from the host's boot, which wanders with its clock."""


@dataclass(frozen=True, slots=True)
class Between:
    """Pauses of one runtime between two pages; the longest of them lies between the two bounds (s)."""

    runtime: str
    count: int
    total_s: float
    longest_s: float
    longest_upper_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Stop:
    """A pause, or the sum of ``count`` of them that were not seen singly."""

    duration_s: float
    count: int


def is_same_process(before: Page, after: Page) -> bool:
    """Whether no counter went back, none is gone, and the process began when it did."""
    starts = (before.started_s, after.started_s)
    if None not in starts and abs((starts[0] or 0.0) - (starts[1] or 0.0)) > START_TOLERANCE_S:
        return False
    for runtime, was in before.runtimes.items():
        now = after.runtimes.get(runtime)
        if now is None or now.family != was.family:
            return False
        if not all(_continues(series, now.series.get(key)) for key, series in was.series.items()):
            return False
    return True


def between(before: Page, after: Page, span_s: float) -> list[Between]:
    """What each runtime did in ``span_s``; the pages must be of one process (see is_same_process)."""
    return [
        _between(before.runtimes[runtime].series, now, span_s)
        for runtime, now in after.runtimes.items()
        if runtime in before.runtimes
    ]


def stops_of(found: Between, threshold_s: float) -> list[Stop]:
    """Its pauses as far as they were told apart, unless none can have been longer than the threshold."""
    if found.count == 0 or found.longest_upper_s <= threshold_s:
        return []
    rest_s = found.total_s - found.longest_upper_s
    known = found.longest_upper_s - found.longest_s <= NOISE_S
    if found.count == 1 or not known or rest_s <= NOISE_S:
        return [Stop(found.total_s, found.count)]
    longest = Stop(found.longest_upper_s, 1)
    if min(rest_s, found.longest_upper_s) <= threshold_s:
        return [longest]
    return [longest, Stop(rest_s, found.count - 1)]


def _continues(was: Series, now: Series | None) -> bool:
    if now is None or now.count < was.count or now.sum_s < was.sum_s - NOISE_S:
        return False
    counts = dict(now.buckets)
    return all(counts.get(edge, -1) >= count for edge, count in was.buckets)


def _between(before: Mapping[Key, Series], after: RuntimePauses, span_s: float) -> Between:
    count, total_s, longest_s, upper_s = 0, 0.0, 0.0, 0.0
    for key, now in after.series.items():
        # A series that was not there yet has counted from nothing.
        was = before.get(key, Series())
        grown = now.count - was.count
        sum_s = max(0.0, now.sum_s - was.sum_s)
        if sum_s <= NOISE_S:
            sum_s = 0.0
        count += grown
        total_s += sum_s
        low_s, high_s = _longest(was, now, grown, sum_s, after.family, span_s)
        longest_s, upper_s = max(longest_s, low_s), max(upper_s, high_s)
    return Between(after.family.runtime, count, total_s, longest_s, upper_s, after.family.confidence)


def _longest(
    was: Series, now: Series, grown: int, sum_s: float, family: Family, span_s: float
) -> tuple[float, float]:
    """Bounds of the longest of ``grown`` pauses that sum up to ``sum_s``."""
    if grown == 0:
        return 0.0, sum_s  # counted late: the next page has it
    if grown == 1:
        return sum_s, sum_s
    low_s, high_s = sum_s / grown, sum_s
    bucket_low_s, bucket_high_s = _highest_bucket(was, now)
    low_s, high_s = max(low_s, bucket_low_s), min(high_s, bucket_high_s)
    recent_s = now.longest_s
    if recent_s is not None:
        if was.longest_s is None or recent_s > was.longest_s:
            low_s = max(low_s, recent_s)  # it was not there before
        remembered = (family.remembers is not None and grown <= family.remembers) or (
            family.remembers_s is not None and span_s <= family.remembers_s
        )
        if remembered:
            high_s = min(high_s, recent_s)
    # Where an exporter contradicts itself, its sum decides.
    low_s = min(low_s, sum_s)
    return low_s, max(low_s, high_s)


def _highest_bucket(was: Series, now: Series) -> tuple[float, float]:
    """The edges of the highest bucket that a pause fell into."""
    before = dict(was.buckets)
    below_s, reached = 0.0, 0
    found = (0.0, float("inf"))
    for edge_s, count in now.buckets:
        grown = count - before.get(edge_s, 0)
        if grown > reached:
            found = (max(0.0, below_s), edge_s)
        reached, below_s = max(reached, grown), edge_s
    return found
