"""The two recordings: a mesh whose clocks are disturbed, and one of whose nodes lies again and again."""

import pickle
import random
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Self

from lab.harness import Constant, Firewall, LogNormal, Mesh, Network, wall_ns
from lab.harness.mesh import Truth
from lab.mesh.disturbing import Disturbances, Happened, disturb, drifting
from lab.mesh.recorded import Recorded

SETTLED_S = 22.0
"""Until every node has told twice what its wall clock did: summaries come every 10 s."""
MS = 1_000_000
FILE = "recording.pickle"


@dataclass(frozen=True)
class Recording:
    """What is known of a recording besides its samples. Folder and store are a mesh's, that was closed."""

    directory: Path
    truth: Truth
    interval_s: float

    @classmethod
    def load(cls, directory: Path) -> Self:
        """What was kept in a folder."""
        found = pickle.loads((directory / FILE).read_bytes())
        if not isinstance(found, cls):
            raise TypeError(f"in {directory} there is a {type(found).__name__}")
        return found

    def keep(self) -> Self:
        """In its folder."""
        (self.directory / FILE).write_bytes(pickle.dumps(self))
        return self

    def samples(self) -> Recorded:
        """All that the agents sent."""
        return Recorded.of(self.directory / "analyzer" / "store")


@dataclass(frozen=True)
class Disturbed(Recording):
    """The first one; `lines`: the pairs that are joined by bad links instead of directly."""

    plan: Disturbances
    happened: Happened
    lines: frozenset[frozenset[str]]


@dataclass(frozen=True, slots=True)
class Trial:
    """A lie of `node` from one instant to another (Unix ns)."""

    node: str
    since_ns: int
    until_ns: int


@dataclass(frozen=True)
class Lied(Recording):
    """The second one."""

    trials: tuple[Trial, ...]
    lying_rounds: int


def settle(mesh: Mesh, without: str | None = None) -> None:
    """Wait until an answer about all nodes can be given; one has no bound of its own."""
    mesh.wait_synchronised(*(name for name in mesh.nodes if name != without))
    threading.Event().wait(SETTLED_S)


def record_disturbed(
    network: Network,
    directory: Path,
    *,
    seconds: float,
    interval_s: float,
    plan: Disturbances,
    seed: int = 1,
) -> Disturbed:
    """Six nodes: pairs within a half reach each other directly, others by asymmetric links with jitter."""
    rng = random.Random(seed)
    across = [(a, b) for a in (0, 1, 2) for b in (3, 4, 5)]
    with ExitStack() as stack:
        mesh = stack.enter_context(Mesh(network, directory, interval_s=interval_s, lines=across))
        for link in mesh.lines.values():
            for direction in (link.forward, link.backward):
                least_s = rng.choice((0.0005, 0.002, 0.004))
                direction.set(delay=LogNormal(0.0005, 0.8, least_s=least_s), loss=rng.choice((0.0, 0.05)))
        drifts = drifting(mesh, rng)
        if plan.never is not None:
            stack.enter_context(Firewall(mesh.nodes[plan.never].host, "replies"))
        mesh.start()
        settle(mesh, without=plan.never)
        happened = disturb(mesh, seconds, rng, drifts, plan)
        mesh.stop_agents()
        mesh.close_analyzer()
        lines = frozenset(frozenset(pair) for pair in mesh.lines)
        return Disturbed(directory, mesh.truth(), interval_s, plan, happened, lines).keep()


@dataclass(frozen=True, slots=True)
class Lie:
    """By how much; with two faces: to two of the others, and the other way to two more, drawn anew."""

    ns: int = 20 * MS
    two_faced: bool = False

    def faces(self, others: list[str], rng: random.Random) -> dict[str, int]:
        """What is told to each of the others."""
        if not self.two_faced:
            return dict.fromkeys(others, self.ns * rng.choice((-1, 1)))
        drawn = rng.sample(others, 4)
        return dict.fromkeys(drawn[:2], self.ns) | dict.fromkeys(drawn[2:], -self.ns)


def record_lies(
    network: Network,
    directory: Path,
    *,
    trials: int,
    lie: Lie,
    interval_s: float = 1.0,
    lying_rounds: int = 6,
    liar: str = "n3",
    apart_s: float = 0.0,
    honest_s: float = 10.0,
    history_s: float = 0.0,
    seed: int = 1,
) -> Lied:
    """One of six nodes lies for some rounds, after `honest_s`, again and again.

    The truth about the honest pairs is some milliseconds: W of every node is off by some of its own. Before
    the first lie there are `history_s` of honest exchanges. `apart_s`: how long packets between nodes take,
    one way; 0: no link delays them.
    """
    rng = random.Random(seed)
    lines = list(combinations(range(6), 2)) if apart_s else []
    with Mesh(network, directory, interval_s=interval_s, lines=lines) as mesh:
        for link in mesh.lines.values():
            link.set(delay=Constant(apart_s))
        drifting(mesh, rng)
        for node in mesh.nodes.values():
            node.clock.step_ns(rng.randint(-5 * MS, 5 * MS))
        mesh.start(liars=[liar])
        settle(mesh)
        pause = threading.Event()
        pause.wait(history_s)
        others = [name for name in mesh.nodes if name != liar]
        done = []
        for _ in range(trials):
            pause.wait(honest_s + rng.random())
            done.append(_trial(mesh, liar, lie.faces(others, rng), interval_s * lying_rounds))
        mesh.stop_agents()
        mesh.close_analyzer()
        return Lied(directory, mesh.truth(), interval_s, tuple(done), lying_rounds).keep()


def _trial(mesh: Mesh, liar: str, faces: Mapping[str, int], lying_s: float) -> Trial:
    steered = mesh.nodes[liar].lie
    assert steered is not None
    since_ns = wall_ns()
    steered.tell_each(faces)
    threading.Event().wait(lying_s)
    steered.tell(0)
    return Trial(liar, since_ns, wall_ns())
