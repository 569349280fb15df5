"""On which way probes were lost, by what the reflector's counting proves. Pure.

The reflector numbers the distinct requests of a session 0, 1, 2, … as they arrive. Of the numbers below that
of a reply, those that no reply bears are *holes*: requests that arrived and whose replies did not come. So of
the probes without reply at least as many were lost on the way back as there are holes, less those that may
still be answered in time. And of the probes whose time was over before a probe was sent that has come back
(no request takes longer on the way than the whole exchange may) at most as many arrived as its number shows
holes: the rest never did. Both hold whatever was reordered; once a probe gets through after all earlier
ones have ended, both are exact.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class State(enum.Enum):
    """Where a probe is. FAILED: somebody said that it got nowhere, so it was neither lost nor reflected."""

    IN_FLIGHT = enum.auto()
    REPLIED = enum.auto()
    LOST = enum.auto()
    FAILED = enum.auto()


@dataclass(slots=True)
class Probe:
    """One probe, sent at ``sent_ns`` (S).

    ``run``: the run of the reflector that it is accounted to. With a reply, ``reflected`` is the reflector's
    number of it, and ``sent_by`` how many probes of the session had been sent when the reply came.
    ``doubtful``: it may have reached an earlier run, whose counting nobody can ask any more.
    """

    sent_ns: int
    run: int
    state: State = State.IN_FLIGHT
    reflected: int = -1
    sent_by: int = 0
    doubtful: bool = False


@dataclass(slots=True)
class Past:
    """What remains of a run's probes that are no longer kept one by one.

    ``replied`` and ``lost`` are how many; ``doubtful`` of the lost may have reached an earlier run.
    ``backward`` and ``absent`` are the most that their replies proved. ``top``: the highest number among
    them; ``until_ns``: when the last was sent.
    """

    replied: int = 0
    lost: int = 0
    doubtful: int = 0
    backward: int = 0
    absent: int = 0
    top: int = -1
    until_ns: int | None = None


class Proof(NamedTuple):
    """What one reply, to the probe ``at``, proves of the lost probes.

    At least ``backward`` were lost on the way back, at least ``absent`` never reached this run.
    """

    at: int
    backward: int
    absent: int


def proofs(probes: Sequence[Probe], first: int, run: int, past: Past, timeout_ns: int) -> Iterator[Proof]:
    """What each reply of a run proves. ``probes`` are in order of sending, the first has index ``first``."""
    replies = sorted(
        (probe.reflected, at)
        for at, probe in enumerate(probes)
        if probe.state is State.REPLIED and probe.run == run
    )
    if not replies:
        return
    sent_ns = [probe.sent_ns for probe in probes]
    lost = list(accumulate((_is_lost(probe, run) for probe in probes), initial=past.lost))
    flying = list(accumulate((probe.state is State.IN_FLIGHT for probe in probes), initial=0))
    for rank, (reflected, at) in enumerate(replies):
        probe = probes[at]
        holes = reflected - past.replied - rank
        backward = holes - flying[min(probe.sent_by - first, len(probes))]
        ended_ns = probe.sent_ns - timeout_ns
        absent = 0
        if past.until_ns is None or past.until_ns <= ended_ns:
            absent = lost[bisect_right(sent_ns, ended_ns)] - holes
        yield Proof(at, backward, absent)


def _is_lost(probe: Probe, run: int) -> bool:
    return probe.state is State.LOST and probe.run == run


class Directions(NamedTuple):
    """The lost probes of one run: these add up to all of them."""

    forward: int
    backward: int
    unknown: int
    undetermined: int


def directions(lost: int, doubtful: int, backward: int, absent: int) -> Directions:
    """Of ``lost`` probes at least ``backward`` and ``absent`` are proven to be the one or the other.

    Of those that never reached this run, as many as are ``doubtful`` may have reached an earlier one.
    """
    backward = min(max(backward, 0), lost)
    absent = min(max(absent, 0), lost - backward)
    unknown = min(doubtful, absent)
    return Directions(absent - unknown, backward, unknown, lost - backward - absent)
