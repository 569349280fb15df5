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

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from truechimer.codes import BoundStatus, Leap
from truechimer.errors import NotEnough, NothingThere, TruechimerError
from truechimer.interval import Aging, Interval
from truechimer.readings import (
    BOOTTIME,
    NS,
    RAW,
    SystemClocks,
    monotonic_s,
    read_monotonic_ns,
    read_ns,
)
from truechimer.segment import RUNTIME_VARIABLE, SIZE, BadSegment, SegmentReader, default_segment

if TYPE_CHECKING:
    from pathlib import Path

    from truechimer.readings import Clocks, Reading
    from truechimer.segment import Published, Snapshot
    from truechimer.segment.reader import OpenFile

FRESH_NS = 5 * NS
HARD_LIMIT_NS = 1000 * NS
FOLLOW_NS = NS // 10
"""How often ``now()`` looks whether the segment's name still leads to the same file."""
_SUSPEND_NOISE_NS = 2_000_000
_LOOK_AGAIN_NS = 5_000
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


class StillAhead(NotEnough):
    """The time waited for was not certainly past when the caller's patience ended."""


@dataclass(frozen=True, slots=True)
class WallError:
    """UTC − W lay in [lower_ns, upper_ns] when W showed ``wall_ns``; ``interval`` is UTC then."""

    lower_ns: int
    upper_ns: int
    wall_ns: int
    interval: Interval


class _Ready(NamedTuple):
    """A validated segment, prepared for ``now()`` until RAW = ``until_raw_ns``, while its bytes stay ``raw``.

    ``file`` keeps the descriptor ``fd`` open.
    """

    file: OpenFile | None
    fd: int
    raw: bytes
    until_raw_ns: int
    suspended_ns: int
    aging: Aging | None


_NOT_READY = _Ready(None, -1, b"", 0, 0, None)


class Clock:
    """True time by one segment and one set of clocks; the module's functions use the default ones.

    May be used by several threads, and across a fork.
    """

    def __init__(self, segment: Path | None = None, clocks: Clocks | None = None) -> None:
        self._reader = SegmentReader(segment if segment is not None else default_segment())
        self._has_host_clocks = clocks is None
        self._clocks: Clocks = clocks if clocks is not None else SystemClocks()
        self._ready = _NOT_READY

    def now(self) -> Interval:
        """The interval of UTC. Raises NoBound.

        The segment is read every time, and its bytes compared with those that were validated last: when
        they are the same, so is the bound, in whatever order they were copied. It is read by ``pread``,
        not through a mapping, because whoever cuts a mapped file short kills its readers by SIGBUS.
        """
        _file, fd, known, until_raw_ns, asleep_ns, aging = self._ready
        try:
            raw = _pread(fd, SIZE, 0)
        except OSError:
            return self._now_anew()
        if raw == known:
            # RAW after the segment, so that the bound is not younger than the reading; then MONOTONIC and
            # BOOTTIME, so that a sleep before RAW was read shows in their difference, which is never read
            # too small.
            raw_ns = read_ns(RAW)
            mono_ns = read_monotonic_ns()
            slept_ns = read_ns(BOOTTIME) - mono_ns - asleep_ns
            if raw_ns < until_raw_ns and slept_ns < _LOOK_AGAIN_NS:
                return _make(Interval, (raw_ns, slept_ns, aging))
        return self._now_anew()

    def _now_anew(self) -> Interval:
        """The file followed by its name, everything validated, and made ready for the next call."""
        snapshot, reading = self._look()
        interval = interval_at(snapshot.published, reading)
        if self._has_host_clocks:
            self._ready = _readied(snapshot, reading, interval)
        return interval

    def error_of_wall(self) -> WallError:
        """UTC − CLOCK_REALTIME by one bracketed reading of both. Raises NoBound."""
        snapshot, reading = self._look()
        interval = interval_at(snapshot.published, reading)
        # W was read within half the bracket of raw_ns, the instant to which the interval belongs.
        slack = -(-reading.width_ns // 2)
        return WallError(
            interval.earliest_ns - reading.wall_ns - slack,
            interval.latest_ns - reading.wall_ns + slack,
            reading.wall_ns,
            interval,
        )

    def wait_until_past(self, t_ns: int, *, timeout_s: float | None = None) -> Interval:
        """Sleep until ``t_ns`` is certainly past (Spanner's commit wait); the interval that proves it.

        Raises NoBound as soon as the bound is lost while waiting, StillAhead after ``timeout_s``.
        """
        give_up_s = None if timeout_s is None else monotonic_s() + timeout_s
        while not (interval := self.now()).after(t_ns):
            short_s = (t_ns - interval.earliest_ns) / NS
            nap_s = min(_LONGEST_NAP_S, max(_SHORTEST_NAP_S, short_s))
            if give_up_s is not None:
                left_s = give_up_s - monotonic_s()
                if left_s <= 0:
                    raise StillAhead(
                        f"not certainly past after {timeout_s:g} s: about {short_s:.3g} s more are needed",
                        hint="a narrower bound ends the wait sooner: nearer or better servers",
                    )
                nap_s = min(nap_s, left_s)
            time.sleep(nap_s)
        return interval

    def _look(self) -> tuple[Snapshot, Reading]:
        """The segment first, then the clocks: so the bound is never younger than the reading."""
        try:
            snapshot = self._reader.snapshot()
        except NothingThere as error:
            raise NoBound(str(error), status="unknown", reason="no_agent", hint=error.hint) from error
        except BadSegment as error:
            raise NoBound(str(error), status="unknown", reason="bad_segment", hint=error.hint) from error
        return snapshot, self._clocks.read()


def _aging(bound: Published, status: BoundStatus) -> Aging:
    """A published bound in terms of RAW."""
    return Aging(
        as_of_raw_ns=bound.as_of_steady_ns - bound.anchor_ns,
        low_ns=bound.anchor_ns + bound.lower_ns,
        high_ns=bound.anchor_ns + bound.upper_ns,
        frequency_lower_ppb=bound.frequency_lower_ppb,
        frequency_upper_ppb=bound.frequency_upper_ppb,
        status=status,
        reason=bound.reason,
        epoch=bound.epoch,
    )


def _readied(snapshot: Snapshot, reading: Reading, interval: Interval) -> _Ready:
    """A bound that was found good at ``reading``, for the next calls: until its status ends, at most."""
    bound = snapshot.published
    if bound.leap is not Leap.NONE and interval.latest_ns + 2 * FOLLOW_NS >= _leap_at_ns(bound):
        return _NOT_READY
    as_of_raw_ns = bound.as_of_steady_ns - bound.anchor_ns
    is_fresh = reading.raw_ns <= as_of_raw_ns + FRESH_NS
    end_ns = as_of_raw_ns + (FRESH_NS if is_fresh else HARD_LIMIT_NS) + 1
    return _Ready(
        file=snapshot.file,
        fd=snapshot.file.fd,
        raw=snapshot.raw,
        until_raw_ns=min(reading.raw_ns + FOLLOW_NS, end_ns),
        # Whatever noise was published, later readings are not below this one's least.
        suspended_ns=min(bound.suspended_ns, reading.least_suspended_ns),
        aging=_aging(bound, bound.status if is_fresh else BoundStatus.HOLDOVER),
    )


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
    # BOOTTIME − MONOTONIC grows by sleeping alone, and is read too large when the reading took long.
    slept_ns = reading.suspended_ns - published.suspended_ns
    if abs(slept_ns) > _SUSPEND_NOISE_NS + reading.width_ns:
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
    # A sleep too short to be told from noise is allowed for.
    interval = _make(Interval, (reading.raw_ns, max(0, slept_ns), _aging(published, status)))
    if published.leap is not Leap.NONE and interval.latest_ns >= _leap_at_ns(published):
        raise NoBound(
            "a leap second may have come since the bound was published",
            status="unknown",
            reason="leap",
            hint="wait a moment: the agent follows UTC through it",
        )
    return interval


def _leap_at_ns(published: Published) -> int:
    """When the leap that is due at the end of the bound's UTC day may come: a deleted second comes early."""
    utc_ns = published.as_of_steady_ns + published.upper_ns
    return (utc_ns // _DAY_NS + 1) * _DAY_NS - NS


_pread = os.pread
_make = tuple.__new__
# os.environ's own look-up takes a third of the time that now() may take; this is the table behind it.
_environment: dict[bytes, bytes] = getattr(os.environ, "_data", {})
_VARIABLE = RUNTIME_VARIABLE.encode()
_MOST_KEPT = 8
_kept: dict[Path | bytes | None, Clock] = {}


def _clock(segment: Path | None) -> Clock:
    """The clock of that segment, else of the environment's; kept, so that its file stays open."""
    key = segment if segment is not None else _environment.get(_VARIABLE)
    clock = _kept.get(key)
    if clock is None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        clock = _kept[key] = Clock(segment)
    return clock


def now(segment: Path | None = None) -> Interval:
    """The interval of UTC by ``segment``, else ``$TRUECHIMER_RUNTIME_DIR``'s. Raises NoBound (exit 3)."""
    try:
        return _kept[segment if segment is not None else _environment.get(_VARIABLE)].now()
    except KeyError:
        return _clock(segment).now()


def error_of_wall(segment: Path | None = None) -> WallError:
    """UTC − CLOCK_REALTIME, now. Raises NoBound."""
    return _clock(segment).error_of_wall()


def wait_until_past(t_ns: int, segment: Path | None = None, *, timeout_s: float | None = None) -> Interval:
    """Sleep until Unix time ``t_ns`` is certainly past. Raises NoBound; StillAhead after ``timeout_s``."""
    return _clock(segment).wait_until_past(t_ns, timeout_s=timeout_s)
