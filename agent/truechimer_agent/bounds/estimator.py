"""The interval of UTC − S that a majority of servers proves, and the verdict on each server.

Pure: exchanges and steady times in, values out. See docs/design.md for the stated assumptions.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from truechimer.samples import BoundReason, BoundStatus, Leap
from truechimer_agent.bounds.bound import Bound
from truechimer_agent.bounds.doubt import Doubt, Outcome
from truechimer_agent.bounds.frequency import Frequency
from truechimer_agent.bounds.intervals import Interval, largest_minority
from truechimer_agent.bounds.leap import LeapWatch, announced, is_last_day, is_smearing
from truechimer_agent.bounds.majority import majority_of, standing
from truechimer_agent.bounds.source import Source, sample_of
from truechimer_agent.bounds.verdicts import judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truechimer_agent.ntp.exchange import Exchange, Failure


class Action(Enum):
    """What the estimator needs done."""

    NONE = auto()
    ASK_ALL = auto()
    NEW_EPOCH = auto()


class Estimator:
    """Collects what servers say; ``tolerated`` falsetickers, None for the largest minority.

    After every reply or failure, and once a second, its owner asks ``take_action``.
    """

    def __init__(
        self, servers: Sequence[str], *, max_drift_ppb: int, wander_ppb: int, tolerated: int | None
    ) -> None:
        self._sources = {server: Source(server) for server in servers}
        self._frequency = Frequency(max_drift_ppb, wander_ppb)
        self._tolerated = tolerated
        self._interrupted: tuple[BoundStatus, BoundReason] | None = None
        self._newest_ns = 0
        self._doubt: Doubt | None = None
        self._leap = LeapWatch()
        self._known: tuple[int, Interval] | None = None
        self._clear_from_ns = 0
        self._carried: list[tuple[str, Exchange]] = []
        self._action = Action.NONE
        self._taken = Action.NONE
        self.last_jump_ns: int | None = None

    @property
    def sources(self) -> Mapping[str, Source]:
        """The servers by name."""
        return self._sources

    def take_action(self) -> Action:
        """What must be done now; asked once, it is taken as done.

        ASK_ALL: a burst to every server at once. NEW_EPOCH: the steady clock cannot be compared with what it
        was, so ``begin_epoch`` must follow (``last_jump_ns``: by how much UTC − S jumped, if that is proven).
        """
        self._taken, self._action = self._action, Action.NONE
        return self._taken

    def begin_epoch(self) -> None:
        """Forget everything that was measured in S: it cannot be compared any more.

        What was measured since a jump that the servers found is kept, when that is why.
        """
        why, self._taken = self._taken, Action.NONE
        self._forget(BoundStatus.DISRUPTED, BoundReason.DISRUPTED)
        self._leap.forget()
        carried, self._carried = self._carried, []
        for server, exchange in carried if why is Action.NEW_EPOCH else ():
            self._sources[server].heard(exchange)
            self._sources[server].hold(exchange)

    def _forget(self, status: BoundStatus, reason: BoundReason) -> None:
        self._interrupted = status, reason
        self._doubt = None
        self._known = None
        self._frequency.forget()
        for source in self._sources.values():
            source.forget()

    def reply(self, server: str, exchange: Exchange) -> Bound:
        """Take a reply; the bound as of its arrival."""
        now_ns = exchange.received_ns
        self._newest_ns = max(self._newest_ns, now_ns)
        self._advance(now_ns)
        source = self._sources[server]
        source.heard(exchange)
        for other in self._sources.values():
            if other is not source:
                other.outlive()
        if self._leap.is_guarded or exchange.sent_ns < self._clear_from_ns:
            return self.at(now_ns)
        if self._doubt is None:
            self._hear(source, exchange)
        else:
            self._doubt.take(server, exchange)
            self._settle(now_ns)
        bound = self.at(now_ns)
        if bound.interval is not None and bound.status is BoundStatus.SYNCHRONIZED:
            self._frequency.add(bound.steady_ns, bound.interval)
        return bound

    def failure(self, server: str, failure: Failure) -> None:
        """Take an exchange that proves nothing."""
        self._sources[server].failure(failure)

    def _hear(self, source: Source, exchange: Exchange) -> None:
        """Add a sample to its server's history, unless it contradicts it."""
        now_ns = exchange.received_ns
        drift = self._frequency.at(now_ns)
        before = source.at(now_ns, drift)
        if before is None or before.meets(sample_of(exchange, drift)):
            source.hold(exchange)
            return
        in_use = self._in_use()
        regions = {each.server: region for each in in_use if (region := each.at(now_ns, drift)) is not None}
        majority = majority_of(list(regions.values()), len(in_use), self._tolerance(len(in_use)))
        known_false = majority is not None and not before.meets(majority)
        if known_false or not (source.may_raise_doubt or len(in_use) <= 2):
            source.lose_vote([exchange])
            return
        self._doubt = Doubt(now_ns, source.server, regions, drift)
        self._action = Action.ASK_ALL
        self._settle(now_ns)

    def _settle(self, now_ns: int) -> None:
        """End the doubt if what was answered suffices, or nothing more is waited for."""
        doubt = self._doubt
        if doubt is None:
            return
        in_use = [source.server for source in self._in_use()]
        tolerated = self._tolerance(len(in_use))
        outcome = doubt.outcome(now_ns, in_use, tolerated)
        if outcome is Outcome.OPEN:
            return
        self._doubt = None
        if outcome is Outcome.STEADY:
            self._believe(doubt)
        else:
            self._renounce(doubt)

    def _believe(self, doubt: Doubt) -> None:
        """The histories stand; who contradicts its own loses its vote."""
        if doubt.agrees(doubt.raised_by):
            self._sources[doubt.raised_by].suspect()
        for server, samples in doubt.samples.items():
            source = self._sources[server]
            if server in doubt.regions and not doubt.agrees(server):
                source.lose_vote(samples)
                continue
            for exchange in samples:
                if doubt.allows_none(server, exchange):
                    source.hold(exchange)

    def _renounce(self, doubt: Doubt) -> None:
        """UTC − S jumped, or nobody can tell: only what was sent since counts."""
        in_use = [source.server for source in self._in_use()]
        found = doubt.proven_jump(in_use, self._tolerance(len(in_use)))
        self.last_jump_ns = None if found is None else found.middle_ns
        self._sources[doubt.raised_by].suspect()
        self._carried = [
            (server, exchange) for server, samples in doubt.samples.items() for exchange in samples
        ]
        self._forget(BoundStatus.DISRUPTED, BoundReason.DISRUPTED)
        self._action = Action.NEW_EPOCH

    def _advance(self, now_ns: int) -> None:
        """Follow UTC through the end of a month, and a doubt through its time."""
        self._settle(now_ns)
        if self._known is None:
            return
        at_ns, interval = self._known
        aged = self._frequency.at(now_ns).age(interval, max(0, now_ns - at_ns))
        utc = Interval(aged.lower_ns + now_ns, aged.upper_ns + now_ns)
        passed = self._leap.advance(utc, self._announced())
        if passed is None:
            return
        self._clear_from_ns = now_ns
        if passed.move_ns is None:
            self._forget(BoundStatus.UNKNOWN, BoundReason.LEAP)
            self._action = Action.ASK_ALL
            return
        self._known = at_ns, interval.moved(passed.move_ns)
        self._frequency.move(passed.move_ns)
        for source in self._sources.values():
            source.move(passed.move_ns)

    def _announced(self) -> Leap | None:
        """The leap that n − f of the servers in use announce; None while they dispute it."""
        in_use = self._in_use()
        leaps = [source.last.header.leap for source in in_use if source.last is not None]
        return announced(leaps, len(in_use) - self._tolerance(len(in_use)))

    def at(self, steady_ns: int) -> Bound:
        """The bound at S = ``steady_ns``, or at the newest exchange if that is later."""
        steady_ns = max(steady_ns, self._newest_ns)
        self._advance(steady_ns)
        drift = self._frequency.at(steady_ns)
        in_use = self._in_use()
        proven = {source.server: source.at(steady_ns, drift) for source in in_use}
        intervals = {server: interval for server, interval in proven.items() if interval is not None}
        tolerated = self._tolerance(len(in_use))
        majority = majority_of(list(intervals.values()), len(in_use), tolerated)
        status, reason = BoundStatus.UNKNOWN, BoundReason.NO_SERVERS
        if self._sources:
            status, reason = standing(in_use, len(intervals), tolerated, majority)
        published = majority
        if self._leap.is_guarded:
            published, status, reason = None, BoundStatus.UNKNOWN, BoundReason.LEAP
        elif self._doubt is not None:
            published, status, reason = None, BoundStatus.UNKNOWN, BoundReason.CHECKING
        elif majority is not None:
            self._interrupted = None
            self._known = steady_ns, majority
        elif self._interrupted is not None:
            status, reason = self._interrupted
        leap = self._leap_today(steady_ns, majority)
        return Bound(
            steady_ns,
            published,
            drift,
            status,
            reason,
            tuple(
                judged(
                    source,
                    own := proven.get(source.server),
                    majority,
                    intervals,
                    smearing=self._is_smearing(source, own, majority, steady_ns),
                )
                for source in self._sources.values()
            ),
            leap,
        )

    def _leap_today(self, steady_ns: int, majority: Interval | None) -> Leap:
        """What may happen at the end of this day: while disputed, the leap that somebody announces."""
        if majority is None or not is_last_day(steady_ns + majority.upper_ns):
            return Leap.NONE
        leap = self._announced()
        if leap is not None:
            return leap
        named = {source.last.header.leap for source in self._in_use() if source.last is not None}
        return next((leap for leap in (Leap.INSERT, Leap.DELETE) if leap in named), Leap.NONE)

    def _is_smearing(
        self, source: Source, own: Interval | None, majority: Interval | None, steady_ns: int
    ) -> bool:
        if own is None or majority is None or own.meets(majority):
            return False
        if source.last is None or source.last.header.leap != Leap.NONE:
            return False
        near = self._leap.since_leap_ns(steady_ns + majority.middle_ns, self._announced())
        if near is None:
            return False
        error = Interval(own.lower_ns - majority.upper_ns, own.upper_ns - majority.lower_ns)
        return is_smearing(error, *near)

    def _in_use(self) -> list[Source]:
        return [source for source in self._sources.values() if not source.is_dead]

    def _tolerance(self, in_use: int) -> int:
        return largest_minority(in_use) if self._tolerated is None else self._tolerated
