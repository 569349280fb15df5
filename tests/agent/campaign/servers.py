"""Simulated NTP servers: how far they are, how wrong they are, and what they say of themselves."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.campaign.host import DAY_NS, NS

from truechimer.codes import Leap
from truechimer_agent.ntp import packet

if TYPE_CHECKING:
    import random

    from agent.campaign.host import Month

_MOVES = {Leap.NONE: 0, Leap.INSERT: -NS, Leap.DELETE: NS}
_PACKET = struct.Struct("!BBbbIIIQQQQ")
_SHORT = 1 << 16
DISPERSION_PPM = 15
"""How fast an honest server's announced dispersion grows between its own updates (RFC 5905, PHI)."""


@dataclass(frozen=True, slots=True)
class Delay:
    """One direction of a path: a least delay, and what comes on top by a distribution."""

    kind: str
    least_ns: int
    scale_ns: float
    shape: float

    def draw_ns(self, rng: random.Random) -> int:
        """The next packet's delay."""
        if self.kind == "constant":
            return self.least_ns
        if self.kind == "lognormal":
            return self.least_ns + int(self.scale_ns * math.exp(self.shape * rng.gauss(0, 1)))
        return self.least_ns + int(self.scale_ns * (rng.paretovariate(self.shape) - 1))


@dataclass(slots=True)
class Lie:
    """How a lying server's clock is wrong: by ``offset_ns`` and a drift, or anew from time to time.

    ``kind``: constant, drifting, stepping (anew every ``period_ns``), contradicting (anew every sample).
    """

    kind: str
    offset_ns: int
    drift_ppm: float = 0.0
    period_ns: int = NS
    seed: int = 0
    base_ns: int = 0

    def error_ns(self, true_ns: int, rng: random.Random) -> int:
        """The lie at a true time."""
        if self.kind == "contradicting":
            return self.base_ns + int(rng.uniform(-1, 1) * self.offset_ns)
        if self.kind == "stepping":
            # A hash of the period's number: the same lie for every server that shares it.
            turn = (true_ns // self.period_ns * 2_654_435_761 + self.seed) % 1009
            return self.base_ns + int((turn / 504.5 - 1) * self.offset_ns)
        return self.base_ns + self.offset_ns + int(self.drift_ppm * 1e-6 * true_ns)


@dataclass(frozen=True, slots=True)
class LeapManners:
    """What a server does about the end of the month.

    It announces ``announced`` from ``lead_ns`` before until ``linger_ns`` after, its label moves by
    ``leapt``; ``smears``: it spreads the leap from noon to noon instead.
    """

    announced: Leap
    leapt: Leap
    lead_ns: int
    linger_ns: int
    smears: bool


@dataclass(slots=True)
class SimulatedServer:
    """One server; ``bad_ns``: the arrival times of its samples that do not hold, though it is honest."""

    name: str
    there: Delay
    back: Delay
    loss: float
    root_delay_ns: int
    root_dispersion_ns: int
    update_ns: int
    precision: int
    error_share: float
    error_kind: str
    error_period_ns: int
    manners: LeapManners
    bad_stamps: float
    lie: Lie | None = None
    lies_of_leaps: bool = False
    silences: tuple[tuple[int, int], ...] = ()
    bad_ns: set[int] = field(default_factory=set)

    @property
    def is_liar(self) -> bool:
        """Whether it may say what is not so."""
        return self.lie is not None or self.lies_of_leaps

    def is_silent(self, true_ns: int) -> bool:
        """Whether nothing answers there at a true time."""
        return any(first <= true_ns < last for first, last in self.silences)

    def _dispersion_ns(self, true_ns: int) -> int:
        return self.root_dispersion_ns + true_ns % self.update_ns * DISPERSION_PPM // 1_000_000

    def _error_ns(self, true_ns: int, rng: random.Random) -> int:
        """An honest server's error, within what it announces."""
        limit_ns = self.root_delay_ns // 2 + self._dispersion_ns(true_ns)
        share = self.error_share
        if self.error_kind == "turning":
            share *= math.sin(math.tau * true_ns / self.error_period_ns)
        elif self.error_kind == "noisy":
            share *= rng.uniform(-1, 1)
        return int(share * limit_ns)

    def _label_ns(self, month: Month, true_ns: int, error_ns: int) -> int:
        """What its clock shows; it leaps by its own clock."""
        manners = self.manners
        end_ns = month.start_ns + month.ends_at_ns
        shown_ns = month.start_ns + true_ns + error_ns
        if manners.smears:
            share = (shown_ns - end_ns + DAY_NS // 2) / DAY_NS
            return shown_ns + int(_MOVES[manners.leapt] * min(1.0, max(0.0, share)))
        at_ns = end_ns - (NS if manners.leapt is Leap.DELETE else 0)
        return shown_ns + (_MOVES[manners.leapt] if shown_ns >= at_ns else 0)

    def _announced(self, month: Month, true_ns: int) -> Leap:
        manners = self.manners
        before_ns = month.ends_at_ns - true_ns
        return manners.announced if -manners.linger_ns < before_ns <= manners.lead_ns else Leap.NONE

    def reply(self, month: Month, nonce: int, true_ns: int, hold_ns: int, rng: random.Random) -> bytes:
        """The packet for a request that arrives at a true time and is answered ``hold_ns`` later."""
        error_ns = self._error_ns(true_ns, rng)
        if self.lie is not None:
            error_ns += self.lie.error_ns(true_ns, rng)
        t2 = self._label_ns(month, true_ns, error_ns)
        t3 = self._label_ns(month, true_ns + hold_ns, error_ns)
        if self.bad_stamps and rng.random() < self.bad_stamps:
            off_ns = int(10 ** rng.uniform(4, 7)) * rng.choice((-1, 1))
            which = rng.randrange(3)
            t2 += off_ns if which != 1 else 0
            t3 += off_ns if which != 0 else 0
        # Stamps are read from a clock that advances by its precision.
        grain_ns = max(1, int(2.0**self.precision * NS))
        t2, t3 = t2 // grain_ns * grain_ns, t3 // grain_ns * grain_ns
        return _PACKET.pack(
            self._announced(month, true_ns) << 6 | 4 << 3 | 4,
            2,
            4,
            self.precision,
            _short(self.root_delay_ns),
            _short(self._dispersion_ns(true_ns)),
            0x7F7F0101,
            packet.from_unix_ns(t2 - NS),
            nonce,
            packet.from_unix_ns(t2),
            packet.from_unix_ns(t3),
        )


def _short(duration_ns: int) -> int:
    """NTP's 32-bit short format, rounded to the nearest."""
    return round(duration_ns * _SHORT / NS)
