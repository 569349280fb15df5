"""The sender's side of a session, sans-IO: what is in flight, what was lost, and on which way.

Numbers, time-outs, what came twice or out of order; :mod:`~truechimer_agent.stamp.runs` has the losses.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from truechimer_agent.stamp.directions import Probe, State
from truechimer_agent.stamp.runs import SEQUENCES, Kept, Runs

LEAST_KEPT = 64
KEPT_TIMEOUTS = 8
"""Probes are remembered so long, the last 64 whatever their age: a reply that comes later is a stranger's."""


class Told(enum.Enum):
    """What a reply turned out to be. LATE: its probe had ended before. STRANGE: to no probe that is known."""

    REPLY = enum.auto()
    LATE = enum.auto()
    DUPLICATE = enum.auto()
    STRANGE = enum.auto()


class Lost(NamedTuple):
    """A probe that was not answered in time: its number, and when it was sent (S)."""

    sequence: int
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Totals:
    """A session so far. ``sent`` is the sum of all that follows down to ``in_flight``.

    ``lost_forward``: the peer never saw them. ``lost_backward``: their replies were lost. ``undetermined``:
    lost, and a later reply may tell the way. ``unknown``: lost, and nobody ever will. ``failed``: somebody
    said that they got nowhere. ``reordered`` (RFC 4737, of the replies) and ``duplicated`` are counted
    beside. ``reflected``: how many the peer's present run had seen by its furthest reply, None before one.
    """

    sent: int
    received: int
    lost_forward: int
    lost_backward: int
    undetermined: int
    unknown: int
    failed: int
    in_flight: int
    reordered: int
    duplicated: int
    reflected: int | None


class Session:
    """One run of probes to one peer. Times are S in ns, and never go back.

    ``start``: the number of the first probe, and of the first that the reflector counts.
    """

    def __init__(self, timeout_ns: int, start: int = 0) -> None:
        self._timeout_ns = timeout_ns
        self._start = start
        self._kept = Kept()
        self._runs = Runs(self._kept, timeout_ns, start)
        self._oldest = 0  # the index of the first that is in flight, if any is
        self._full = 2 * LEAST_KEPT
        self._latest = -1
        self._received = self._reordered = self._duplicated = self._failed = 0

    @property
    def in_flight(self) -> int:
        """How many probes are."""
        kept = self._kept
        return sum(probe.state is State.IN_FLIGHT for probe in kept.probes[self._oldest - kept.first :])

    def send(self, now_ns: int) -> int:
        """A probe is being sent now: its number."""
        kept = self._kept
        if len(kept.probes) >= self._full:
            self._forget(now_ns)
        kept.probes.append(Probe(now_ns, self._runs.present))
        return (self._start + kept.sent - 1) % SEQUENCES

    def withdraw(self) -> None:
        """The probe whose number was given last has not left this host: there was none."""
        self._kept.probes.pop()

    def sent_ns(self, sequence: int) -> int | None:
        """When this probe was sent, None when it is not known."""
        probe = self._find(sequence)
        return None if probe is None else probe.sent_ns

    def fail(self, sequence: int) -> bool:
        """Somebody said that this probe got nowhere. Whether it was in flight."""
        probe = self._find(sequence)
        if probe is None or probe.state is not State.IN_FLIGHT:
            return False
        probe.state = State.FAILED
        self._failed += 1
        return True

    def receive(self, sequence: int, reflected: int, instance: int | None) -> Told:
        """A reply came to probe ``sequence``, the ``reflected``-th of this run of the reflector.

        ``instance`` None: the peer is none of ours.
        """
        probe = self._find(sequence)
        if probe is None:
            return Told.STRANGE
        if probe.state is State.REPLIED:
            self._duplicated += 1
            self._runs.again(probe, reflected, instance)
            return Told.DUPLICATE
        is_late = probe.state is not State.IN_FLIGHT
        self._failed -= probe.state is State.FAILED
        self._received += 1
        first = self._kept.first
        index = first + (sequence - self._start - first) % SEQUENCES
        self._reordered += index < self._latest
        self._latest = max(self._latest, index)
        self._runs.replied(probe, index, reflected, instance)
        return Told.LATE if is_late else Told.REPLY

    def expire(self, now_ns: int) -> list[Lost]:
        """The probes whose time is over by now and which are lost, each told once."""
        kept = self._kept
        lost: list[Lost] = []
        while self._oldest < kept.sent:
            probe = kept.probes[self._oldest - kept.first]
            if probe.state is State.IN_FLIGHT:
                if now_ns - probe.sent_ns < self._timeout_ns:
                    break
                probe.state = State.LOST
                lost.append(Lost((self._start + self._oldest) % SEQUENCES, probe.sent_ns))
            self._oldest += 1
        return lost

    def totals(self) -> Totals:
        """What is known now; as of the last ``expire``."""
        told = self._runs.told()
        return Totals(
            sent=self._kept.sent,
            received=self._received,
            lost_forward=told.forward,
            lost_backward=told.backward,
            undetermined=told.undetermined,
            unknown=told.unknown,
            failed=self._failed,
            in_flight=self.in_flight,
            reordered=self._reordered,
            duplicated=self._duplicated,
            reflected=self._runs.reflected,
        )

    def _find(self, sequence: int) -> Probe | None:
        kept = self._kept
        at = (sequence - self._start - kept.first) % SEQUENCES
        return kept.probes[at] if at < len(kept.probes) else None

    def _forget(self, now_ns: int) -> None:
        """Let go of probes that ended long ago."""
        kept = self._kept
        oldest_ns = now_ns - KEPT_TIMEOUTS * self._timeout_ns
        most = min(len(kept.probes) - LEAST_KEPT, self._oldest - kept.first)
        count = 0
        while count < most and kept.probes[count].sent_ns < oldest_ns:
            count += 1
        self._runs.forget(count)
        self._full = max(2 * LEAST_KEPT, 2 * len(kept.probes))
