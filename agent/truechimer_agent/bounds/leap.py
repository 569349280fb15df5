"""Leap seconds: UTC's label steps at the end of a month, and with it UTC − S.

Histories are kept in the label that holds now. From shortly before a possible leap until shortly after it
no sample counts and nothing is vouched for; then all histories are moved by the second that the majority
announced, or forgotten when the announcements disagreed. See RFC 5905 section 7.3 (LI) and ITU-R TF.460.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from truechimer.codes import Leap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_agent.bounds.intervals import Interval

NS = 1_000_000_000
DAY_NS = 86_400 * NS
GUARD_NS = 4 * NS
"""Before and after: servers step by their own clocks, which are off by up to their root distance."""
SMEAR_NS = DAY_NS
_LONGEST_MONTH_NS = 32 * DAY_NS
_SMEAR_FIT_NS = 20_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOVES_NS = {Leap.NONE: 0, Leap.INSERT: -NS, Leap.DELETE: NS}
"""By how much UTC's label moves against S."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A month's end that lies behind; ``move_ns`` None when nobody knows whether UTC leapt."""

    at_ns: int
    leap: Leap
    move_ns: int | None


class LeapWatch:
    """Follows UTC towards the end of the month, by the majority's interval and announcements."""

    def __init__(self) -> None:
        self._end_ns: int | None = None
        self._guarded = False
        self._leap: Leap | None = Leap.NONE
        self.last: Passed | None = None

    @property
    def is_guarded(self) -> bool:
        """Whether UTC's label is ambiguous now."""
        return self._guarded

    def forget(self) -> None:
        """Begin anew: where UTC was says nothing of where it is."""
        self._guarded = False
        self._end_ns = None

    @property
    def label_since_ns(self) -> int | None:
        """UTC from which on its label has been what it is now; None before anything is known."""
        return None if self._end_ns is None else _month_start_ns(self._end_ns) + NS + GUARD_NS

    def advance(self, utc: Interval, announced: Leap | None) -> Passed | None:
        """Take where UTC is (in the label of before) and what is announced (None: disputed).

        The month's end, once it has passed for certain and something may have happened there; the caller
        then moves or forgets its histories.
        """
        if self._end_ns is None or utc.lower_ns < self._end_ns - _LONGEST_MONTH_NS:
            self._begin(utc, announced)
        end_ns = self._end_ns or 0
        if not self._guarded:
            if utc.upper_ns < end_ns - GUARD_NS:
                return None
            if announced is Leap.NONE:
                if utc.lower_ns >= end_ns:
                    self._end_ns = _month_end_ns(utc.lower_ns + 1)
                return None
            self._guarded, self._leap = True, announced
        if utc.lower_ns < end_ns + NS + GUARD_NS:
            return None
        self._guarded = False
        self._end_ns = _month_end_ns(end_ns + 1)
        leap = self._leap
        self.last = Passed(end_ns, leap or Leap.NONE, None if leap is None else MOVES_NS[leap])
        return self.last

    def _begin(self, utc: Interval, announced: Leap | None) -> None:
        """Take the first word of where UTC is: amid a possible leap nobody knows in which label it is."""
        began_ns, self._end_ns = _month_start_ns(utc.lower_ns + 1), _month_end_ns(utc.lower_ns + 1)
        if announced is Leap.NONE:
            return
        if utc.lower_ns < began_ns + NS + GUARD_NS:
            self._guarded, self._leap, self._end_ns = True, None, began_ns
        elif utc.upper_ns >= self._end_ns - GUARD_NS:
            self._guarded, self._leap = True, None

    def since_leap_ns(self, utc_ns: int, announced: Leap | None) -> tuple[int, Leap] | None:
        """How far UTC is from the nearest leap (negative: it comes), and which; None without one near."""
        if self._end_ns is not None and announced and self._end_ns - utc_ns < DAY_NS:
            return utc_ns - self._end_ns, announced
        if self.last is not None and self.last.move_ns and 0 <= utc_ns - self.last.at_ns < DAY_NS:
            return utc_ns - self.last.at_ns, self.last.leap
        return None


def announced(leaps: Sequence[int], needed: int) -> Leap | None:
    """What at least ``needed`` of the servers announce; None when they dispute it or too few are heard."""
    found = [leap for leap in MOVES_NS if leaps.count(leap) >= needed]
    return found[0] if len(found) == 1 else None


def is_last_day(utc_ns: int) -> bool:
    """Whether that instant lies in the last day of its month."""
    return _month_end_ns(utc_ns) - utc_ns <= DAY_NS


def smear_ns(since_leap_ns: int, leap: Leap) -> int | None:
    """Smeared less true UTC, at an instant before (negative) or after the leap; None outside of the smear.

    The linear 24 h smear from noon to noon that public smearing servers keep to.
    """
    half_ns = SMEAR_NS // 2
    if leap not in (Leap.INSERT, Leap.DELETE) or abs(since_leap_ns) >= half_ns:
        return None
    left_ns = half_ns - abs(since_leap_ns)
    late = left_ns * NS // SMEAR_NS
    behind = -late if since_leap_ns < 0 else late
    return behind if leap is Leap.INSERT else -behind


def is_smearing(error: Interval, since_leap_ns: int, leap: Leap) -> bool:
    """Whether a server whose clock is ahead of the majority's by ``error`` is so by a leap smear."""
    expected_ns = smear_ns(since_leap_ns, leap)
    if expected_ns is None or error.lower_ns <= 0 <= error.upper_ns:
        return False
    return error.lower_ns - _SMEAR_FIT_NS <= expected_ns <= error.upper_ns + _SMEAR_FIT_NS


def _month_end_ns(utc_ns: int) -> int:
    """The first instant of the next month after (or at) ``utc_ns``, in Unix ns."""
    day = _date(utc_ns - 1)
    if day is None or (day.year, day.month) == (9999, 12):
        return 2**62
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return _unix_ns(year, month)


def _month_start_ns(utc_ns: int) -> int:
    """The last first instant of a month before ``utc_ns``, in Unix ns."""
    day = _date(utc_ns - 1)
    return -(2**62) if day is None else _unix_ns(day.year, day.month)


def _date(utc_ns: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=utc_ns // 1000)
    except OverflowError:
        return None


def _unix_ns(year: int, month: int) -> int:
    return round((datetime(year, month, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * NS
