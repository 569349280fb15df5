"""What constraints prove, by trying everything, in exact fractions: for graphs of a handful of nodes."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import strategies as st

MS = Fraction(1, 1000)
Matrix = dict[tuple[int, int], Fraction]
Removals = list[frozenset[int]]


@dataclass(frozen=True)
class Graph:
    """Constraints with weights in milliseconds, and bounds of W − S of each node (None: unknown)."""

    count: int
    edges: tuple[tuple[int, int, int], ...]
    walls: tuple[tuple[int, int] | None, ...]
    true: tuple[int, ...]
    """A y in milliseconds of which all constraints are true that nobody lied about."""

    @property
    def tail(self):
        return [tail for tail, _, _ in self.edges]

    @property
    def head(self):
        return [head for _, head, _ in self.edges]

    @property
    def weight_s(self):
        return [weight / 1000 for _, _, weight in self.edges]


def paths(graph: Graph, removed: frozenset[int] = frozenset()) -> Matrix | None:
    """Floyd–Warshall over the fractions that the floats are; None: a negative cycle."""
    at: Matrix = {(node, node): Fraction(0) for node in range(graph.count)}
    for (tail, head, _), weight_s in zip(graph.edges, graph.weight_s, strict=True):
        if {tail, head}.isdisjoint(removed):
            exact = Fraction(weight_s)
            at[tail, head] = min(at.get((tail, head), exact), exact)
    nodes = range(graph.count)
    for through, a, b in itertools.product(nodes, nodes, nodes):
        if (a, through) in at and (through, b) in at:
            length = at[a, through] + at[through, b]
            at[a, b] = min(at.get((a, b), length), length)
    # Floats of milliseconds that add up to 0 may miss it by some ulps: no contradiction is that small.
    return None if any(at[node, node] < -Fraction(1, 10**12) for node in nodes) else at


def consistent_removals(graph: Graph, k: int) -> Removals:
    """Every set of up to k nodes without which no constraints contradict each other."""
    return [
        frozenset(removed)
        for size in range(k + 1)
        for removed in itertools.combinations(range(1, graph.count), size)
        if paths(graph, frozenset(removed)) is not None
    ]


def minimal(removals: Removals) -> set[frozenset[int]]:
    """Those that contain no other."""
    return {each for each in removals if not any(other < each for other in removals)}


INFINITE = Fraction(10**9)


def pair_bounds(graph: Graph, removals: Removals) -> Matrix:
    """W_b − W_a at most, the worst over removals of neither; INFINITE: unproven, absent: no such removal."""
    walls = [(0, 0), *graph.walls[1:]]
    found: Matrix = {}
    for removed in removals:
        at = paths(graph, removed)
        assert at is not None
        for a, b in itertools.permutations(set(range(graph.count)) - removed, 2):
            known = (a, b) in at and walls[a] is not None and walls[b] is not None
            bound = at[a, b] + (walls[b][1] - walls[a][0]) * MS if known else INFINITE
            found[a, b] = max(found.get((a, b), bound), bound)
    return found


def end_bound(graph: Graph, removals: Removals, members: set[int]) -> Fraction:
    """The same of all pairs by way of UTC: the worst over removals of upper − lower of two nodes."""
    found = -INFINITE
    for removed in removals:
        bounds = pair_bounds(graph, [removed])
        for a, b in itertools.permutations(members - removed, 2):
            found = max(found, min(INFINITE, bounds[a, 0] + bounds[0, b]))
    return found


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 6, lies: bool = True, unknown: bool = True) -> Graph:
    """Constraints that are true of some y, and tight as often as not, but for a few lies."""
    count = draw(st.integers(2, most))
    true = [0, *draw(st.lists(st.integers(-50, 50), min_size=count - 1, max_size=count - 1))]
    node = st.integers(0, count - 1)
    slack = st.sampled_from([0, 0, 0, 1, 2, 3, 5, 9, 20])
    if lies:
        slack |= st.sampled_from([0, 1, 2, 5, -1, -7])
    edges = draw(st.lists(st.tuples(node, node, slack), max_size=4 * count))
    wall = st.tuples(st.integers(-9, 0), st.integers(0, 9))
    walls = draw(st.lists(wall | st.none() if unknown else wall, min_size=count, max_size=count))
    told = [(a, b, true[b] - true[a] + more) for a, b, more in edges if a != b or more < 0]
    if draw(st.booleans()):
        told += [(b, a, true[a] - true[b] + more) for a, b, more in edges if a != b and more >= 0]
    return Graph(count, tuple(told), tuple(walls), tuple(true))


def connected_graph(seed: int, most: int = 7) -> Graph:
    """A sparse graph whose shortest paths take several hops, so that removals lengthen or cut them.

    One in three has a lie or two.
    """
    draw = random.Random(seed)
    count = draw.randint(4, most)
    true = [0, *(draw.randint(-50, 50) for _ in range(count - 1))]
    # In any order, so that those who are needed most are no particular ones.
    order = draw.sample(range(count), count)
    pairs = {(order[place], order[draw.randrange(place)]) for place in range(1, count)}
    pairs |= {tuple(draw.sample(range(count), 2)) for _ in range(draw.randint(0, count))}
    slack = {pair: draw.choice((1, 1, 2, 3, 30)) for a, b in pairs for pair in ((a, b), (b, a))}
    if seed % 3 == 0:
        for pair in draw.sample(sorted(slack), draw.randint(1, 2)):
            slack[pair] -= draw.choice((5, 40))
    edges = tuple((a, b, true[b] - true[a] + more) for (a, b), more in sorted(slack.items()))
    walls = tuple((-draw.randint(0, 9), draw.randint(0, 9)) for _ in range(count))
    return Graph(count, edges, walls, tuple(true))
