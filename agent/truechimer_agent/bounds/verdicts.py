"""What the majority's interval means for each server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import ServerReason, ServerVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_agent.bounds.intervals import Interval
    from truechimer_agent.bounds.source import Source


@dataclass(frozen=True, slots=True)
class Judged:
    """One server's interval and what the majority makes of it."""

    server: str
    verdict: ServerVerdict
    reason: ServerReason
    interval: Interval | None


def judged(
    source: Source,
    proven: Interval | None,
    majority: Interval | None,
    all_proven: Mapping[str, Interval],
    *,
    smearing: bool,
) -> Judged:
    """The verdict on one server: ``proven`` is its own interval, ``all_proven`` everybody's who votes.

    ``smearing``: were it a falseticker, a leap smear would explain it.
    """
    if proven is None:
        reason = source.reason if source.reason is not ServerReason.NONE else ServerReason.STALE
        return Judged(source.server, ServerVerdict.UNUSABLE, reason, None)
    if majority is None:
        return Judged(source.server, ServerVerdict.CONTESTED, ServerReason.NO_MAJORITY, proven)
    if not proven.meets(majority):
        why = ServerReason.SMEARING if smearing else ServerReason.FALSETICKER
        return Judged(source.server, ServerVerdict.FALSETICKER, why, proven)
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
