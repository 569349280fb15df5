"""Meshes of known truth, held against what is said of them: honest ones, and ones with a liar."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from analyzer.skewsim.lies import Lie
from analyzer.skewsim.world import World

from truechimer_analyzer.skew.epsilon import Epsilon, Skew, measure
from truechimer_analyzer.skew.liars import find_liars

WARM_UP_ROUNDS = 3


@dataclass
class Honest:
    """What came of honest meshes: of bounds looked at, how many missed the truth; how wide they were."""

    meshes: int = 0
    rounds: int = 0
    bounds: int = 0
    misses: int = 0
    inconsistent: int = 0
    epsilon_misses: int = 0
    blocked: int = 0
    blocked_bounded: int = 0
    ratios: list[float] = field(default_factory=list)
    """Width of a pair's bounds over the sum of the widths of its nodes' own intervals of UTC."""
    blocked_widths_s: list[float] = field(default_factory=list)


@dataclass
class Lied:
    """What came of meshes with a liar."""

    meshes: int = 0
    rounds: int = 0
    noticed: int = 0
    named: int = 0
    honest_named: int = 0
    more_than_one: int = 0
    robust_misses: int = 0
    """Meshes in which ε_1, or a pair's bounds for it, missed the truth of two honest nodes."""
    plain_misses: int = 0
    """The same of ε: meshes where nothing was noticed, and yet bounds were false."""
    unsaid: int = 0
    """Meshes in which nothing was said of a pair of honest nodes."""


def honest(seed: int, rounds: int, tally: Honest) -> Honest:
    """A mesh for so many rounds, added to the tally. ε_1 is worked out in one round of eight."""
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(3, 10))
    degree = int(rng.integers(2, min(nodes, 6)))
    blocked = frozenset((rng.permutation(nodes)[: int(rng.integers(0, max(1, nodes // 2)))] + 1).tolist())
    world = World(rng, nodes, degree, blocked)
    tally.meshes += 1
    for number in range(rounds):
        constraints = world.round()
        skew = measure(constraints, world.wall_lower_s, world.wall_upper_s, k=1 if number % 8 == 0 else 0)
        tally.rounds += 1
        tally.inconsistent += not skew.liars.consistent
        for found in (skew.all_true, skew.robust):
            outside = _outside(found, world.wall_error_s)
            tally.bounds += outside.size
            tally.misses += int(outside.sum())
            tally.epsilon_misses += _epsilon_missed(found, world.wall_error_s[1:])
        if number >= WARM_UP_ROUNDS and number % 8 == 0:
            _widths(world, skew, tally)
    return tally


def _outside(found: Epsilon, error_s: np.ndarray) -> np.ndarray:
    """Which ordered pairs (UTC among them) are further apart than is said of them."""
    pairs_s = found.pairs_upper_s
    assert pairs_s is not None
    between = error_s[None, :] - error_s[:, None]
    return np.where(np.isnan(pairs_s), False, between > pairs_s)


def _epsilon_missed(found: Epsilon, error_s: np.ndarray) -> bool:
    """Whether two of these are further apart than ε, or less than the least."""
    apart_s = float(error_s.max() - error_s.min())
    return (found.epsilon_s is not None and apart_s > found.epsilon_s) or apart_s < found.apart_s


def _widths(world: World, skew: Skew, tally: Honest) -> None:
    pairs_s = skew.all_true.pairs_upper_s
    assert pairs_s is not None
    wall_s = world.wall_upper_s - world.wall_lower_s
    # Steady clocks only: what W did over a round widens both alike.
    width_s = pairs_s + pairs_s.T - wall_s[:, None] - wall_s[None, :]
    own_s = np.full(world.nodes + 1, np.inf)
    heard = world.a == 0
    own_s[world.b[heard]] = (world.upper_s - world.lower_s)[heard]
    a, b = np.triu_indices(world.nodes, 1)
    both = np.isfinite(own_s[a + 1]) & np.isfinite(own_s[b + 1])
    tally.ratios += (width_s[a + 1, b + 1] / (own_s[a + 1] + own_s[b + 1]))[both].tolist()
    for node in world.blocked:
        tally.blocked += 1
        if np.isfinite(width_s[0, node]):
            tally.blocked_bounded += 1
            tally.blocked_widths_s.append(float(width_s[0, node]))


def lied(seed: int, rounds: int, tally: Lied, kind: str) -> Lied:
    """A mesh with one liar for so many rounds, added to the tally."""
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(4, 10))
    degree = int(rng.integers(2, nodes))
    blocked = frozenset((rng.permutation(nodes)[: int(rng.integers(0, max(1, nodes // 2)))] + 1).tolist())
    lie = Lie.draw(rng, nodes, kind)
    world = World(rng, nodes, degree, blocked, lie)
    honest_nodes = np.array([node for node in range(1, nodes + 1) if node != lie.node])
    shown = np.append(0, honest_nodes)
    tally.meshes += 1
    noticed = named = blamed = more = robust = plain = unsaid = False
    for _ in range(rounds):
        constraints = world.round()
        skew = measure(constraints, world.wall_lower_s, world.wall_upper_s)
        liars, error_s = skew.liars, world.wall_error_s
        tally.rounds += 1
        noticed |= not liars.consistent
        named |= lie.node in liars.certain
        blamed |= not set(liars.certain) <= {lie.node}
        more |= liars.more_than_k
        for found in (skew.all_true, skew.robust):
            missed = bool(_outside(found, error_s)[np.ix_(shown, shown)].any())
            missed |= found.epsilon_s is not None and float(np.ptp(error_s[honest_nodes])) > found.epsilon_s
            robust |= missed and found is skew.robust
            plain |= missed and found is skew.all_true
        assert skew.robust.pairs_upper_s is not None
        unsaid |= bool(np.isnan(skew.robust.pairs_upper_s[np.ix_(shown, shown)]).any())
    tally.noticed += noticed
    tally.named += named
    tally.honest_named += blamed
    tally.more_than_one += more
    tally.robust_misses += robust
    tally.plain_misses += plain
    tally.unsaid += unsaid
    return tally


LATEST_ROUND = 10


def rounds_until_named(seed: int, loss: float, *, forget: bool = False) -> int | None:
    """A full mesh of six, one of which adds 20 ms to its answers: in which round after that it is certain.

    None: not within ten. Where ``forget``, nothing is kept from round to round.
    """
    rng = np.random.default_rng(seed)
    liar, since = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    lie = Lie(liar, "answers", 0.02, float(since), np.ones(7))
    world = World(rng, 6, 5, lie=lie, loss=loss)
    for number in range(since + LATEST_ROUND):
        if forget:
            world.lower_s[:], world.upper_s[:] = -np.inf, np.inf
        liars = find_liars(world.round())
        assert set(liars.certain) <= {liar}
        assert liars.consistent or number >= since
        if liars.certain == (liar,):
            return number - since + 1
    return None
