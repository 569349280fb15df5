"""A server contradicts its own history: either this host's clocks stopped, or that server is wrong.

A pause of a virtual machine that stops all of its clocks leaves no trace in any of them: UTC − S jumps, and
what was measured before is void. It shows only in that servers contradict what they said before. So all
are asked at once, and nothing is vouched for until they have answered. See docs/design.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from truechimer_agent.bounds.intervals import Drift, Interval, agreed
from truechimer_agent.bounds.source import sample_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from truechimer_agent.ntp.exchange import Exchange

PATIENCE_NS = 1_000_000_000
"""How long the answers are awaited."""
_TELLING = 3
"""Samples of the server that raised the doubt which tell a bad stamp from a bad server."""


class Outcome(Enum):
    """What the answers make of a doubt."""

    OPEN = auto()
    STEADY = auto()
    JUMPED = auto()


@dataclass(slots=True)
class Doubt:
    """The servers' answers since S = ``since_ns``, each held against that server's ``regions`` before.

    Each sample bounds by how much UTC − S would have jumped since, if its server is right.
    """

    since_ns: int
    raised_by: str
    regions: Mapping[str, Interval]
    drift: Drift
    samples: dict[str, list[Exchange]] = field(default_factory=dict)

    def take(self, server: str, exchange: Exchange) -> None:
        """Keep a sample that came while the doubt lasts."""
        self.samples.setdefault(server, []).append(exchange)

    def jump_of(self, server: str, exchange: Exchange) -> Interval | None:
        """The jumps that one sample allows; None of a server that had no vote before."""
        region = self.regions.get(server)
        if region is None:
            return None
        elapsed_ns = max(0, exchange.received_ns - self.since_ns)
        return jump(self.drift.age(region, elapsed_ns), sample_of(exchange, self.drift))

    def jump(self, server: str) -> Interval | None:
        """The jumps that a server's samples allow together, one bad stamp of three or more left out.

        None without a sample or a history, and of a server whose samples allow no jump at all.
        """
        jumps = [found for each in self.samples.get(server, ()) if (found := self.jump_of(server, each))]
        return agreed(jumps, len(jumps) - (len(jumps) >= _TELLING)) if jumps else None

    def agrees(self, server: str) -> bool:
        """Whether a server's samples agree with its history, a single bad stamp forgiven."""
        found = self.jump(server)
        return found is not None and _stands(found)

    def allows_none(self, server: str, exchange: Exchange) -> bool:
        """Whether one sample agrees with its server's history; true without a history."""
        found = self.jump_of(server, exchange)
        return found is None or _stands(found)

    def outcome(self, now_ns: int, in_use: Collection[str], needed: int) -> Outcome:
        """STEADY when ``needed`` servers agree with their own histories and no jump explains more answers.

        JUMPED when that cannot be any more, or is not so when the time for answers is over: what was
        measured before is vouched for only as long as it is proven.
        """
        jumps = [found for server in in_use if (found := self.jump(server)) is not None]
        steady = sum(_stands(found) for found in jumps)
        rival = _best_rival(jumps)
        waiting = [server for server in in_use if server in self.regions and not self._has_told(server)]
        if not waiting or now_ns - self.since_ns >= PATIENCE_NS:
            return Outcome.STEADY if steady >= needed and steady >= rival else Outcome.JUMPED
        silent = sum(server not in self.samples for server in waiting)
        if steady >= needed and steady >= rival + silent:
            return Outcome.STEADY
        return Outcome.JUMPED if steady + len(waiting) < needed else Outcome.OPEN

    def _has_told(self, server: str) -> bool:
        return len(self.samples.get(server, ())) >= (_TELLING if server == self.raised_by else 1)


def jump(before: Interval, after: Interval) -> Interval:
    """By how much UTC − S jumped if it lay in ``before`` and lies in ``after``."""
    return Interval(after.lower_ns - before.upper_ns, after.upper_ns - before.lower_ns)


def _stands(jumped: Interval) -> bool:
    return jumped.lower_ns <= 0 <= jumped.upper_ns


def _best_rival(jumps: Sequence[Interval]) -> int:
    """How many answers the jump explains that explains most of them, among jumps that some answer demands."""
    moved = [each for each in jumps if not _stands(each)]
    edges = [edge for each in jumps for edge in (each.lower_ns, each.upper_ns)]
    return max(
        (
            sum(other.lower_ns <= edge <= other.upper_ns for other in jumps)
            for edge in edges
            if any(each.lower_ns <= edge <= each.upper_ns for each in moved)
        ),
        default=0,
    )
