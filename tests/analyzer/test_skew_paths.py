from fractions import Fraction

import numpy as np
import pytest
from analyzer.skewsim.bruteforce import graphs, paths
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.skew.constraints import Constraints
from truechimer_analyzer.skew.cycles import Inconsistent
from truechimer_analyzer.skew.paths import all_pairs, from_one

CLOSE = Fraction(1, 10**9)


def close_above(bound_s, exact):
    """Never tighter than what is proven, and hardly looser."""
    return exact <= Fraction(float(bound_s)) <= exact + CLOSE


@given(graphs())
def test_all_pairs_are_those_of_floyd_and_warshall_in_fractions_and_never_tighter(graph):
    """Every entry is the exact one rounded up by less than a nanosecond; contradictions are found exactly."""
    constraints = Constraints.of(graph.count, graph.tail, graph.head, graph.weight_s)
    exact = paths(graph)
    if exact is None:
        with pytest.raises(Inconsistent) as caught:
            all_pairs(constraints)
        assert caught.value.cycle.excess_s > 0
        return
    found = all_pairs(constraints)
    for a in range(graph.count):
        for b in range(graph.count):
            if (a, b) in exact:
                assert close_above(found[a, b], exact[a, b])
            else:
                assert found[a, b] == np.inf


@given(graphs(lies=False), st.data())
def test_bounds_from_one_are_its_row_and_its_column(graph, data):
    """What is proven against one node is what all pairs prove of it."""
    root = data.draw(st.integers(0, graph.count - 1))
    constraints = Constraints.of(graph.count, graph.tail, graph.head, graph.weight_s)
    lower_s, upper_s = from_one(constraints, root)
    pairs_s = all_pairs(constraints)
    np.testing.assert_array_equal(upper_s, pairs_s[root])
    np.testing.assert_array_equal(lower_s, -pairs_s[:, root])


def test_a_chain_of_awkward_floats_is_never_tighter_than_its_exact_sum():
    """A sum of a thousand tenths, which floats get wrong in both directions, stays above the exact one."""
    rng = np.random.default_rng(5)
    for scale in (1e-9, 1e-3, 0.1, 3600.0, 1e6):
        weights = rng.uniform(-1, 1, 1000) * scale
        constraints = Constraints.of(1001, np.arange(1000), np.arange(1, 1001), weights)
        exact = sum(map(Fraction, weights.tolist()))
        above = Fraction(float(from_one(constraints, 0)[1][-1])) - exact
        assert 0 <= above <= 1000 * (2 * Fraction(constraints.quantum_s) + 2 * Fraction(np.spacing(scale)))


def test_a_node_hours_off_costs_the_others_nothing():
    """The quantum stays far below a nanosecond when one node of a thousand is a day off."""
    nodes = np.arange(1, 1001)
    offset_s = np.where(nodes == 7, 86_400.0, 0.001)
    constraints = Constraints.of(
        1001, np.r_[nodes * 0, nodes], np.r_[nodes, nodes * 0], np.r_[offset_s + 1e-4, 1e-4 - offset_s]
    )
    assert constraints.quantum_s < 1e-10
    upper_s = all_pairs(constraints)
    assert upper_s[1, 2] == pytest.approx(2e-4, abs=1e-9)
    assert upper_s[1, 7] == pytest.approx(86_399.999 + 2e-4, abs=1e-9)


def test_loose_bounds_of_days_do_not_make_tight_ones_untrue():
    """Slacks too large for whole floats are rounded up, so that bounds stay true, if less tight."""
    tail, head = [1, 2, 2, 3, 3, 1, 0, 3], [2, 1, 3, 2, 1, 3, 3, 0]
    weights = [1e-4, 1e-4, 4e6, 4e6, 4e6, 4e6, 0.5, -0.5]
    upper_s = all_pairs(Constraints.of(4, tail, head, weights))
    assert 1e-4 <= upper_s[1, 2] < 1e-4 + 1e-8
    assert 4e6 <= upper_s[1, 3] < 4e6 + 1e-6


def test_a_cycle_of_excess_zero_is_no_contradiction():
    """Bounds u and −u of one difference, also as a caller's floats round them, agree."""
    u = 0.1 + 0.2
    found = all_pairs(Constraints.of(3, [1, 2, 2, 1], [2, 1, 1, 2], [u, -0.3, -u, 0.3]))
    assert found[1, 2] == pytest.approx(0.3)


def test_parallel_constraints_become_the_tightest_with_the_place_it_came_from():
    """Evidence can be traced to the caller's list; of equal ones the first is kept."""
    constraints = Constraints.of(3, [1, 1, 2, 1, 2], [2, 2, 1, 2, 2], [3.0, 2.0, np.inf, 2.0, 0.5])
    assert constraints.index.tolist() == [1]
    assert (constraints.tail.tolist(), constraints.head.tolist()) == ([1], [2])
    assert constraints.weight_s.tolist() == [2.0]


@pytest.mark.parametrize(
    ("tail", "head", "weight_s"),
    [
        ([1], [3], [0.0]),
        ([-1], [1], [0.0]),
        ([1], [2], [np.nan]),
        ([1], [2], [-np.inf]),
        ([1, 2], [2], [0.0]),
    ],
)
def test_what_is_no_constraint_is_refused(tail, head, weight_s):
    """Nodes that do not exist, and weights that are no numbers, raise."""
    with pytest.raises(ValueError):
        Constraints.of(3, tail, head, weight_s)


def test_nothing_given_nothing_proven():
    """Without constraints every pair is unproven, and every node is 0 from itself."""
    found = all_pairs(Constraints.of(3, [], [], []))
    assert (found == np.where(np.eye(3, dtype=bool), 0, np.inf)).all()
