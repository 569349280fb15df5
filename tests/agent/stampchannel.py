"""A way to a reflector and back that loses, reorders and duplicates; it knows what became of each probe."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer_agent.stamp.runs import SEQUENCES

if TYPE_CHECKING:
    import random

    from truechimer_agent.stamp.session import Session

MS = 1_000_000


@dataclass(frozen=True)
class Way:
    """One direction: probabilities per packet; delays in ms are drawn for each, so packets overtake."""

    loss: float = 0.0
    duplicate: float = 0.0
    least_ms: int = 1
    spread_ms: int = 0


@dataclass
class Truth:
    """What became of one probe."""

    arrived: bool = False
    replied: bool = False


@dataclass
class Channel:
    """Carries a session's probes to a reflector and its replies back.

    ``down`` are stretches of ms in which no reflector runs; after each it begins anew. ``stateless``: it
    echoes the sender's number. Not ``ours``: it has no TLV of ours.
    """

    session: Session
    there: Way
    back: Way
    rng: random.Random
    start: int = 0
    down: list[tuple[int, int]] = field(default_factory=list)
    stateless: bool = False
    ours: bool = True
    truth: list[Truth] = field(default_factory=list)
    now_ms: int = 0
    lossless: bool = False
    check: object = None

    def __post_init__(self):
        self._events = []
        self._order = itertools.count()
        self._seen = {}

    def _run_at(self, ms):
        """The number of the reflector's run, None while it is down."""
        if any(begin <= ms < end for begin, end in self.down):
            return None
        return sum(end <= ms for _, end in self.down)

    def _carry(self, way, what, *args):
        copies = 1 + (self.rng.random() < way.duplicate)
        if not self.lossless and self.rng.random() < way.loss:
            copies -= 1
        for _ in range(copies):
            at_ms = self.now_ms + way.least_ms + self.rng.randint(0, way.spread_ms)
            heapq.heappush(self._events, (at_ms, next(self._order), what, args))
        return copies

    def probe(self):
        sequence = self.session.send(self.now_ms * MS)
        assert sequence == (self.start + len(self.truth)) % SEQUENCES
        self.truth.append(Truth())
        self._carry(self.there, self._arrive, sequence, len(self.truth) - 1)

    def _arrive(self, sequence, index):
        run = self._run_at(self.now_ms)
        if run is None:
            return
        seen = self._seen.setdefault(run, set())
        if index in seen:
            return
        self.truth[index].arrived = True
        number = (self.start + len(seen)) % SEQUENCES
        seen.add(index)
        self._carry(
            self.back,
            self._come_back,
            sequence,
            sequence if self.stateless else number,
            1000 + run if self.ours else None,
            index,
        )

    def _come_back(self, sequence, number, instance, index):
        self.session.expire(self.now_ms * MS)
        self.session.receive(sequence, number, instance)
        self.truth[index].replied = True

    def run_until(self, ms):
        while self._events and self._events[0][0] <= ms:
            at_ms, _, what, args = heapq.heappop(self._events)
            self.now_ms = max(self.now_ms, at_ms)
            what(*args)
            if self.check is not None:
                self.check(self)
        self.now_ms = ms
        self.session.expire(ms * MS)

    def get_one_through(self, longest_ms):
        """Wait until all has ended, then send one probe without loss, and wait for it."""
        self.run_until(self.now_ms + longest_ms)
        while self._run_at(self.now_ms) is None:
            self.run_until(self.now_ms + 1)
        self.lossless = True
        self.probe()
        self.run_until(self.now_ms + longest_ms)

    def lost(self):
        """How many were truly lost there and back, of all that were not answered."""
        forward = sum(not probe.arrived for probe in self.truth)
        backward = sum(probe.arrived and not probe.replied for probe in self.truth)
        return forward, backward
