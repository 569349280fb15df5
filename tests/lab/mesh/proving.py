"""The two experiments: bounds that hold the truth under disturbance, and a liar that is named."""

import random
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from lab.harness import Constant, Firewall, LogNormal, Mesh, Network, monotonic_s, wait_until, wall_ns
from lab.mesh.disturbing import Disturbances, Happened, disturb, drifting
from lab.mesh.judging import Containment, Naming, Truth, Widths
from lab.mesh.recorded import Hidden, Recorded

SETTLED_S = 22.0
"""Until every node has told twice what its wall clock did: summaries come every 10 s."""
MS = 1_000_000


def truth_of(mesh: Mesh) -> Truth:
    """W − UTC of a node."""
    return lambda name, at_ns: mesh.ahead_ns(name, at_ns) / 1e9


def settle(mesh: Mesh, without: str | None = None) -> None:
    """Wait until an answer about all nodes can be given; one has no bound of its own."""
    mesh.wait_synchronised(*(name for name in mesh.nodes if name != without))
    threading.Event().wait(SETTLED_S)


@dataclass(frozen=True)
class Containing:
    """The first experiment's recording, and what was found in it."""

    happened: Happened
    found: Containment
    direct: Widths


def contain(
    network: Network,
    directory: Path,
    *,
    seconds: float,
    interval_s: float = 0.1,
    every_s: float | None = None,
    seed: int = 1,
    plan: Disturbances,
    lines: bool = True,
) -> Containing:
    """Record for so long and ask `skew` as of every `every_s` (a round, when None) of it.

    With `lines` half of the pairs are joined by asymmetric links with jitter instead of directly; the ratio
    of widths is taken of the direct pairs alone, and of nodes that have NTP all the time.
    """
    rng = random.Random(seed)
    near, far = (0, 1, 2), (3, 4, 5)
    between = [(a, b) for a in near for b in far] if lines else []
    with ExitStack() as stack:
        mesh = stack.enter_context(Mesh(network, directory, interval_s=interval_s, lines=between))
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
        recorded, truth = Recorded.of(mesh.store), truth_of(mesh)
        remote = {frozenset(pair) for pair in mesh.lines}
        widths = OwnWidths(recorded)
        found, direct = Containment(), Widths()
        step_ns = round((every_s or interval_s) * 1e9)
        for to_ns in range(happened.began_ns, happened.ended_ns, step_ns):
            (cluster,) = recorded.skew(to_ns)["clusters"]
            at_ns = found.judge(cluster, truth)
            if at_ns is not None:
                own = {name: each for name, each in widths.at(at_ns).items() if name not in plan.without_ntp}
                beside = [
                    each for each in cluster["pairs"] if frozenset((each["a"], each["b"])) not in remote
                ]
                direct.compare({**cluster, "pairs": beside}, own)
        return Containing(happened, found, direct)


class OwnWidths:
    """How wide each node's own bound of UTC was."""

    def __init__(self, recorded: Recorded) -> None:
        rows = recorded.rows("truechimer_bound")
        width_s = rows.fields["upper_seconds"] - rows.fields["lower_seconds"]
        self._nodes = {
            name: (rows.time_ns[mine], width_s[mine])
            for name in sorted(set(rows.tags["node"].tolist()))
            for mine in [np.flatnonzero((rows.tags["node"] == name) & np.isfinite(width_s))]
        }

    def at(self, at_ns: int) -> dict[str, float]:
        """By node, the width of its last bound before an instant."""
        found = {}
        for name, (time_ns, width_s) in self._nodes.items():
            if last := np.searchsorted(time_ns, at_ns):
                found[name] = float(width_s[last - 1])
        return found


@dataclass(frozen=True, slots=True)
class Trial:
    """A lie of `node` from one instant to another (Unix ns)."""

    node: str
    since_ns: int
    until_ns: int


def lie(
    network: Network,
    directory: Path,
    *,
    trials: int,
    interval_s: float = 1.0,
    lie_ns: int = 20 * MS,
    two_faced: bool = False,
    liar: str = "n3",
    apart_s: float = 0.0,
    honest_s: float = 10.0,
    lying_rounds: int = 6,
    history_s: float = 0.0,
    seed: int = 1,
) -> Naming:
    """Let one of six nodes lie again and again, and ask `skew` as of every round of each lie.

    The truth about the honest pairs is some milliseconds: W of every node is off by some of its own. Before
    the first lie there are `history_s` of honest exchanges; earlier lies are hidden from later trials.
    `apart_s`: how long packets between nodes take, one way; 0: no link delays them. A liar with two faces is
    ahead to two of the others and behind to two, other ones in each trial.
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
        threading.Event().wait(history_s)
        done = [
            _trial(
                mesh,
                liar,
                _lies(mesh, liar, lie_ns, rng, two_faced=two_faced),
                interval_s * lying_rounds,
                honest_s + rng.random(),
            )
            for _ in range(trials)
        ]
        mesh.stop_agents()
        mesh.close_analyzer()
        return judge_trials(Recorded.of(mesh.store), done, truth_of(mesh), interval_s, lying_rounds)


def _lies(mesh: Mesh, liar: str, ns: int, rng: random.Random, *, two_faced: bool) -> dict[str, int]:
    """What is told to each of the others."""
    others = [name for name in mesh.nodes if name != liar]
    if not two_faced:
        return dict.fromkeys(others, ns * rng.choice((-1, 1)))
    rng.shuffle(others)
    return dict.fromkeys(others[:2], ns) | dict.fromkeys(others[2:4], -ns)


def _trial(mesh: Mesh, liar: str, lies: Mapping[str, int], lying_s: float, honest_s: float) -> Trial:
    pause = threading.Event()
    pause.wait(honest_s)
    steered = mesh.nodes[liar].lie
    assert steered is not None
    since_ns = wall_ns()
    steered.tell_each(lies)
    pause.wait(lying_s)
    steered.tell(0)
    return Trial(liar, since_ns, wall_ns())


MARGIN_S = 0.3
"""Of a round that ends: what was sent in it is back, and stamped within the clocks' bounds of UTC."""


def judge_trials(
    recorded: Recorded, done: Sequence[Trial], truth: Truth, interval_s: float, lying_rounds: int
) -> Naming:
    """As of the end of every round of every lie: who is certain, and what holds."""
    found = Naming()
    margin_ns = round(MARGIN_S * 1e9)
    for number, trial in enumerate(done):
        hidden = [
            Hidden(each.node, each.since_ns - margin_ns, each.until_ns + margin_ns) for each in done[:number]
        ]
        seen = recorded.hiding(hidden)
        certain: int | None = None
        for each in range(1, lying_rounds + 1):
            to_ns = trial.since_ns + round((each * interval_s + MARGIN_S) * 1e9)
            (cluster,) = seen.skew(to_ns)["clusters"]
            if found.answered(cluster, [trial.node], truth) and certain is None:
                certain = each
        found.rounds[certain] += 1
    return found


def named_live(mesh: Mesh, liar: str, timeout_s: float = 60.0) -> float:
    """Seconds until the analyzer's own answer has the liar, and nobody else, for certain."""
    began_s = monotonic_s()

    def certain() -> bool:
        (cluster,) = mesh.ask("/api/v1/skew")["clusters"]
        return bool(cluster["inconsistent"]["certain"] == [liar])

    wait_until(certain, f"{liar} to be certain", timeout_s=timeout_s, every_s=0.5)
    return monotonic_s() - began_s
