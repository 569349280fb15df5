"""What the servers in use agree on, and how far an answer that stands on them can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.codes import BoundReason, BoundStatus
from truechimer_agent.bounds.intervals import Interval, agreed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_agent.bounds.source import Source


def majority_of(voting: Sequence[Interval], in_use: int, tolerated: int) -> Interval | None:
    """The interval that certainly holds the truth when at most ``tolerated`` of ``in_use`` servers are wrong.

    None unless some point lies in n − f of the n servers in use, silent ones counted; then every point in
    v − f of the v that have a vote: of those, at most f are wrong, so the truth is certainly in so many,
    and a silent server cannot turn a liar's overlap into a proof.
    """
    needed = in_use - tolerated
    if needed < 1 or agreed(voting, needed) is None:
        return None
    return agreed(voting, len(voting) - tolerated) if len(voting) > tolerated else None


def standing(
    in_use: Sequence[Source], voting: int, tolerated: int, majority: Interval | None
) -> tuple[BoundStatus, BoundReason]:
    """Status and reason of an answer by so many voting servers."""
    if not in_use:
        return BoundStatus.UNKNOWN, BoundReason.NO_REPLY
    needed = len(in_use) - tolerated
    reached = sum(source.is_reached or source.polls == 0 for source in in_use)
    if majority is not None:
        if reached < needed:
            return BoundStatus.HOLDOVER, BoundReason.SOURCES_BLOCKED
        return BoundStatus.SYNCHRONIZED, _redundancy(len(in_use), tolerated)
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


def _redundancy(in_use: int, tolerated: int) -> BoundReason:
    """Whether the answer would bear one server that lies."""
    if tolerated:
        return BoundReason.NONE
    return BoundReason.SINGLE_SERVER if in_use == 1 else BoundReason.NO_REDUNDANCY
