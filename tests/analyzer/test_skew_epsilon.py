from fractions import Fraction

import numpy as np
import pytest
from analyzer.skewsim.bruteforce import (
    INFINITE,
    connected_graph,
    consistent_removals,
    end_bound,
    graphs,
    pair_bounds,
)
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.skew import detours, epsilon
from truechimer_analyzer.skew.constraints import Constraints
from truechimer_analyzer.skew.epsilon import Method, Reason, Unproven, measure

CLOSE = Fraction(1, 10**9)


def measured(graph, k, members=None):
    walls = [(np.nan, np.nan) if wall is None else (wall[0] / 1000, wall[1] / 1000) for wall in graph.walls]
    lower_s, upper_s = np.array(walls).T
    constraints = Constraints.of(graph.count, graph.tail, graph.head, graph.weight_s)
    return measure(constraints, lower_s, upper_s, k, members)


def is_close_above(bound_s, exact):
    return np.isfinite(bound_s) and exact - CLOSE / 1000 <= Fraction(float(bound_s)) <= exact + CLOSE


def check_bounds(found, exact, members):
    """Every pair of members, and every node against UTC, has the enumerated bound, or none as there."""
    shown = {0, *members}
    for (a, b), bound_s in np.ndenumerate(found.pairs_upper_s):
        if a == b:
            continue
        if (a, b) not in exact or not {a, b} <= shown:
            assert np.isnan(bound_s)
        elif exact[a, b] == INFINITE:
            assert bound_s == np.inf
        else:
            assert is_close_above(bound_s, exact[a, b])
    for node in range(1, len(found.utc_upper_s)):
        for bound_s, pair in ((found.utc_upper_s[node], (0, node)), (-found.utc_lower_s[node], (node, 0))):
            if pair not in exact:
                assert np.isnan(bound_s)
            else:
                assert bound_s == np.inf if exact[pair] == INFINITE else is_close_above(bound_s, exact[pair])


def check_epsilon(found, exact, members, removals):
    between = {pair: bound for pair, bound in exact.items() if set(pair) <= set(members)}
    worst = max(between.values(), default=None)
    if worst is None or worst == INFINITE:
        assert found.epsilon_s is None
        assert found.worst_pair is None
        assert found.unproven is not None
    else:
        assert is_close_above(found.epsilon_s, worst)
        assert is_close_above(found.epsilon_s, between[found.worst_pair])
        assert found.unproven is None
    pairs = len(members) * (len(members) - 1) // 2
    assert found.contradicted == pairs - len(between) // 2
    suspected = frozenset().union(*(each for each in removals if not any(other < each for other in removals)))
    apart = {pair: -bound for pair, bound in between.items() if not suspected & set(pair)}
    most = max(apart.values(), default=Fraction(0))
    # Less may be the floats of milliseconds.
    if most > CLOSE:
        assert is_close_above(-found.apart_s, -most)
        assert is_close_above(-found.apart_s, -apart[found.apart_pair[::-1]])
    else:
        assert 0 <= found.apart_s <= CLOSE
        assert (found.apart_s == 0) == (found.apart_pair is None)


def check_all_pairs(graph, k, members=None):
    found = measured(graph, k, members)
    members = set(range(1, graph.count)) if members is None else members
    for each, at_most in ((found.all_true, 0), (found.robust, k)):
        removals = consistent_removals(graph, at_most)
        exact = pair_bounds(graph, removals)
        assert (each.k, each.method) == (at_most, Method.ALL_PAIRS)
        check_bounds(each, exact, members)
        check_epsilon(each, exact, members, removals)


@given(graphs(), st.integers(0, 2), st.data())
def test_epsilon_and_every_pair_are_what_trying_every_removal_proves(graph, k, data):
    """Bounds, ε, ε_k, who is left out and how far apart some are: as by enumeration in fractions."""
    check_all_pairs(graph, k, data.draw(st.none() | st.sets(st.integers(1, graph.count - 1))))


@pytest.mark.parametrize("k", [1, 2])
def test_so_they_are_where_paths_are_long(k):
    """The same for graphs whose every removal changes much."""
    for seed in range(60):
        check_all_pairs(connected_graph(seed), k)


def check_against_utc(graph, k, members=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epsilon, "MOST_NODES", (0, 0, 0))
        patch.setattr(detours, "ROWS_AT_ONCE", 2)
        found = measured(graph, k, members).robust
    members = set(range(1, graph.count)) if members is None else members
    removals = consistent_removals(graph, k)
    exact = pair_bounds(graph, removals)
    assert (found.method, found.pairs_upper_s) == (Method.AGAINST_UTC, None)
    for node in range(1, graph.count):
        for bound_s, pair in ((found.utc_upper_s[node], (0, node)), (-found.utc_lower_s[node], (node, 0))):
            if pair not in exact:
                assert np.isnan(bound_s)
            else:
                assert bound_s == np.inf if exact[pair] == INFINITE else is_close_above(bound_s, exact[pair])
    worst = end_bound(graph, removals, members)
    if abs(worst) == INFINITE:
        assert found.epsilon_s is None
        assert found.unproven is not None
    elif found.unproven is None:
        assert is_close_above(found.epsilon_s, worst)
        a, b = found.worst_pair
        of_pair = [pair_bounds(graph, [each]) for each in removals if not {a, b} & each]
        assert is_close_above(found.epsilon_s, max(bounds[a, 0] + bounds[0, b] for bounds in of_pair))
    else:
        # Removals that leave one member, cut off, leave no pair: nothing in the enumeration.
        assert found.unproven.reason in (Reason.NO_PATH, Reason.NO_WALL)
    small = measured(graph, k, members).robust
    if small.epsilon_s is not None and found.epsilon_s is not None:
        assert found.epsilon_s >= small.epsilon_s - 1e-9
    assert found.apart_s <= small.apart_s + 1e-9
    return found


@given(graphs(), st.integers(0, 1), st.data())
def test_against_utc_is_what_ends_prove_under_every_removal(graph, k, data):
    """For large clusters: the worst upper − lower of two nodes over removals, and every node's own bounds."""
    check_against_utc(graph, k, data.draw(st.none() | st.sets(st.integers(1, graph.count - 1))))


def test_so_it_is_where_paths_are_long():
    """The same for graphs whose every removal changes much; most of them have an ε_1 nevertheless."""
    found = [check_against_utc(connected_graph(seed), 1) for seed in range(80)]
    assert sum(each.epsilon_s is not None for each in found) > 20
    assert sum(each.apart_s > 0 for each in found) > 20


def walls(count, half_s=0.0):
    return np.full(count, -half_s), np.full(count, half_s)


def both_ways(*edges):
    """y_b − y_a within ±``half``: constraints both ways."""
    there = [(a, b, half) for a, b, half in edges]
    return tuple(zip(*(there + [(b, a, half) for a, b, half in edges]), strict=True))


def test_what_a_removal_cuts_off_is_named():
    """A chain UTC–1–2–3: without 2, 3 hangs on nothing."""
    found = measure(Constraints.of(4, *both_ways((0, 1, 0.01), (1, 2, 0.001), (2, 3, 0.001))), *walls(4))
    assert found.all_true.epsilon_s == pytest.approx(0.002)
    assert found.robust.unproven == Unproven(Reason.NO_PATH, (2,), 1, 3)
    assert found.robust.pairs_upper_s[1, 2] == pytest.approx(0.001)
    assert found.robust.pairs_upper_s[1, 3] == np.inf


def test_pairs_are_bounded_without_anybody_knowing_utc():
    """The mesh alone proves differences: nodes whose servers are all blocked still have an ε."""
    found = measure(
        Constraints.of(4, *both_ways((1, 2, 0.001), (2, 3, 0.001), (1, 3, 0.001))), *walls(4, 1e-4)
    )
    assert found.robust.epsilon_s == pytest.approx(0.0012)
    assert np.isinf(found.robust.utc_upper_s[1:]).all()


def test_a_node_without_wall_is_named():
    """Nothing is known of its W − S: no ε, but for clusters of which it is no member."""
    constraints = Constraints.of(4, *both_ways((1, 2, 0.001), (2, 3, 0.001), (1, 3, 0.001)))
    lower_s, upper_s = walls(4)
    lower_s[2] = upper_s[2] = np.nan
    assert measure(constraints, lower_s, upper_s).robust.unproven == Unproven(Reason.NO_WALL, (), 2, 2)
    assert measure(constraints, lower_s, upper_s, members=[1, 3]).robust.epsilon_s == pytest.approx(0.001)


def lied_to_by_4():
    """A full mesh of four within 1 ms, the last of whom tells 1 and 2 different things."""
    edges = both_ways(
        (1, 2, 0.001), (1, 3, 0.001), (2, 3, 0.001), (1, 4, 0.001), (2, 4, 0.001), (3, 4, 0.001)
    )
    tail, head, weight_s = (np.array(each) for each in edges)
    for peer, lie_s in ((1, 0.02), (2, -0.02)):
        weight_s[(tail == peer) & (head == 4)] += lie_s
        weight_s[(tail == 4) & (head == peer)] -= lie_s
    return Constraints.of(5, tail, head, weight_s)


def test_contradictions_leave_epsilon_unproven_and_epsilon_k_of_the_others():
    """ε rests on all constraints; ε_1 goes on for those who can be honest together."""
    found = measure(lied_to_by_4(), *walls(5))
    assert found.liars.certain == (4,)
    assert found.all_true.unproven == Unproven(Reason.INCONSISTENT)
    assert found.robust.epsilon_s == pytest.approx(0.001)
    assert found.robust.contradicted == 3
    assert np.isnan(found.robust.pairs_upper_s[4]).all()


def test_of_a_certain_liar_no_wall_is_needed():
    """Nothing is said of it anyhow."""
    lower_s, upper_s = walls(5)
    lower_s[4] = upper_s[4] = np.nan
    assert measure(lied_to_by_4(), lower_s, upper_s).robust.epsilon_s == pytest.approx(0.001)


def test_more_than_k_liars_leave_nothing():
    """Two pairs that contradict each other cannot be one liar's doing."""
    constraints = Constraints.of(5, [1, 2, 3, 4], [2, 1, 4, 3], [0.0, -0.1, 0.0, -0.1])
    found = measure(constraints, *walls(5))
    assert found.robust.unproven == Unproven(Reason.MORE_THAN_K)
    assert found.liars.more_than_k


def test_one_node_is_no_pair():
    """ε of a cluster of one is not given rather than 0."""
    found = measure(Constraints.of(2, *both_ways((0, 1, 0.001))), *walls(2))
    assert found.robust.unproven == Unproven(Reason.NO_PAIR)
    assert found.robust.utc_upper_s[1] == pytest.approx(0.001)


def test_a_large_cluster_is_measured_against_utc_and_two_removals_are_too_many():
    """Method and reason are said."""
    nodes = np.arange(1, 402)
    edges = both_ways(
        *((0, int(node), 0.001) for node in nodes), *((int(n), int(n) + 1, 1e-4) for n in nodes[:-1])
    )
    constraints = Constraints.of(402, *edges)
    found = measure(constraints, *walls(402))
    assert found.all_true.method is Method.ALL_PAIRS
    assert found.robust.method is Method.AGAINST_UTC
    assert found.robust.epsilon_s == pytest.approx(0.002)
    assert measure(constraints, *walls(402), k=2).robust.unproven == Unproven(Reason.TOO_LARGE)


def test_a_chain_too_deep_to_remove_from_is_too_large(monkeypatch):
    """Instead of gigabytes there is a reason."""
    monkeypatch.setattr(detours, "MOST_ROWS", 1000)
    monkeypatch.setattr(epsilon, "MOST_NODES", (0, 0, 0))
    edges = both_ways(*((node, node + 1, 1e-4) for node in range(60)))
    found = measure(Constraints.of(61, *edges), *walls(61))
    assert found.robust.unproven == Unproven(Reason.TOO_LARGE)
    assert found.all_true.epsilon_s == pytest.approx(0.0119)


def test_walls_the_wrong_way_round_are_refused():
    """A lower bound above the upper one is a mistake of the caller's."""
    with pytest.raises(ValueError, match="above"):
        measure(Constraints.of(2, [], [], []), np.array([0, 1.0]), np.array([0, 0.5]))
