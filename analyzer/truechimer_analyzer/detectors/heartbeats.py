"""What detectors are given: one path's heartbeats as they arrived, or its requests and their replies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Remembering:
    """What several settings of one detector have in common is worked out once."""

    @cached_property
    def _remembered(self) -> dict[object, tuple[Floats, ...]]:
        return {}

    def once(self, key: object, make: Callable[[], tuple[Floats, ...]]) -> tuple[Floats, ...]:
        """What ``make`` made when it was first asked for under ``key``: not to be changed."""
        found = self._remembered.get(key)
        if found is None:
            found = self._remembered[key] = make()
        return found


@dataclass(frozen=True)
class Heartbeats(Remembering):
    """One path's heartbeats in the order in which they arrived; lost ones are gaps in ``sequence``.

    ``arrived_s`` (m,) never descends, on the monitor's clock; ``sequence`` (m,) numbers them as they were
    sent, ``sent_s`` (m,) says when, on the peer's clock (a constant offset to the monitor's is harmless, but
    for NFD-S); ``interval_s`` is η, the interval at which they are sent; ``until_s`` is the end of what was
    observed: what had not arrived by then is censored, not dropped.
    """

    arrived_s: Floats
    sequence: NDArray[np.int64]
    sent_s: Floats
    interval_s: float
    until_s: float

    @cached_property
    def fresh(self) -> NDArray[np.bool_] | None:
        """Which were newer than all before them (m,); None when all were, as without overtaking."""
        if not len(self.sequence):
            return None
        newest = np.maximum.accumulate(self.sequence)
        fresh = np.ones(len(newest), dtype=np.bool_)
        np.greater(newest[1:], newest[:-1], out=fresh[1:])
        return None if fresh.all() else fresh


def heartbeats(
    sent_s: Floats, arrived_s: Floats, interval_s: float, until_s: float | None = None
) -> Heartbeats:
    """Heartbeats from when each was sent (n,) and arrived (n,), NaN where it was lost; in order of sending.

    ``until_s`` is by default one interval after the last was sent, or when the last arrived if later.
    """
    received = np.isfinite(arrived_s)
    every = bool(received.all())
    sequence = np.arange(len(arrived_s)) if every else np.flatnonzero(received)
    arrived, sent = (arrived_s, sent_s) if every else (arrived_s[received], sent_s[received])
    if np.any(arrived[1:] < arrived[:-1]):
        order = np.argsort(arrived, kind="stable")
        arrived, sent, sequence = arrived[order], sent[order], sequence[order]
    if until_s is None:
        until_s = float(sent_s[-1]) + interval_s if len(sent_s) else 0.0
        until_s = max(until_s, float(arrived[-1])) if len(arrived) else until_s
    return Heartbeats(arrived, sequence.astype(np.int64, copy=False), sent, interval_s, until_s)


def every_interval(delay_s: Floats, interval_s: float) -> Heartbeats:
    """Heartbeats sent at 0, η, 2η, … that took ``delay_s`` (n,), NaN where they were lost.

    So the delays that were measured by any schedule tell what a heartbeat every η would have met.
    """
    sent_s: Floats = np.arange(len(delay_s), dtype=np.float64)
    sent_s *= interval_s
    return heartbeats(sent_s, sent_s + delay_s, interval_s)


@dataclass(frozen=True)
class Requests(Remembering):
    """One path's requests in order of sending: ``sent_s`` (n,) and ``rtt_s`` (n,), NaN where no reply came.

    A reply later than the timeout still arrives and is still learned from: the prober waits for longer than
    the detectors do. A lost request teaches nothing but that it was lost; it is a true timeout.
    """

    sent_s: Floats
    rtt_s: Floats

    @cached_property
    def replies_s(self) -> Floats:
        """Round trips in the order in which the replies arrived (m,)."""
        replied = np.isfinite(self.rtt_s)
        rtt_s = self.rtt_s if replied.all() else self.rtt_s[replied]
        order = self._overtaking
        return rtt_s if order is None else rtt_s[order]

    @cached_property
    def known(self) -> NDArray[np.intp]:
        """How many replies had arrived when each request was sent (n,): only those may be learned from."""
        replied = np.isfinite(self.rtt_s)
        before = np.empty(len(replied), dtype=np.intp)
        if len(replied):
            before[0] = 0
            np.cumsum(replied[:-1], out=before[1:])
        late = self.sent_s[:-1] + self.rtt_s[:-1] > self.sent_s[1:]
        if not late.any():
            return before
        arrived_s = np.sort((self.sent_s + self.rtt_s)[replied])
        return np.searchsorted(arrived_s, self.sent_s, side="right").astype(np.intp, copy=False)

    @cached_property
    def _overtaking(self) -> NDArray[np.intp] | None:
        arrived_s = self.sent_s + self.rtt_s
        replied = np.isfinite(arrived_s)
        arrived_s = arrived_s if replied.all() else arrived_s[replied]
        if np.any(arrived_s[1:] < arrived_s[:-1]):
            return np.argsort(arrived_s, kind="stable")
        return None
