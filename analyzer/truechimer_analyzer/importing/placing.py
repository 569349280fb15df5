"""From what parsers find to measurements with their names: counted, each with a time of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer_analyzer.importing.found import MS, NS, Found, Note, Probe, Refused, Replies, Stop, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truechimer_analyzer.importing.found import Measured


@dataclass(frozen=True, slots=True)
class Labels:
    """What the measurements are of: ``peer`` and ``source`` where the file does not say so itself.

    Where they were asked for they count before what the file says.
    """

    cluster: str
    node: str
    peer: str
    source: str
    runtime: str
    is_peer_asked: bool = False
    is_source_asked: bool = False


@dataclass(slots=True)
class Tally:
    """What became of the lines: how many measurements they gave, over which span, and what was refused."""

    imported: int = 0
    refused: int = 0
    first: Refused | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    notes: list[str] = field(default_factory=list)

    def span(self, begin_ns: int, end_ns: int) -> None:
        """Something was measured from then to then."""
        if self.from_ns is None or begin_ns < self.from_ns:
            self.from_ns = begin_ns
        if self.to_ns is None or end_ns > self.to_ns:
            self.to_ns = end_ns

    def refuse(self, refused: Refused) -> None:
        """A line was not taken."""
        self.refused += 1
        if self.first is None:
            self.first = refused


class _Spread:
    """Rows of equal time are 1 ms apart, in their order; what comes back in time stays where it is."""

    __slots__ = ("_given_ns", "_placed_ns")

    def __init__(self) -> None:
        self._given_ns = self._placed_ns = -1

    def place(self, time_ns: int) -> int:
        """The time of the next row."""
        placed_ns = time_ns
        if self._given_ns <= time_ns <= self._placed_ns:
            placed_ns = self._placed_ns + MS
        self._given_ns, self._placed_ns = time_ns, placed_ns
        return placed_ns

    def is_free(self, replies: Replies) -> bool:
        """Whether these all stay where they are."""
        time_ns = replies.time_ns
        return bool(time_ns[0] > self._placed_ns and (time_ns[1:] > time_ns[:-1]).all())

    def take(self, replies: Replies) -> None:
        """They stayed."""
        self._given_ns = self._placed_ns = int(replies.time_ns[-1])


def _together(replies: Replies, spread: _Spread, tally: Tally) -> Iterator[Measured]:
    tally.imported += len(replies.time_ns)
    if spread.is_free(replies):
        spread.take(replies)
        tally.span(int(replies.time_ns[0]), int(replies.time_ns[-1]))
        yield replies
        return
    for each in replies.singly():
        time_ns = spread.place(each.time_ns)
        tally.span(time_ns, time_ns)
        yield each._replace(time_ns=time_ns)


def placed(found: Iterable[Found], tally: Tally) -> Iterator[Measured]:
    """The measurements among what was found; the rest goes to ``tally``."""
    spreads: dict[object, _Spread] = {}
    for each in found:
        if isinstance(each, Replies):
            yield from _together(each, spreads.setdefault(("peer", each.peer), _Spread()), tally)
            continue
        if isinstance(each, Probe):
            key: object = ("peer", each.peer)
        elif isinstance(each, Stop):
            key = ("source", each.source)
        elif isinstance(each, Watched):
            tally.span(each.time_ns - round(each.observed_s * NS), each.time_ns)
            yield each
            continue
        else:
            if isinstance(each, Refused):
                tally.refuse(each)
            elif isinstance(each, Note) and each.text not in tally.notes:
                tally.notes.append(each.text)
            continue
        spread = spreads.get(key)
        if spread is None:
            spread = spreads[key] = _Spread()
        time_ns = spread.place(each.time_ns)
        tally.imported += 1
        tally.span(time_ns, time_ns)
        yield each if time_ns == each.time_ns else each._replace(time_ns=time_ns)
