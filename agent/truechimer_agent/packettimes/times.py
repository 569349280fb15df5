"""When a request left and its reply came, in S: from the kernel's stamps where they can be trusted, sans-IO.

The kernel stamps in W, which is being steered. Between two readings of all clocks W − MONOTONIC changes by a
step alone; without one, so much of W took between 1 / ``FASTEST_W`` and 1 / ``SLOWEST_W`` of it in S.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer.readings import Reading, SteadyClock

FASTEST_W = 1.101
"""W against RAW at most: the kernel's tick ± 10 %, its frequency and adjtime(3) 500 ppm each."""
SLOWEST_W = 0.899


@dataclass(frozen=True, slots=True)
class Times:
    """An exchange's local times, S in ns.

    Sent no earlier than ``sent_ns`` and received no later than ``received_ns``, for certain: these bound
    UTC. Most likely at ``likely_sent_ns`` and ``likely_received_ns``: these estimate it.
    """

    sent_ns: int
    received_ns: int
    likely_sent_ns: int
    likely_received_ns: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A stamp of W in S: certainly in [``earliest_ns``, ``latest_ns``], most likely at ``likely_ns``."""

    earliest_ns: int
    latest_ns: int
    likely_ns: int


def place(steady: SteadyClock, readings: Sequence[Reading], wall_ns: int) -> Placed | None:
    """Where in S the kernel read ``wall_ns`` from W.

    None when W stepped between two of the readings (in order, at least two), and when the stamp is not from
    between the first and the last of them.
    """
    unseen_ns = 0
    for sooner, later in pairwise(readings):
        noise_ns = math.ceil((sooner.width_ns + later.width_ns) * FASTEST_W)
        stepped_ns = abs((later.wall_ns - later.mono_ns) - (sooner.wall_ns - sooner.mono_ns))
        if stepped_ns > noise_ns:
            return None
        unseen_ns += stepped_ns + noise_ns
    if not readings[0].wall_ns - unseen_ns <= wall_ns <= readings[-1].wall_ns + unseen_ns:
        return None
    earliest_ns: list[int] = []
    latest_ns: list[int] = []
    for reading in readings:
        at_ns = steady.at(reading.raw_ns)
        margin_ns = (reading.width_ns + 1) // 2 + unseen_ns
        shares = sorted((wall_ns - reading.wall_ns) / rate for rate in (FASTEST_W, SLOWEST_W))
        earliest_ns.append(at_ns + math.floor(shares[0]) - margin_ns)
        latest_ns.append(at_ns + math.ceil(shares[1]) + margin_ns)
    lower_ns, upper_ns = max(earliest_ns), min(latest_ns)
    if lower_ns > upper_ns:
        return None
    return Placed(lower_ns, upper_ns, min(max(_interpolated(steady, readings, wall_ns), lower_ns), upper_ns))


def _interpolated(steady: SteadyClock, readings: Sequence[Reading], wall_ns: int) -> int:
    """S at a time of W, with W at an even rate between the readings around it."""
    after = next((n for n, each in enumerate(readings) if each.wall_ns > wall_ns), len(readings) - 1)
    sooner, later = readings[max(0, after - 1)], readings[max(1, after)]
    wall_span_ns, span_ns = later.wall_ns - sooner.wall_ns, later.raw_ns - sooner.raw_ns
    since_ns = wall_ns - sooner.wall_ns
    return steady.at(sooner.raw_ns) + (since_ns * span_ns // wall_span_ns if wall_span_ns > 0 else since_ns)


def times_of(
    steady: SteadyClock,
    readings: Sequence[Reading],
    sent_ns: int,
    transmit_wall_ns: int | None,
    receive_wall_ns: int | None,
) -> Times:
    """The times of an exchange.

    ``readings`` are in order, the first from before the send, the last from after the receive; ``sent_ns``
    is S right before the send; the stamps are the kernel's, None where there is none. A driver stamps
    what it sends before it hands it on (Linux, networking/timestamping), so that the stamp is no later
    than the sending. Stamps that cannot be right give way to the user-space times.
    """
    last = readings[-1]
    user_ns = steady.at(last.raw_ns) + (last.width_ns + 1) // 2
    user = Times(sent_ns, user_ns, sent_ns, user_ns)
    left = None if transmit_wall_ns is None else place(steady, readings, transmit_wall_ns)
    came = None if receive_wall_ns is None else place(steady, readings, receive_wall_ns)
    likely_sent_ns = sent_ns if left is None else max(sent_ns, left.likely_ns)
    likely_received_ns = user_ns if came is None else min(user_ns, came.likely_ns)
    if likely_received_ns < likely_sent_ns:
        return user
    return Times(
        sent_ns if left is None else max(sent_ns, left.earliest_ns),
        user_ns if came is None else min(user_ns, came.latest_ns),
        likely_sent_ns,
        likely_received_ns,
    )
