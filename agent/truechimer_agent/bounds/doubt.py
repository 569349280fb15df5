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
    from collections.abc import Collection, Mapping

    from truechimer_agent.ntp.exchange import Exchange

PATIENCE_NS = 1_000_000_000
"""How long the answers are awaited."""
_TELLING = 2
"""New samples of the server that raised the doubt which tell a bad stamp from a bad server."""
_FORGIVING = 3
"""Samples of a server among which one bad stamp is left out."""


class Outcome(Enum):
    """What the answers make of a doubt."""

    OPEN = auto()
    STEADY = auto()
    JUMPED = auto()


@dataclass(slots=True)
class Doubt:
    """The servers' answers since S = ``since_ns``, each held against that server's ``regions`` before.

    ``regions``: what each proved when the server that raised the doubt last agreed with itself, for the
    clocks may have stood still before the others' newest samples. ``raised_ns``: from when answers are waited
    for. Each sample bounds by how much UTC − S would have jumped since, if its server is right.
    """

    since_ns: int
    raised_ns: int
    raised_by: str
    regions: Mapping[str, Interval]
    drift: Drift
    samples: dict[str, list[Exchange]] = field(default_factory=dict)

    def take(self, server: str, exchange: Exchange) -> None:
        """Keep a sample that was asked for since: another may have been under way while the clocks stood."""
        if exchange.sent_ns >= self.since_ns:
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
        jumps = self._single_jumps(server)
        return agreed(jumps, len(jumps) - (len(jumps) >= _FORGIVING)) if jumps else None

    def _single_jumps(self, server: str) -> list[Interval]:
        return [found for each in self.samples.get(server, ()) if (found := self.jump_of(server, each))]

    def agrees(self, server: str) -> bool:
        """Whether a server's samples agree with its history, a single bad stamp forgiven."""
        found = self.jump(server)
        return found is not None and _stands(found)

    def allows_none(self, server: str, exchange: Exchange) -> bool:
        """Whether one sample agrees with its server's history; true without a history."""
        found = self.jump_of(server, exchange)
        return found is None or _stands(found)

    def outcome(self, now_ns: int, in_use: Collection[str], tolerated: int) -> Outcome:
        """What the answers of those ``in_use`` make of it, ``tolerated`` of whom may be wrong.

        STEADY: all but so many stand by their histories, and no jump that some server demands is possible.
        JUMPED: one is possible, too few stand by their histories, or not enough have answered in time: what
        was measured before is vouched for only as long as it is proven.
        """
        needed = len(in_use) - tolerated
        steady = sum(_stands(found) for found in self._jumps(in_use))
        waiting = not all(self._has_told(server) for server in in_use)
        if waiting and now_ns - self.raised_ns < PATIENCE_NS:
            return Outcome.OPEN
        if steady < needed or self.may_have_jumped(in_use, tolerated):
            return Outcome.JUMPED
        return Outcome.STEADY

    def may_have_jumped(self, in_use: Collection[str], tolerated: int) -> bool:
        """Whether some jump that one server demands is borne by all answers but ``tolerated``.

        A server whose samples allow no jump together may have told of one in their midst.
        """
        jumps = self._jumps(in_use)
        demanded = [each for each in jumps if not _stands(each)]
        torn = [
            Interval(min(each.lower_ns for each in singles), max(each.upper_ns for each in singles))
            for server in in_use
            if (singles := self._single_jumps(server)) and self.jump(server) is None
        ]
        jumps, demanded = jumps + torn, demanded + torn
        edges = {edge for each in jumps for edge in (each.lower_ns, each.upper_ns)}
        return any(
            any(each.lower_ns <= edge <= each.upper_ns for each in demanded)
            and sum(each.lower_ns <= edge <= each.upper_ns for each in jumps) >= len(jumps) - tolerated
            for edge in edges
        )

    def proven_jump(self, in_use: Collection[str], tolerated: int) -> Interval | None:
        """The jumps that all answers but ``tolerated`` bear; None when no jump at all is among them."""
        jumps = self._jumps(in_use)
        needed = len(jumps) - tolerated
        found = agreed(jumps, needed) if needed > 0 else None
        return None if found is None or _stands(found) else found

    def _jumps(self, in_use: Collection[str]) -> list[Interval]:
        return [found for server in in_use if (found := self.jump(server)) is not None]

    def _has_told(self, server: str) -> bool:
        return len(self.samples.get(server, ())) >= (_TELLING if server == self.raised_by else 1)


def jump(before: Interval, after: Interval) -> Interval:
    """By how much UTC − S jumped if it lay in ``before`` and lies in ``after``."""
    return Interval(after.lower_ns - before.upper_ns, after.upper_ns - before.lower_ns)


def _stands(jumped: Interval) -> bool:
    return jumped.lower_ns <= 0 <= jumped.upper_ns
