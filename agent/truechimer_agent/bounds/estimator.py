"""The interval of UTC − S that a majority of servers proves, and the verdict on each server.

Pure: exchanges and steady times in, values out. See docs/design.md for the stated assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from truechimer.samples import BoundReason, BoundStatus, Leap, ServerVerdict
from truechimer_agent.bounds.doubt import Doubt, Outcome
from truechimer_agent.bounds.frequency import Frequency
from truechimer_agent.bounds.intervals import Drift, Interval, agreed, largest_minority
from truechimer_agent.bounds.leap import LeapWatch, announced, is_last_day, is_smearing
from truechimer_agent.bounds.source import Source, sample_of
from truechimer_agent.bounds.verdicts import Judged, judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truechimer_agent.ntp.exchange import Exchange, Failure


class Action(Enum):
    """What the estimator needs done."""

    NONE = auto()
    ASK_ALL = auto()
    NEW_EPOCH = auto()


@dataclass(frozen=True, slots=True)
class Bound:
    """UTC − S lies in ``interval`` at S = ``steady_ns``; None when nothing can be vouched for.

    ``leap``: what may happen at the end of this UTC day, the last of a month.
    """

    steady_ns: int
    interval: Interval | None
    drift: Drift
    status: BoundStatus
    reason: BoundReason
    servers: tuple[Judged, ...]
    leap: Leap = Leap.NONE

    def after(self, steady_ns: int) -> Interval | None:
        """The interval aged to a later S."""
        if self.interval is None:
            return None
        return self.drift.age(self.interval, max(0, steady_ns - self.steady_ns))

    def count(self, verdict: ServerVerdict) -> int:
        """How many servers have that verdict."""
        return sum(judged.verdict is verdict for judged in self.servers)


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
        self.last_jump_ns = 0

    @property
    def sources(self) -> Mapping[str, Source]:
        """The servers by name."""
        return self._sources

    def take_action(self) -> Action:
        """What must be done now; asked once, it is taken as done.

        ASK_ALL: a burst to every server at once. NEW_EPOCH: the steady clock cannot be compared with
        what it was (``last_jump_ns``: by how much UTC − S jumped): ``begin_epoch`` must follow.
        """
        action, self._action = self._action, Action.NONE
        return action

    def begin_epoch(self) -> None:
        """Forget everything that was measured in S: it cannot be compared any more.

        What was measured since a jump that the servers found is kept.
        """
        self._forget(BoundStatus.DISRUPTED, BoundReason.DISRUPTED)
        self._leap.forget()
        carried, self._carried = self._carried, []
        for server, exchange in carried:
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
        needed = len(in_use) - self._tolerance(len(in_use))
        majority = _majority(list(regions.values()), needed, self._tolerance(len(in_use)))
        known_false = majority is not None and not before.meets(majority)
        if known_false or not (source.may_raise_doubt or len(in_use) <= 2):
            source.lose_vote([exchange])
            return
        self._doubt = Doubt(now_ns, source.server, regions, drift)
        self._doubt.take(source.server, exchange)
        self._action = Action.ASK_ALL
        self._settle(now_ns)

    def _settle(self, now_ns: int) -> None:
        """End the doubt if what was answered suffices, or nothing more is waited for."""
        doubt = self._doubt
        if doubt is None:
            return
        in_use = [source.server for source in self._in_use()]
        outcome = doubt.outcome(now_ns, in_use, len(in_use) - self._tolerance(len(in_use)))
        if outcome is Outcome.OPEN:
            return
        self._doubt = None
        if outcome is Outcome.STEADY:
            self._believe(doubt)
        else:
            self._renounce(doubt)

    def _believe(self, doubt: Doubt) -> None:
        """The histories stand; who contradicts its own loses its vote."""
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
        found = doubt.jump(doubt.raised_by)
        self.last_jump_ns = 0 if found is None else found.middle_ns
        self._sources[doubt.raised_by].suspect()
        self._carried = [
            (server, exchange)
            for server, samples in doubt.samples.items()
            for exchange in samples
            if exchange.sent_ns >= doubt.since_ns
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
        self._known = at_ns, Interval(interval.lower_ns + passed.move_ns, interval.upper_ns + passed.move_ns)
        self._frequency.move(passed.move_ns)
        for source in self._sources.values():
            source.move(passed.move_ns)

    def _announced(self) -> Leap | None:
        """The leap that n − f of the servers in use announce; None while they dispute it."""
        in_use = self._in_use()
        leaps = [source.last.header.leap for source in in_use if source.last is not None]
        return announced(leaps, len(in_use) - self._tolerance(len(in_use)))

    def at(self, steady_ns: int) -> Bound:
        """The bound at S = ``steady_ns``, or at the newest exchange if that is later.

        The interval is published when some point lies in n − f of the n servers in use, silent ones
        counted. It holds every point in v − f of the v that have a vote: of those, at most f lie, so the
        truth is certainly in so many, and a silent server cannot turn a liar's overlap into a proof.
        """
        steady_ns = max(steady_ns, self._newest_ns)
        self._advance(steady_ns)
        drift = self._frequency.at(steady_ns)
        in_use = self._in_use()
        proven = {source.server: source.at(steady_ns, drift) for source in in_use}
        intervals = {server: interval for server, interval in proven.items() if interval is not None}
        tolerated = self._tolerance(len(in_use))
        needed = len(in_use) - tolerated
        majority = _majority(list(intervals.values()), needed, tolerated)
        status, reason = self._status(in_use, len(intervals), needed, majority)
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

    def _status(
        self, in_use: Sequence[Source], voting: int, needed: int, majority: Interval | None
    ) -> tuple[BoundStatus, BoundReason]:
        if not in_use:
            return BoundStatus.UNKNOWN, BoundReason.NO_REPLY if self._sources else BoundReason.NO_SERVERS
        reached = sum(source.is_reached or source.polls == 0 for source in in_use)
        if majority is not None:
            if reached < needed:
                return BoundStatus.HOLDOVER, BoundReason.SOURCES_BLOCKED
            single = len(in_use) == 1
            return BoundStatus.SYNCHRONIZED, BoundReason.SINGLE_SERVER if single else BoundReason.NONE
        if voting >= needed:
            return BoundStatus.UNKNOWN, BoundReason.NO_MAJORITY
        if any(source.polls == 0 for source in in_use):
            return BoundStatus.UNKNOWN, BoundReason.STARTING
        if voting == 0 and reached == 0:
            return BoundStatus.UNKNOWN, BoundReason.NO_REPLY
        return (
            BoundStatus.UNKNOWN,
            BoundReason.SOURCES_BLOCKED if reached < needed else BoundReason.NO_MAJORITY,
        )


def _majority(voting: list[Interval], needed: int, tolerated: int) -> Interval | None:
    if needed < 1 or agreed(voting, needed) is None:
        return None
    return agreed(voting, len(voting) - tolerated) if len(voting) > tolerated else None
