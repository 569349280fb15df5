import numpy as np
import pytest
from analyzer.skewsim.bruteforce import graphs, paths
from hypothesis import given

from truechimer_analyzer.skew import cycles
from truechimer_analyzer.skew.constraints import Constraints
from truechimer_analyzer.skew.cycles import negative_cycle


def check(constraints, graph_edges, cycle):
    """The cycle is one, of constraints that were given, and adds up to −excess."""
    edges = [graph_edges[index] for index in cycle.constraints]
    assert [tail for tail, _, _ in edges] == list(cycle.nodes)
    assert [head for _, head, _ in edges] == [*cycle.nodes[1:], cycle.nodes[0]]
    assert cycle.nodes[0] == min(cycle.nodes)
    assert len(set(cycle.nodes)) == len(cycle.nodes)
    assert 0 < cycle.excess_s <= -sum(weight for _, _, weight in edges) / 1000 + 1e-12
    assert cycle.excess_s == pytest.approx(-sum(weight for _, _, weight in edges) / 1000, abs=1e-9)


@given(graphs())
def test_a_cycle_is_found_where_there_is_one_and_is_what_it_says(graph):
    """Nodes, constraints and excess of the evidence fit what was given."""
    constraints = Constraints.of(graph.count, graph.tail, graph.head, graph.weight_s)
    cycle = negative_cycle(constraints)
    assert (cycle is None) == (paths(graph) is not None)
    if cycle is not None:
        check(constraints, graph.edges, cycle)
        assert cycle == negative_cycle(constraints)


@given(graphs())
def test_two_and_three_nodes_come_first(graph):
    """No longer cycle is given while two, and else three nodes contradict each other."""
    least = {}
    for tail, head, weight in graph.edges:
        least[tail, head] = min(weight, least.get((tail, head), weight))
    nodes = range(graph.count)
    none = 10**6
    two = min((least.get((a, b), none) + least.get((b, a), none) for a in nodes for b in nodes), default=0)
    own = any(weight < 0 for (a, b), weight in least.items() if a == b)
    three = any(
        least.get((a, b), none) + least.get((b, c), none) + least.get((c, a), none) < 0
        for a in nodes
        for b in nodes
        for c in nodes
        if len({a, b, c}) == 3
    )
    cycle = negative_cycle(Constraints.of(graph.count, graph.tail, graph.head, graph.weight_s))
    if two < 0 or own:
        assert len(cycle.nodes) <= 2
    elif three:
        assert len(cycle.nodes) == 3
    else:
        assert cycle is None or len(cycle.nodes) > 3


def ring(length, excess_ms, chords=()):
    edges = [(node, node % length + 1, 10) for node in range(1, length + 1)]
    edges[3] = (4, 5, -10 * (length - 1) - excess_ms)
    return [*edges, *chords]


@pytest.mark.parametrize(
    ("chords", "nodes"),
    [
        ((), tuple(range(1, 41))),
        (((20, 4, 5), (5, 20, 100)), None),
        (((8, 3, 90), (12, 2, 300)), (3, 4, 5, 6, 7, 8)),
        (((30, 28, 10), (8, 3, 90)), (3, 4, 5, 6, 7, 8)),
    ],
)
def test_a_long_cycle_is_cut_short_by_chords(chords, nodes):
    """Of a contradiction round forty nodes only those are shown that are needed."""
    edges = ring(40, 7, chords)
    tail, head, weight = (np.array(each) for each in zip(*edges, strict=True))
    constraints = Constraints.of(41, tail, head, weight / 1000)
    cycle = negative_cycle(constraints)
    check(constraints, edges, cycle)
    assert nodes is None or cycle.nodes == nodes


@pytest.mark.parametrize("seed", range(8))
def test_triangles_of_a_large_mesh_are_looked_up_in_pieces(monkeypatch, seed):
    """The worst triangle is found, whether they are looked at together or some at a time."""
    rng = np.random.default_rng(seed)
    count = 60
    tail, head = (each.ravel() for each in np.indices((count, count)))
    true_s = rng.uniform(-1, 1, count)
    weight_s = true_s[head] - true_s[tail] + rng.uniform(0.001, 0.002, len(tail))
    many = (tail == 0) | (head == 0) | ((tail % 10 == 9) & (seed % 2 == 0))
    few = (tail != head) & ((rng.uniform(size=len(tail)) < 0.3) | many)
    # Some that contradict what leads back by a third node; their own reverses are not there.
    lie = (tail % 10 == 5) & (head % 10 == 9)
    weight_s[lie] -= rng.uniform(0.004, 0.006, int(lie.sum()))
    keep = (few | lie) & ~((tail % 10 == 9) & (head % 10 == 5))
    constraints = Constraints.of(count, tail[keep], head[keep], weight_s[keep])
    least = np.full((count, count), np.inf)
    least[tail[keep], head[keep]] = weight_s[keep]
    assert (least + least.T).min() > 0
    triangles = least[:, :, None] + least[None, :, :] + least.T[:, None, :]
    found = negative_cycle(constraints)
    assert len(found.nodes) == 3
    assert found.excess_s == pytest.approx(-triangles.min())
    monkeypatch.setattr(cycles, "TRIANGLES_AT_ONCE", 50)
    assert negative_cycle(constraints) == found
