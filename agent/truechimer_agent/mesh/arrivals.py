"""When a packet arrived, in S: no later than this, from the kernel's stamp where it can be trusted, sans-IO.

The kernel stamps in W, which is being steered. Between two readings of all clocks W − MONOTONIC changes by a
step alone; without one, so much of W took at least 1 / ``FASTEST_W`` of it in S. The reading right after the
packet was taken from the socket is so near to the stamp that this costs a tenth of a wake-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truechimer.readings import Reading

FASTEST_PERCENT = 111
"""W against RAW at most: the kernel's tick ± 10 %, its frequency and adjtime(3) 500 ppm each."""
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

    def latest_raw_ns(self, wall_ns: int | None, now: Reading) -> int:
        """RAW when a packet with the kernel's stamp ``wall_ns`` had arrived, at the latest.

        ``now`` was read after the packet was taken: without a stamp that can be trusted it is the answer.
        """
        user_ns = now.raw_ns + (now.width_ns + 1) // 2
        before = self._before
        if now.raw_ns - self._next.raw_ns >= _APART_NS and now.width_ns <= _WIDEST_NS:
            self._before, self._next = self._next, now
        if wall_ns is None:
            return user_ns
        noise_ns = (before.width_ns + now.width_ns) * FASTEST_PERCENT // 100 + 1
        unseen_ns = abs((now.wall_ns - now.mono_ns) - (before.wall_ns - before.mono_ns))
        if unseen_ns > noise_ns:
            return user_ns  # W stepped
        unseen_ns += noise_ns
        since_ns = now.wall_ns - wall_ns
        if since_ns < -unseen_ns or wall_ns < before.wall_ns - unseen_ns:
            return user_ns
        return min(user_ns, user_ns + unseen_ns - since_ns * 100 // FASTEST_PERCENT)
