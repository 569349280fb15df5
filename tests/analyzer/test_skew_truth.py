import numpy as np
import pytest
from analyzer.skewsim.bruteforce import graphs
from analyzer.skewsim.campaign import Honest, Lied, honest, lied, rounds_until_named
from analyzer.skewsim.lies import KINDS
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.skew.constraints import Constraints
from truechimer_analyzer.skew.epsilon import measure


@pytest.fixture(scope="module")
def honest_meshes():
    """Twenty honest meshes for a hundred rounds each."""
    tally = Honest()
    for seed in range(20):
        honest(seed, 100, tally)
    return tally


def test_bounds_of_honest_meshes_contain_the_truth(honest_meshes):
    """In 2,000 rounds no pair's bound, none of UTC, and no ε is false, and nothing contradicts anything."""
    assert honest_meshes.rounds == 2000
    assert honest_meshes.bounds > 200_000
    assert (honest_meshes.misses, honest_meshes.epsilon_misses, honest_meshes.inconsistent) == (0, 0, 0)


def test_a_node_without_servers_is_bounded_through_its_peers(honest_meshes):
    """Its NTP is blocked, and still it has an interval of UTC, nearly as tight as those who have servers."""
    assert honest_meshes.blocked > 100
    assert honest_meshes.blocked_bounded == honest_meshes.blocked
    assert np.median(honest_meshes.blocked_widths_s) < 0.01


def test_peers_know_more_of_each_other_than_servers_know_of_both(honest_meshes):
    """Servers milliseconds away, peers tens of microseconds: at most a fifth as wide on the median."""
    assert len(honest_meshes.ratios) > 1000
    assert np.median(honest_meshes.ratios) <= 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_one_liar_neither_gets_others_named_nor_falsifies_epsilon_1(kind):
    """Whatever kind of lie: ε_1 contains every honest pair's truth, and no honest node is certain."""
    tally = Lied()
    for seed in range(25):
        lied(seed, 8, tally, kind)
    assert (tally.meshes, tally.rounds) == (25, 200)
    assert (tally.honest_named, tally.more_than_one, tally.robust_misses, tally.unsaid) == (0, 0, 0, 0)


def test_epsilon_alone_is_falsified_by_lies_that_nobody_notices():
    """Why ε_1 is published: lies within the slack make ε's bounds false without a contradiction."""
    tally = Lied()
    for seed in range(60):
        lied(seed, 8, tally, "small")
    assert tally.plain_misses > 0
    assert tally.robust_misses == 0


@pytest.mark.parametrize("forget", [False, True])
def test_twenty_milliseconds_are_pinned_on_the_liar_in_the_first_round(forget):
    """A full mesh of six: as soon as two peers have shifted answers, also when nothing older is known."""
    assert {rounds_until_named(seed, 0.0, forget=forget) for seed in range(30)} == {1}


def test_and_within_three_rounds_when_a_third_is_lost():
    """Lost packets only delay it."""
    assert {rounds_until_named(seed, 0.3) for seed in range(60)} <= {1, 2, 3}


@given(graphs(lies=False, unknown=False), st.data())
def test_epsilon_1_contains_the_truth_of_honest_pairs_whatever_one_node_says(graph, data):
    """A liar that fits its lies to everything there is cannot make a bound of two others false."""
    liar = data.draw(st.integers(1, graph.count - 1))
    told = [
        (a, b, (weight + (data.draw(st.integers(-60, 60)) if liar in (a, b) else 0)) / 1000)
        for a, b, weight in graph.edges
    ]
    tail, head, weight_s = zip(*told, strict=True) if told else ((), (), ())
    lower_s, upper_s = np.array(graph.walls).T / 1000
    found = measure(Constraints.of(graph.count, tail, head, weight_s), lower_s, upper_s).robust
    wall_s = np.array([data.draw(st.sampled_from(each)) for each in [(0, 0), *graph.walls[1:]]]) / 1000
    error_s = np.array(graph.true) / 1000 + wall_s
    shown = [node for node in range(graph.count) if node != liar]
    bounds_s = found.pairs_upper_s[np.ix_(shown, shown)]
    truth_s = error_s[None, shown] - error_s[shown, None]
    assert (truth_s <= bounds_s + 1e-12).all()
    if found.epsilon_s is not None and len(shown) > 2:
        assert found.epsilon_s >= np.ptp(error_s[shown[1:]]) - 1e-12
