"""The interval of UTC − S that a majority of servers proves, and the verdict on each server.

Pure: exchanges and steady times in, values out. See docs/design.md for the stated assumptions.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from truechimer.codes import BoundReason, BoundStatus, Leap
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


ANNOUNCED_NS = 3_600_000_000_000
"""How long an announcement stands: servers are taken to announce a leap second an hour before."""


class Action(Enum):
    """What the estimator needs done."""

    NONE = auto()
    ASK_ALL = auto()
    SAY = auto()
    NEW_EPOCH = auto()


class Estimator:
    """Collects what servers say; ``tolerated`` falsetickers, None for the largest minority.

    After every reply or failure, and once a second, its owner asks ``take_action``.
    """

    def __init__(
        self, servers: Sequence[str], *, max_drift_ppb: int, wander_ppb: int, tolerated: int | None
    ) -> None:
        self._sources = {server: Source(server, wander_ppb) for server in servers}
        self._frequency = Frequency(max_drift_ppb, wander_ppb)
        self._tolerated = tolerated
        self._interrupted: tuple[BoundStatus, BoundReason] | None = None
        self._newest_ns = 0
        self._doubt: Doubt | None = None
        self._leap = LeapWatch()
        self._known: tuple[int, Interval] | None = None
        self._clear_from_ns = 0
        self._action = Action.NONE
        self.last_jump_ns: int | None = None

    @property
    def sources(self) -> Mapping[str, Source]:
        """The servers by name."""
        return self._sources

    def take_action(self) -> Action:
        """What must be done now; asked once, it is taken as done.

        ASK_ALL: a burst to every server at once; the bound is withdrawn. SAY: it stands again. NEW_EPOCH: the
        steady clock cannot be compared with what it was, so ``begin_epoch`` and a burst must follow
        (``last_jump_ns``: by how much UTC − S jumped, if that is proven).
        """
        action, self._action = self._action, Action.NONE
        return action

    def begin_epoch(self) -> None:
        """Forget everything that was measured in S: it cannot be compared any more."""
        self._forget(BoundStatus.DISRUPTED, BoundReason.DISRUPTED)
        self._leap.forget()

    def _forget(self, status: BoundStatus, reason: BoundReason) -> None:
        self._interrupted = status, reason
        self._doubt = None
        self._known = None
        self._frequency.forget()
        for source in self._sources.values():
            source.forget()

    def reply(self, server: str, exchange: Exchange, now_ns: int | None = None) -> Bound:
        """Take a reply, at S = ``now_ns`` if that is later than its arrival; the bound as of its arrival."""
        at_ns = exchange.received_ns
        now_ns = at_ns if now_ns is None else max(at_ns, now_ns)
        self._newest_ns = max(self._newest_ns, at_ns)
        self._advance(now_ns)
        source = self._sources[server]
        source.heard(exchange)
        for other in self._sources.values():
            if other is not source:
                other.outlive()
        if self._leap.is_guarded or exchange.sent_ns < self._clear_from_ns:
            return self.at(at_ns)
        if self._doubt is None:
            self._hear(source, exchange, now_ns)
        else:
            self._doubt.take(server, exchange)
            self._settle(now_ns)
        bound = self.at(at_ns)
        if bound.interval is not None and bound.status is BoundStatus.SYNCHRONIZED:
            self._frequency.add(bound.steady_ns, bound.interval)
        return bound

    def failure(self, server: str, failure: Failure) -> None:
        """Take an exchange that proves nothing."""
        self._sources[server].failure(failure)

    def _hear(self, source: Source, exchange: Exchange, now_ns: int) -> None:
        """Add a sample to its server's history, unless it contradicts it."""
        at_ns = exchange.received_ns
        drift = self._frequency.at(at_ns)
        before = source.at(at_ns, drift)
        if before is None or before.meets(sample_of(exchange, drift)):
            source.hold(exchange)
            return
        in_use = self._in_use()
        if not source.may_raise_doubt:
            self._disbelieve(source, exchange, len(in_use))
            return
        agreed_ns = source.newest_ns
        regions = {
            each.server: region
            for each in in_use
            if (region := each.at_until(agreed_ns, at_ns, drift)) is not None
        }
        self._doubt = Doubt(at_ns, now_ns, source.server, regions, drift)
        self._action = Action.ASK_ALL
        self._settle(now_ns)

    def _disbelieve(self, source: Source, exchange: Exchange, in_use: int) -> None:
        """It contradicts itself too often to be asked about: where others remain, it alone loses its vote."""
        if in_use > 2:
            source.lose_vote([exchange])
            return
        self.last_jump_ns = None
        self._forget(BoundStatus.DISRUPTED, BoundReason.DISRUPTED)
        source.lose_vote(())
        self._action = Action.NEW_EPOCH

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
        """The histories stand; who contradicts its own, or raises a doubt and is silent, loses its vote."""
        self._action = Action.SAY
        if doubt.raised_by not in doubt.samples:
            self._sources[doubt.raised_by].lose_vote(())
        elif doubt.agrees(doubt.raised_by):
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
        """UTC − S jumped, or may have, even amid the answers: all begins anew."""
        in_use = [source.server for source in self._in_use()]
        found = doubt.proven_jump(in_use, self._tolerance(len(in_use)))
        self.last_jump_ns = None if found is None else found.middle_ns
        if found is None:
            self._sources[doubt.raised_by].suspect()
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
        passed = self._leap.advance(utc, self._announced(now_ns))
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

    def _announced(self, now_ns: int) -> Leap | None:
        """The leap that n − f of the servers in use announce; None while they dispute it or are not heard."""
        in_use = self._in_use()
        leaps = [
            source.last.header.leap
            for source in in_use
            if source.last is not None and source.last.received_ns > now_ns - ANNOUNCED_NS
        ]
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
        if majority is not None and self._known is None and self._begin(steady_ns, majority):
            return self.at(steady_ns)
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

    def _begin(self, steady_ns: int, majority: Interval) -> bool:
        """Take the first bound of an epoch; whether it stood on samples from before a month's end."""
        self._known = steady_ns, majority
        self._advance(steady_ns)
        since_ns = self._leap.label_since_ns
        if since_ns is None or self._leap.is_guarded:
            return False
        bound_ns = since_ns - majority.lower_ns
        dropped = [source.drop_before(bound_ns) for source in self._sources.values()]
        if not any(dropped):
            return False
        self._known = None
        return True

    def _leap_today(self, steady_ns: int, majority: Interval | None) -> Leap:
        """What may happen at the end of this day; UNSYNCHRONISED when that is disputed or not heard."""
        if majority is None or not is_last_day(steady_ns + majority.upper_ns):
            return Leap.NONE
        leap = self._announced(steady_ns)
        return Leap.UNSYNCHRONISED if leap is None else leap

    def _is_smearing(
        self, source: Source, own: Interval | None, majority: Interval | None, steady_ns: int
    ) -> bool:
        if own is None or majority is None or own.meets(majority):
            return False
        if source.last is None or source.last.header.leap != Leap.NONE:
            return False
        near = self._leap.since_leap_ns(steady_ns + majority.middle_ns, self._announced(steady_ns))
        if near is None:
            return False
        error = Interval(own.lower_ns - majority.upper_ns, own.upper_ns - majority.lower_ns)
        return is_smearing(error, *near)

    def _in_use(self) -> list[Source]:
        return [source for source in self._sources.values() if not source.is_dead]

    def _tolerance(self, in_use: int) -> int:
        return largest_minority(in_use) if self._tolerated is None else self._tolerated
