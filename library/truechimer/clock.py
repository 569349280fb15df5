"""This host's interval of true time, for programs: ``truechimer.clock.now()``.

The agent publishes a bound on UTC − S once a second (:mod:`truechimer.segment`); here it is aged by
CLOCK_MONOTONIC_RAW, which nobody steps, so the answer holds even when the wall clock was set between
publishing and reading. All arithmetic is in integers of ns, rounded outwards. An interval that cannot
be justified is never returned: :class:`NoBound` says why.

>>> from truechimer import clock
>>> interval = clock.now()                       # doctest: +SKIP
>>> interval.after(deadline_ns)                  # certainly past? # doctest: +SKIP
>>> clock.wait_until_past(interval.latest_ns)    # commit wait # doctest: +SKIP
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from truechimer.errors import NothingThere, TruechimerError
from truechimer.readings import NS, SystemClocks
from truechimer.samples import BoundReason, BoundStatus, Leap
from truechimer.segment import BadSegment, SegmentReader, default_segment

if TYPE_CHECKING:
    from pathlib import Path

    from truechimer.readings import Clocks, Reading
    from truechimer.segment import Published

FRESH_NS = 5 * NS
HARD_LIMIT_NS = 1000 * NS
_SUSPEND_NOISE_NS = 2_000_000
_PPB = 1_000_000_000
_DAY_NS = 86_400 * NS
_LONGEST_NAP_S = 1.0
_SHORTEST_NAP_S = 20e-6


class NoBound(TruechimerError):  # noqa: N818 - reads as the statement it is
    """There is no trustworthy bound. ``status`` and ``reason`` are lower-case codes.

    Reasons: those of BoundReason, and no_agent, bad_segment, agent_silent, suspended.
    """

    exit_code = 3

    def __init__(self, message: str, *, status: str, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Interval:
    """UTC lay in [earliest_ns, latest_ns] (Unix ns) at an instant inside the call that gave this."""

    earliest_ns: int
    latest_ns: int
    status: BoundStatus
    reason: BoundReason
    as_of_age_s: float
    epoch: int

    def before(self, t_ns: int) -> bool:
        """Whether it was certainly before ``t_ns``."""
        return self.latest_ns < t_ns

    def after(self, t_ns: int) -> bool:
        """Whether it was certainly after ``t_ns``; once true it stays so."""
        return self.earliest_ns > t_ns

    @property
    def width_ns(self) -> int:
        """Latest − earliest."""
        return self.latest_ns - self.earliest_ns


@dataclass(frozen=True, slots=True)
class WallError:
    """UTC − W lay in [lower_ns, upper_ns] when W showed ``wall_ns``; ``interval`` is UTC then."""

    lower_ns: int
    upper_ns: int
    wall_ns: int
    interval: Interval


class Clock:
    """True time by one segment and one set of clocks; the module's functions use the default ones."""

    def __init__(self, segment: Path | None = None, clocks: Clocks | None = None) -> None:
        self._reader = SegmentReader(segment if segment is not None else default_segment())
        self._clocks: Clocks = clocks if clocks is not None else SystemClocks()

    def now(self) -> Interval:
        """The interval of UTC. Raises NoBound."""
        published, reading = self._look()
        return interval_at(published, reading)

    def error_of_wall(self) -> WallError:
        """UTC − CLOCK_REALTIME by one bracketed reading of both. Raises NoBound."""
        published, reading = self._look()
        interval = interval_at(published, reading)
        # W was read within half the bracket of raw_ns, the instant to which the interval belongs.
        slack = -(-reading.width_ns // 2)
        return WallError(
            interval.earliest_ns - reading.wall_ns - slack,
            interval.latest_ns - reading.wall_ns + slack,
            reading.wall_ns,
            interval,
        )

    def wait_until_past(self, t_ns: int) -> Interval:
        """Sleep until ``t_ns`` is certainly past (Spanner's commit wait); the interval that proves it.

        Raises NoBound as soon as the bound is lost while waiting.
        """
        while not (interval := self.now()).after(t_ns):
            short_s = (t_ns - interval.earliest_ns) / NS
            time.sleep(min(_LONGEST_NAP_S, max(_SHORTEST_NAP_S, short_s)))
        return interval

    def _look(self) -> tuple[Published, Reading]:
        """The segment first, then the clocks: so the bound is never younger than the reading."""
        try:
            published = self._reader.read()
        except NothingThere as error:
            raise NoBound(str(error), status="unknown", reason="no_agent", hint=error.hint) from error
        except BadSegment as error:
            raise NoBound(str(error), status="unknown", reason="bad_segment", hint=error.hint) from error
        return published, self._clocks.read()


def interval_at(published: Published, reading: Reading) -> Interval:
    """Age a published bound to a reading: UTC ∈ S + [l + f_lo·ΔS, u + f_hi·ΔS]. Raises NoBound."""
    status, reason = published.status, published.reason
    if status not in {BoundStatus.SYNCHRONIZED, BoundStatus.HOLDOVER}:
        raise NoBound(
            f"the agent has no trustworthy bound: {status.name.lower()}, {reason.name.lower()}",
            status=status.name.lower(),
            reason=reason.name.lower(),
            hint="`truechimer agent once` shows what each server said",
        )
    if abs(reading.suspended_ns - published.suspended_ns) > _SUSPEND_NOISE_NS + reading.width_ns:
        raise NoBound(
            "the host slept since the bound was published",
            status="disrupted",
            reason="suspended",
            hint="wait a moment: the agent asks its servers again",
        )
    steady_ns = reading.raw_ns + published.anchor_ns
    age_ns = steady_ns - published.as_of_steady_ns
    if not 0 <= age_ns <= HARD_LIMIT_NS:
        raise NoBound(
            f"the agent last published {age_ns / NS:.0f} s ago",
            status="unknown",
            reason="agent_silent",
            hint="is the agent running? `truechimer doctor` says",
        )
    if age_ns > FRESH_NS:
        status = BoundStatus.HOLDOVER
    latest_ns = steady_ns + published.upper_ns - (-published.frequency_upper_ppb * age_ns // _PPB)
    if published.leap is not Leap.NONE and latest_ns >= _leap_at_ns(published):
        raise NoBound(
            "a leap second may have come since the bound was published",
            status="unknown",
            reason="leap",
            hint="wait a moment: the agent follows UTC through it",
        )
    return Interval(
        earliest_ns=steady_ns + published.lower_ns + published.frequency_lower_ppb * age_ns // _PPB,
        latest_ns=latest_ns,
        status=status,
        reason=reason,
        as_of_age_s=age_ns / NS,
        epoch=published.epoch,
    )


def _leap_at_ns(published: Published) -> int:
    """When the leap that is due at the end of the bound's UTC day may come: a deleted second comes early."""
    utc_ns = published.as_of_steady_ns + published.upper_ns
    return (utc_ns // _DAY_NS + 1) * _DAY_NS - NS


@lru_cache(maxsize=8)
def _clock(segment: Path) -> Clock:
    return Clock(segment)


def now(segment: Path | None = None) -> Interval:
    """The interval of UTC by ``segment``, else ``$TRUECHIMER_RUNTIME_DIR``'s. Raises NoBound (exit 3)."""
    return _clock(segment if segment is not None else default_segment()).now()


def error_of_wall(segment: Path | None = None) -> WallError:
    """UTC − CLOCK_REALTIME, now. Raises NoBound."""
    return _clock(segment if segment is not None else default_segment()).error_of_wall()


def wait_until_past(t_ns: int, segment: Path | None = None) -> Interval:
    """Sleep until Unix time ``t_ns`` is certainly past. Raises NoBound."""
    return _clock(segment if segment is not None else default_segment()).wait_until_past(t_ns)
