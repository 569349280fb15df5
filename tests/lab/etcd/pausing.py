"""Pauses as a collector of garbage makes them: seeded, one member at a time, the leader or a follower."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.harness.clocks import monotonic_s

if TYPE_CHECKING:
    from lab.etcd.members import Cluster

LEAD_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Pause:
    """`length_s` from `at_s` on after the beginning; of the leader, or else of follower number `follower`."""

    at_s: float
    length_s: float
    follower: int | None


@dataclass(frozen=True, slots=True)
class Pausing:
    """How they come: log-uniform lengths, rests of `rest_s` and exponentially more, a share to the leader."""

    shortest_s: float = 0.3
    longest_s: float = 3.0
    rest_s: float = 3.0
    more_s: float = 4.0
    leader_share: float = 0.5

    def schedule(self, seconds: float, seed: int) -> list[Pause]:
        """The pauses of `seconds`; the same for the same seed."""
        rng = random.Random(seed)
        pauses: list[Pause] = []
        at_s = self.rest_s
        while True:
            length_s = self.shortest_s * (self.longest_s / self.shortest_s) ** rng.random()
            follower = None if rng.random() < self.leader_share else rng.randrange(2)
            if at_s + length_s > seconds:
                return pauses
            pauses.append(Pause(at_s, length_s, follower))
            at_s += length_s + self.rest_s + (rng.expovariate(1 / self.more_s) if self.more_s else 0.0)


def suffer(cluster: Cluster, pauses: list[Pause], seconds: float) -> list[float]:
    """Pause members of the cluster as told, until `seconds` are over; how long the leaders stood, in s."""
    began_s = monotonic_s()
    stood_s: list[float] = []
    for pause in pauses:
        time.sleep(max(0.0, began_s + pause.at_s - monotonic_s()))
        leader = cluster.wait_led(LEAD_WITHIN_S)
        others = [member for member in cluster.members if member is not leader]
        member = leader if pause.follower is None else others[pause.follower]
        at_s = monotonic_s()
        member.process.pause()
        try:
            time.sleep(pause.length_s)
        finally:
            member.process.resume()
        if member is leader:
            stood_s.append(monotonic_s() - at_s)
    time.sleep(max(0.0, began_s + seconds - monotonic_s()))
    return stood_s
