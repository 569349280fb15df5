"""When a packet arrived, in S: no later than this, from the kernel's stamp where it can be trusted, sans-IO.

The kernel stamps in W, which is being steered. Between two readings of all clocks W − MONOTONIC changes by a
step alone; without one W ran by no more than ``FASTEST_PERCENT`` too fast. While nobody slews W fast (over
0.4 %, none seen for 10 s), what it gained after the stamp is at most what it gained between the readings, and
0.5 % for slews that undo each other. Not seen are steps, or fast slews, that begin and are undone within one
pair of readings: mostly a fraction of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truechimer.readings import Reading

FASTEST_PERCENT = 111
"""W against RAW at most: as in :mod:`~truechimer_agent.packettimes.times`, rounded up to whole percents."""
FAST_SHARE = 250
_SLOW_SHARE = 200
CALM_NS = 10_000_000_000
_APART_NS = 50_000_000
_WIDEST_NS = 3_000


class Arrivals:
    """Keeps an earlier reading, so that a step of W between a stamp and now is seen.

    A stamp counts when it is no older than that reading: 50 ms at least, unless a starved host gives no
    tight ones.
    """

    def __init__(self, reading: Reading) -> None:
        self._before = reading
        self._next = reading
        self._slewed_ns = reading.raw_ns

    def latest_raw_ns(self, wall_ns: int | None, now: Reading) -> int:
        """RAW when a packet with the kernel's stamp ``wall_ns`` had arrived, at the latest.

        ``now`` was read after the packet was taken: without a stamp that can be trusted it is the answer.
        """
        user_ns = now.raw_ns + (now.width_ns + 1) // 2
        before = self._before
        if now.raw_ns - self._next.raw_ns >= _APART_NS and now.width_ns <= _WIDEST_NS:
            self._before, self._next = self._next, now
        noise_ns = (before.width_ns + now.width_ns) * FASTEST_PERCENT // 100 + 1
        unseen_ns = abs((now.wall_ns - now.mono_ns) - (before.wall_ns - before.mono_ns))
        span_ns = now.raw_ns - before.raw_ns
        gained_ns = now.wall_ns - before.wall_ns - span_ns
        if unseen_ns > noise_ns or abs(gained_ns) > noise_ns + span_ns // FAST_SHARE:
            self._slewed_ns = now.raw_ns
        if wall_ns is None or unseen_ns > noise_ns:
            return user_ns
        unseen_ns += noise_ns
        since_ns = now.wall_ns - wall_ns
        if since_ns < -unseen_ns or wall_ns < before.wall_ns - unseen_ns:
            return user_ns
        ahead_ns = since_ns - since_ns * 100 // FASTEST_PERCENT
        if now.raw_ns - self._slewed_ns > CALM_NS:
            ahead_ns = min(ahead_ns, max(0, gained_ns) + since_ns // _SLOW_SHARE)
        return min(user_ns, user_ns - since_ns + ahead_ns + unseen_ns)
