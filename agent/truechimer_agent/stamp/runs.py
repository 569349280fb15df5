"""The losses of a session over the runs of its reflector, sans-IO.

A reflector of ours says which run of it answers (``instance``), and numbers distinct requests from 0 in each
run. When it began anew, losses that the earlier run had not settled can never be told. A peer that is none of
ours (STAMP or TWAMP Light, perhaps stateless and echoing the sender's number) tells no direction at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer_agent.stamp.directions import Directions, Past, Probe, State, directions, proofs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer_agent.stamp.directions import Proof

SEQUENCES = 1 << 32
NO_RUN = -1


@dataclass(slots=True)
class Kept:
    """A session's latest probes in order of sending; ``first`` is the index of the first of them."""

    probes: list[Probe] = field(default_factory=list)
    first: int = 0

    @property
    def sent(self) -> int:
        """How many were sent in the whole session."""
        return self.first + len(self.probes)


class Runs:
    """Accounts every probe of ``kept`` to the run of the reflector that it belongs to.

    ``present`` is the number of the run that answers now. ``start``: the first number that a run gives.
    """

    def __init__(self, kept: Kept, timeout_ns: int, start: int) -> None:
        self._kept = kept
        self._timeout_ns = timeout_ns
        self._start = start
        self.present = 0
        self._since = 0
        self._instance: int | None = None
        self._heard = False
        self._counts = False
        self._earlier: set[int | None] = set()
        self._past = Past()
        self._settled = [0, 0, 0]  # forward, backward, unknown of earlier runs
        self._top: Probe | None = None
        self._forgotten: int | None = None

    @property
    def reflected(self) -> int | None:
        """How many probes the present run had seen by its furthest reply, None before one."""
        return None if self._top is None else self._top.reflected + 1

    def replied(self, probe: Probe, index: int, reflected: int, instance: int | None) -> None:
        """The first reply to a probe came: the present run's, or that of another."""
        if probe.run != self.present and probe.state is State.LOST:
            self._take_back()
        was_lost = probe.state is State.LOST
        probe.state, probe.run, probe.sent_by = State.REPLIED, NO_RUN, self._kept.sent
        if not self._heard:
            self._hear(probe, instance)
        elif instance != self._instance:
            if instance in self._earlier and index < self._since:
                return  # a straggler of an earlier run
            self._begin(instance)
        if not self._counts:
            return
        number = self._unfolded(reflected)
        top = self._top
        if index < self._since and self._is_forgotten(number):
            return
        if top is not None and index >= top.sent_by and number <= top.reflected:
            # It forgot the session: its counting began anew.
            self._begin(instance)
            self._forgotten = top.reflected
            number = self._unfolded(reflected)
        if not 0 <= number < self._kept.sent:
            # It counts something else than our requests.
            self._begin(instance)
            self._counts = False
            return
        probe.run = self.present
        probe.reflected = number
        if was_lost and number < self._past.top:
            self._past.backward = max(0, self._past.backward - 1)
        if self._top is None or number > self._top.reflected:
            self._top = probe

    def again(self, probe: Probe, reflected: int, instance: int | None) -> None:
        """Another reply to a probe came.

        One that an earlier run answered was counted by the present one too: a duplicate of it came there.
        """
        if probe.run != self.present and self._counts and instance == self._instance:
            number = self._unfolded(reflected)
            if not self._is_forgotten(number):
                probe.run, probe.reflected = self.present, number

    def told(self) -> Directions:
        """The lost probes of all runs."""
        now = self._now()
        forward, backward, unknown = self._settled
        return Directions(
            now.forward + forward, now.backward + backward, now.unknown + unknown, now.undetermined
        )

    def forget(self, count: int) -> None:
        """Let go of the first probes, which have all ended; what their replies proved stays."""
        kept, past = self._kept, self._past
        for proof in self._proofs():
            if proof.at < count:
                past.backward = max(past.backward, proof.backward)
                past.absent = max(past.absent, proof.absent)
        for probe in kept.probes[:count]:
            if probe.run != self.present:
                continue
            past.until_ns = probe.sent_ns
            if probe.state is State.LOST:
                past.lost += 1
                past.doubtful += probe.doubtful
            elif probe.state is State.REPLIED:
                past.replied += 1
                past.top = max(past.top, probe.reflected)
        del kept.probes[:count]
        kept.first += count

    def _hear(self, probe: Probe, instance: int | None) -> None:
        """The first reply of all. When it took long, the peer may have begun anew in the meantime."""
        self._heard = True
        self._instance = instance
        self._counts = instance is not None
        kept = self._kept
        if kept.first or probe.sent_ns - kept.probes[0].sent_ns > self._timeout_ns:
            self._doubt()

    def _begin(self, instance: int | None) -> None:
        """The reflector began anew: what is not told of its earlier run will not be told."""
        now = self._now()
        self._settled[0] += now.forward
        self._settled[1] += now.backward
        self._settled[2] += now.unknown
        # One that counts on from before would have counted probes that others answered.
        self._counts = instance is not None and instance not in self._earlier
        if instance != self._instance:
            self._earlier.add(self._instance)
        self._instance = instance
        self._forgotten = None
        self.present += 1
        self._since = self._kept.sent
        ended = (probe.sent_ns for probe in self._kept.probes if probe.state is State.LOST)
        self._past = Past(lost=now.undetermined, until_ns=max(ended, default=self._past.until_ns))
        self._top = None
        for probe in self._kept.probes:
            if probe.state is State.IN_FLIGHT:
                probe.run = self.present
        self._doubt()

    def _doubt(self) -> None:
        """None of the probes so far is sure to have been for the present run."""
        self._past.doubtful = self._past.lost
        for probe in self._kept.probes:
            probe.doubtful = True

    def _take_back(self) -> None:
        """A reply came to a probe that an earlier run's account has as lost."""
        if self._past.doubtful:
            self._past.doubtful -= 1
            self._past.lost -= 1
            return
        for kind in (2, 1, 0):
            if self._settled[kind]:
                self._settled[kind] -= 1
                return

    def _now(self) -> Directions:
        past = self._past
        kept = self._kept.probes
        lost_now = [probe for probe in kept if probe.state is State.LOST and probe.run == self.present]
        lost = past.lost + len(lost_now)
        if self._heard and not self._counts:
            return Directions(0, 0, lost, 0)
        backward, absent = past.backward, past.absent
        for proof in self._proofs():
            backward, absent = max(backward, proof.backward), max(absent, proof.absent)
        doubtful = past.doubtful + sum(probe.doubtful for probe in lost_now)
        return directions(lost, doubtful, backward, absent)

    def _proofs(self) -> Iterator[Proof]:
        kept = self._kept
        return proofs(kept.probes, kept.first, self.present, self._past, self._timeout_ns)

    def _unfolded(self, reflected: int) -> int:
        near = 0 if self._top is None else self._top.reflected
        half = SEQUENCES // 2
        return near + (reflected - self._start - near + half) % SEQUENCES - half

    def _is_forgotten(self, number: int) -> bool:
        """Whether a number is of the counting that a reflector forgot rather than of its present one."""
        if self._forgotten is None:
            return False
        top = 0 if self._top is None else self._top.reflected
        return abs(number - self._forgotten) < abs(number - top)
