"""The interval of UTC − S that a majority of servers proves, and the verdict on each server.

Pure: exchanges and steady times in, values out. See docs/design.md for the stated assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.samples import BoundReason, BoundStatus, ServerReason, ServerVerdict
from truechimer_agent.bounds.frequency import Frequency
from truechimer_agent.bounds.intervals import Drift, Interval, agreed, largest_minority
from truechimer_agent.bounds.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truechimer_agent.ntp.exchange import Exchange, Failure


@dataclass(frozen=True, slots=True)
class Judged:
    """One server's interval and what the majority makes of it."""

    server: str
    verdict: ServerVerdict
    reason: ServerReason
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Bound:
    """UTC − S lies in ``interval`` at S = ``steady_ns``; None when nothing can be vouched for."""

    steady_ns: int
    interval: Interval | None
    drift: Drift
    status: BoundStatus
    reason: BoundReason
    servers: tuple[Judged, ...]

    def after(self, steady_ns: int) -> Interval | None:
        """The interval aged to a later S."""
        if self.interval is None:
            return None
        return self.drift.age(self.interval, max(0, steady_ns - self.steady_ns))

    def count(self, verdict: ServerVerdict) -> int:
        """How many servers have that verdict."""
        return sum(judged.verdict is verdict for judged in self.servers)


class Estimator:
    """Collects what servers say; ``tolerated`` falsetickers, None for the largest minority."""

    def __init__(
        self, servers: Sequence[str], *, max_drift_ppb: int, wander_ppb: int, tolerated: int | None
    ) -> None:
        self._sources = {server: Source(server) for server in servers}
        self._frequency = Frequency(max_drift_ppb, wander_ppb)
        self._tolerated = tolerated
        self._disrupted = False
        self._newest_ns = 0

    @property
    def sources(self) -> Mapping[str, Source]:
        """The servers by name."""
        return self._sources

    def begin_epoch(self) -> None:
        """Forget everything that was measured in S: it cannot be compared any more."""
        self._disrupted = True
        self._frequency.forget()
        for source in self._sources.values():
            source.forget()

    def reply(self, server: str, exchange: Exchange) -> Bound:
        """Take a reply; the bound as of its arrival."""
        self._sources[server].reply(exchange)
        self._newest_ns = max(self._newest_ns, exchange.received_ns)
        bound = self.at(exchange.received_ns)
        if bound.interval is not None and bound.status is BoundStatus.SYNCHRONIZED:
            self._frequency.add(bound.steady_ns, bound.interval)
        return bound

    def failure(self, server: str, failure: Failure) -> None:
        """Take an exchange that proves nothing."""
        self._sources[server].failure(failure)

    def at(self, steady_ns: int) -> Bound:
        """The bound at S = ``steady_ns``, or at the newest exchange if that is later.

        The interval is published when some point lies in n − f of the n servers in use, silent ones
        counted. It holds every point in v − f of the v that have a vote: of those, at most f lie, so the
        truth is certainly in so many, and a silent server cannot turn a liar's overlap into a proof.
        """
        steady_ns = max(steady_ns, self._newest_ns)
        drift = self._frequency.at(steady_ns)
        in_use = [source for source in self._sources.values() if not source.is_dead]
        proven = {source.server: source.at(steady_ns, drift) for source in in_use}
        intervals = {server: interval for server, interval in proven.items() if interval is not None}
        tolerated = self._tolerance(len(in_use))
        needed = len(in_use) - tolerated
        majority = _majority(list(intervals.values()), needed, tolerated)
        status, reason = self._status(in_use, len(intervals), needed, majority)
        if majority is not None:
            self._disrupted = False
        elif self._disrupted:
            status, reason = BoundStatus.DISRUPTED, BoundReason.DISRUPTED
        return Bound(
            steady_ns,
            majority,
            drift,
            status,
            reason,
            tuple(
                _verdict(source, proven.get(source.server), majority, intervals)
                for source in self._sources.values()
            ),
        )

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


def _verdict(
    source: Source, proven: Interval | None, majority: Interval | None, all_proven: Mapping[str, Interval]
) -> Judged:
    if proven is None:
        reason = source.reason if source.reason is not ServerReason.NONE else ServerReason.STALE
        return Judged(source.server, ServerVerdict.UNUSABLE, reason, None)
    if majority is None:
        return Judged(source.server, ServerVerdict.CONTESTED, ServerReason.NO_MAJORITY, proven)
    if not proven.meets(majority):
        return Judged(source.server, ServerVerdict.FALSETICKER, ServerReason.FALSETICKER, proven)
    rivals = (
        other
        for server, other in all_proven.items()
        if server != source.server and other.meets(majority) and not other.meets(proven)
    )
    if any(rivals):
        return Judged(source.server, ServerVerdict.CONTESTED, ServerReason.CONTESTED, proven)
    lost = bool(source.polls) and not source.is_reached
    return Judged(
        source.server,
        ServerVerdict.SELECTED,
        ServerReason.UNREACHABLE if lost else ServerReason.NONE,
        proven,
    )
