"""What one server has said, and what it proves together: its aged samples, intersected."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import NtpOutcome, ServerReason
from truechimer_agent.bounds.intervals import Drift, Interval, agreed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from truechimer_agent.ntp.exchange import Exchange, Failure

KEPT = 64
REGAIN = 3
"""Samples that must agree before a server that contradicted itself votes again; twice as many each time."""
MOST_STRIKES = 7
FORGIVEN = 512
"""Agreeing samples in a row after which earlier contradictions no longer count."""
DEAD_POLLS = 8
HISTORY_NS = 3_600_000_000_000
"""Older samples are dropped when a new one comes: the wander is assumed over this horizon."""
_FEW = 5
_BURST_NS = 1_000_000_000
"""Replies closer together than this are of one burst."""

NO_SERVICE = {NtpOutcome.REFUSED, NtpOutcome.UNRESOLVED}
_NO_VOTE = {ServerReason.UNSYNCHRONISED, ServerReason.KISS_DENY, ServerReason.ROOT_DISTANCE_TOO_LARGE}


@dataclass(frozen=True, slots=True)
class Held:
    """A sample as it is aged: each of its bounds holds from an instant of its own."""

    lower_ns: int
    lower_at_ns: int
    upper_ns: int
    upper_at_ns: int

    def at(self, steady_ns: int, drift: Drift) -> Interval:
        """The interval of UTC − S aged to S = ``steady_ns``."""
        return Interval(
            drift.lower_after(self.lower_ns, max(0, steady_ns - self.lower_at_ns)),
            drift.upper_after(self.upper_ns, max(0, steady_ns - self.upper_at_ns)),
        )

    def moved(self, by_ns: int) -> Held:
        """The sample in a label of UTC that is ``by_ns`` later."""
        return Held(self.lower_ns + by_ns, self.lower_at_ns, self.upper_ns + by_ns, self.upper_at_ns)


def sample_of(exchange: Exchange, drift: Drift) -> Interval:
    """The interval of UTC − S that an exchange alone proves at its arrival."""
    elapsed_ns = exchange.received_ns - exchange.sent_ns
    return Interval(exchange.lower_ns, drift.upper_after(exchange.upper_ns, elapsed_ns))


class Source:
    """One server's history, its reach and its right to vote."""

    def __init__(self, server: str, wander_ppb: int) -> None:
        self.server = server
        self._wander_ppb = wander_ppb
        self.reach = 0
        self.polls = 0
        self.last: Exchange | None = None
        self.best: Exchange | None = None
        self.reason = ServerReason.UNREACHABLE
        self._held: deque[Held] = deque(maxlen=KEPT)
        self._proven: tuple[int, Interval] | None = None
        self._no_service = 0
        self._outlived = False
        self._regaining = False
        self._strikes = 0
        self._agreeing = 0

    def forget(self) -> None:
        """Begin anew: another epoch of S. That the server contradicted itself is not forgotten."""
        self._held.clear()
        self._proven = None
        self.last = self.best = None
        self.reason = ServerReason.UNREACHABLE

    def heard(self, exchange: Exchange) -> None:
        """Note a reply, whatever becomes of its sample; a burst's ``best`` is that of the least delay."""
        best = self.best
        if (
            best is None
            or exchange.received_ns - best.received_ns > _BURST_NS
            or exchange.delay_ns <= best.delay_ns
        ):
            self.best = exchange
        self.last = exchange
        self.reason = ServerReason.NONE

    def hold(self, exchange: Exchange) -> None:
        """Add a sample to the history."""
        self._proven = None
        while self._held and self._held[0].lower_at_ns < exchange.received_ns - HISTORY_NS:
            self._held.popleft()
        self._held.append(
            Held(exchange.lower_ns, exchange.received_ns, exchange.upper_ns, exchange.sent_ns),
        )
        self._agreeing += 1
        if self._agreeing >= FORGIVEN:
            self._strikes = 0

    def failure(self, failure: Failure) -> None:
        """Take an exchange that proves nothing; a server that disowns its own time loses what it said."""
        if failure.reason in _NO_VOTE:
            self._held.clear()
            self._proven = None
        self.reason = failure.reason

    def move(self, by_ns: int) -> None:
        """A leap second: UTC's label is ``by_ns`` later from now on."""
        self._held = deque((held.moved(by_ns) for held in self._held), maxlen=KEPT)
        self._proven = None

    def drop_before(self, steady_ns: int) -> bool:
        """Drop samples that were asked for before an S; whether there were any."""
        kept = [held for held in self._held if held.upper_at_ns >= steady_ns]
        if len(kept) == len(self._held):
            return False
        self._held = deque(kept, maxlen=KEPT)
        self._proven = None
        return True

    def lose_vote(self, since: Iterable[Exchange]) -> None:
        """It contradicted itself: only what it said ``since`` counts, once enough of it agrees."""
        self._held.clear()
        self.suspect()
        self._regaining = True
        for exchange in since:
            self.hold(exchange)

    def suspect(self) -> None:
        """Count a contradiction: it raises no further doubt until twice as many samples agree as before."""
        self._strikes = min(self._strikes + 1, MOST_STRIKES)
        self._agreeing = 0

    @property
    def may_raise_doubt(self) -> bool:
        """Whether a contradiction of this server is worth asking all others."""
        return self._agreeing >= self._needed_agreement

    @property
    def _needed_agreement(self) -> int:
        return REGAIN << (self._strikes - 1) if self._strikes else 0

    def polled(self, *, answered: bool, no_service: bool = False) -> None:
        """Shift the reach register by one poll (a burst counts once; RFC 5905 section 13).

        ``no_service``: every exchange of the poll was refused, or found no address.
        """
        self._no_service = self._no_service + 1 if no_service else 0
        self._outlived = self._outlived and no_service
        self.reach = (self.reach << 1 | int(answered)) & 0xFF
        self.polls += 1

    def outlive(self) -> None:
        """Another server answered: while this one refuses, that is its own doing and not the network's."""
        self._outlived = self._no_service > 0

    @property
    def is_dead(self) -> bool:
        """Proven not to serve: refused or without an address for eight polls running, or denied.

        Not when nobody else answered meanwhile: a firewall that refuses all says nothing of the servers.
        """
        refuses = self._no_service >= DEAD_POLLS and self._outlived
        return refuses or self.reason is ServerReason.KISS_DENY

    @property
    def is_reached(self) -> bool:
        """Whether any of the last three polls was answered."""
        return bool(self.reach & 0b111)

    def at(self, steady_ns: int, drift: Drift) -> Interval | None:
        """What the history proves of UTC − S at S = ``steady_ns``; None when the server has no vote.

        Points in at least N − q of the N aged samples, q = ⌈N/100⌉ for N ≥ 5, so that one bad stamp does
        not spoil the rest. A history that contradicts itself is dropped. Between replies the last answer is
        aged, not worked out anew.
        """
        if not self._held:
            return None
        drift = self._long_ago(steady_ns, drift)
        if self._proven is not None and self._proven[0] <= steady_ns:
            at_ns, interval = self._proven
            return drift.age(interval, steady_ns - at_ns)
        proven = _intersection(self._held, steady_ns, drift)
        if proven is None:
            newest = self._held[-1]
            self._held.clear()
            self._held.append(newest)
            self.suspect()
            self._regaining = True
        if self._regaining and self._agreeing < self._needed_agreement:
            self.reason = ServerReason.INCONSISTENT_WITH_ITSELF
            return None
        self._regaining = False
        if proven is not None:
            self._proven = (steady_ns, proven)
        return proven

    def _long_ago(self, steady_ns: int, drift: Drift) -> Drift:
        """What is known of the frequency lately holds for an hour; it wandered on in each one before."""
        hours = max(0, steady_ns - self._held[-1].lower_at_ns) // HISTORY_NS
        return drift.widened(self._wander_ppb * hours) if hours else drift

    def at_until(self, until_ns: int, steady_ns: int, drift: Drift) -> Interval | None:
        """As ``at``, by the samples alone that came until S = ``until_ns``; None without any."""
        if self.at(steady_ns, drift) is None:
            return None
        held = [each for each in self._held if each.lower_at_ns <= until_ns]
        return _intersection(held, steady_ns, self._long_ago(steady_ns, drift)) if held else None

    @property
    def newest_ns(self) -> int:
        """S of the newest sample; the history must not be empty."""
        return self._held[-1].lower_at_ns


def _intersection(samples: Collection[Held], steady_ns: int, drift: Drift) -> Interval | None:
    count = len(samples)
    spared = -(-count // 100) if count >= _FEW else 0
    return agreed([held.at(steady_ns, drift) for held in samples], count - spared)
