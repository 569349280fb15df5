"""What follows from a cluster's ε for programs: commit wait, last-write-wins, a configured maximum offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.codes import Judgement

if TYPE_CHECKING:
    from truechimer_analyzer.skew.proven import Epsilon


def commit_wait_s(epsilon_s: float) -> float:
    """How long a node waits by the wall clock that gave a timestamp until every clock has passed it."""
    return epsilon_s


def lww_gap_s(epsilon_s: float, resolution_s: float = 0.0) -> float:
    """Writes of two nodes whose timestamps differ by no more may be ordered wrongly: the later one is lost.

    ``resolution_s``: to what the timestamps are cut off.
    """
    return epsilon_s + resolution_s


def judge_max_offset(epsilon: Epsilon, configured_s: float) -> Judgement:
    """Whether all clocks are proven to be at most ``configured_s`` apart.

    Beyond: a pair is proven to be further apart. Within needs a bound of every pair of members: where two
    contradict each other one of them lies, and nothing is proven of its clock.
    """
    if epsilon.apart_s > configured_s:
        return Judgement.PROVEN_BEYOND
    if epsilon.epsilon_s is not None and epsilon.epsilon_s <= configured_s and not epsilon.contradicted:
        return Judgement.PROVEN_WITHIN
    return Judgement.UNPROVEN
