"""The three phases: the default settings, the advised ones under the same pauses, leaders that are killed."""

from __future__ import annotations

import random
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.etcd.advice import Advice, Measured, advised, measured, timeouts
from lab.etcd.members import Cluster, Far, Member
from lab.etcd.pausing import Pause, Pausing, suffer
from lab.etcd.settings import Budget, Settings, budget
from lab.etcd.watching import Watching
from lab.harness.clocks import monotonic_s, wait_until
from lab.harness.delays import LogNormal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.harness.network import Network

WAY = LogNormal(median_s=0.02, sigma=0.6, least_s=0.122)
"""150 ms in the mean, each way: a round trip of 300 ms."""
REPLACED_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Suffered:
    """What a phase of pauses did to a cluster: leader changes that its members saw, and elections begun."""

    settings: Settings
    changes: int
    terms: int
    leaders_stood_s: list[float]

    def __str__(self) -> str:
        longest_s = max(self.leaders_stood_s, default=0.0)
        beyond = sum(stood_s > self.settings.tolerated_s for stood_s in self.leaders_stood_s)
        return (
            f"{self.settings}: {self.changes} leader changes, {self.terms} terms; the leader stood "
            f"{len(self.leaders_stood_s)} times, up to {longest_s:.2f} s, {beyond} times longer than the "
            f"{self.settings.tolerated_s:.2f} s that no timer can outrun"
        )


@dataclass(frozen=True, slots=True)
class Replaced:
    """From the kill of a leader until another one said that it leads, and until it had committed a write."""

    led_s: float
    wrote_s: float
    terms: int

    def __str__(self) -> str:
        return (
            f"another leads after {self.led_s:.2f} s, has written after {self.wrote_s:.2f} s, "
            f"in {self.terms} terms"
        )


@dataclass
class Killed:
    """All kills of a leader, and the elections that members caused when they came back."""

    replaced: list[Replaced] = field(default_factory=list)
    disturbed: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard to try; `say` is told what comes of it, as it comes."""

    seconds: float
    kills: int
    pausing: Pausing
    seed: int = 1
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan; `advice` and `budget` predict what `advised` and `killed` show."""

    default: Suffered
    measured: Measured
    advice: Advice
    advised: Suffered
    budget: Budget
    killed: Killed


def far_apart(network: Network) -> Far:
    """Three hosts, 300 ms from each other."""
    far = Far(network)
    for link in far.links.values():
        link.set(delay=WAY)
    return far


def run(network: Network, directory: Path, plan: Plan) -> Outcome:
    """Default settings and what truechimer measures meanwhile; what follows of it; leaders killed."""
    far = far_apart(network)
    pauses = plan.pausing.schedule(plan.seconds, plan.seed)
    stood_s = [pause.length_s for pause in pauses]
    plan.say(f"{plan.seconds:g} s with {len(pauses)} pauses of {min(stood_s):.2f} to {max(stood_s):.2f} s")
    with Watching(network, far, directory / "watching") as watching:
        with Cluster(far, directory / "default", Settings(), watching.pid_files) as cluster:
            watching.wait_heard()
            default = suffered(cluster, pauses, plan.seconds)
        plan.say(f"default: {default}")
        with closing(watching.store(len(pauses))) as store:
            found, advice = measured(store), advised(store)
            for line in (f"measured: {found}", *timeouts(store), f"advice: {advice}"):
                plan.say(line)
        predicted = budget(advice.settings, found.typical_rtt_s)
        with Cluster(far, directory / "advised", advice.settings, watching.pid_files) as cluster:
            after = suffered(cluster, pauses, plan.seconds)
            plan.say(f"advised: {after}")
            plan.say(f"predicted of a killed leader, played through: {predicted}")
            dead = killed(cluster, plan.kills, plan.seed, plan.say)
    return Outcome(default, found, advice, after, predicted, dead)


def suffered(cluster: Cluster, pauses: list[Pause], seconds: float) -> Suffered:
    """Pause members for so long, and count."""
    before = cluster.wait_agreed()
    stood_s = suffer(cluster, pauses, seconds)
    after = cluster.wait_agreed()
    changes = [
        now.changes - then.changes for now in after for then in before if now.member_id == then.member_id
    ]
    return Suffered(cluster.settings, max(changes), after[0].term - before[0].term, stood_s)


def killed(cluster: Cluster, times: int, seed: int, say: Callable[[str], None]) -> Killed:
    """Kill the leader again and again, each time at a random moment between its heartbeats."""
    rng = random.Random(seed)
    found = Killed()
    for number in range(times):
        if number:
            term = cluster.wait_agreed()[0].term
            # A member that came back may call for votes before it hears of the leader.
            time.sleep(2 * cluster.settings.election_ms / 1000)
            found.disturbed += cluster.wait_agreed()[0].term - term
        found.replaced.append(_replaced(cluster, rng))
        say(f"  killed: {found.replaced[-1]}")
    return found


def _replaced(cluster: Cluster, rng: random.Random) -> Replaced:
    term = cluster.wait_agreed()[0].term
    dead = cluster.wait_led()
    survivors = [member for member in cluster.members if member is not dead]
    time.sleep(rng.random() * cluster.settings.heartbeat_s)
    began_s = monotonic_s()
    dead.process.kill()

    def led() -> tuple[Member, int] | None:
        for member in survivors:
            seen = member.seen()
            if seen is not None and seen.leads and seen.term > term:
                return member, seen.term
        return None

    leader, newest = wait_until(led, "another leader", timeout_s=REPLACED_WITHIN_S)
    led_s = monotonic_s() - began_s
    leader.put()
    wrote_s = monotonic_s() - began_s
    dead.restart()
    return Replaced(led_s, wrote_s, newest - term)
