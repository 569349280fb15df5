import pytest
from analyzer.skewsim.bruteforce import consistent_removals, graphs, minimal
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.skew.constraints import Constraints
from truechimer_analyzer.skew.liars import find_liars


def liars(graph, k):
    return find_liars(Constraints.of(graph.count, graph.tail, graph.head, graph.weight_s), k)


@given(graphs(), st.integers(0, 2))
def test_certain_and_one_of_are_what_trying_every_removal_finds(graph, k):
    """The sets are all minimal consistent ones, certain who is in every consistent one."""
    every = consistent_removals(graph, k)
    found = liars(graph, k)
    assert set(map(frozenset, found.sets)) == minimal(every)
    assert set(found.certain) == (frozenset.intersection(*every) if every else set())
    assert set(found.one_of) == frozenset().union(*minimal(every)) - set(found.certain)
    assert found.more_than_k == (not every)
    assert found.consistent == (frozenset() in every)


@given(graphs(lies=False), st.data())
def test_an_honest_node_is_never_certain_whatever_one_node_says(graph, data):
    """One liar changes any of its own constraints in any way: at most the liar itself is named."""
    liar = data.draw(st.integers(1, graph.count - 1))
    told = [
        (a, b, weight + data.draw(st.integers(-60, 60))) if liar in (a, b) else (a, b, weight)
        for a, b, weight in graph.edges
    ]
    constraints = (
        Constraints.of(graph.count, *zip(*told, strict=True)) if told else Constraints.of(2, [], [], [])
    )
    for k in (1, 2):
        found = find_liars(constraints, k)
        assert not found.more_than_k
        assert set(found.certain) <= {liar}
        assert not found.suspects


@given(graphs(lies=False, most=7), st.data())
def test_two_liars_are_not_taken_for_others_when_two_are_allowed(graph, data):
    """With k = 2 and two liars only liars are certain."""
    two = data.draw(st.sets(st.integers(1, graph.count - 1), min_size=min(2, graph.count - 1), max_size=2))
    told = [
        (a, b, weight + data.draw(st.integers(-60, 60))) if two & {a, b} else (a, b, weight)
        for a, b, weight in graph.edges
    ]
    constraints = (
        Constraints.of(graph.count, *zip(*told, strict=True)) if told else Constraints.of(2, [], [], [])
    )
    assert set(find_liars(constraints, 2).certain) <= two


def mesh(nodes, lies):
    """A full mesh of ±1 ms whose nodes agree, but for lies {(a, b): ms added to y_b − y_a}."""
    edges = []
    for a in nodes:
        for b in nodes:
            if a != b:
                shift = lies.get((a, b), 0) - lies.get((b, a), 0)
                edges.append((a, b, (1 + shift) / 1000))
    return Constraints.of(max(nodes) + 1, *zip(*edges, strict=True))


def test_a_liar_to_two_is_certain():
    """Who tells two peers different things about himself stands alone in every contradiction of theirs."""
    found = find_liars(mesh(range(1, 7), {(1, 3): 20, (2, 3): -20}))
    assert found.certain == (3,)
    assert found.one_of == ()
    assert 3 in found.cycle.nodes


def test_a_liar_to_one_is_one_of_two():
    """Whether a lied of b or b of a nobody else can tell."""
    found = find_liars(mesh(range(1, 7), {(2, 5): 20}))
    assert (found.certain, found.one_of) == ((), (2, 5))


def test_with_two_liars_and_k_1_an_honest_node_may_be_named():
    """What "if at most k lie" is worth: two liars to one honest node make the honest one look like a liar."""
    lied_to = mesh(range(1, 7), {(1, 4): 20, (6, 4): -20})
    assert find_liars(lied_to, 1).certain == (4,)
    assert find_liars(lied_to, 2).sets == ((4,), (1, 6))
    assert find_liars(lied_to, 2).certain == ()


def test_more_than_k_liars_are_said_to_be_and_ranked():
    """Nobody is certain then, and who is in the most contradictions is suspected first."""
    lies = {(peer, liar): 20 * (-1) ** peer * liar for liar in (3, 7) for peer in (1, 2, 4, 5, 6, 8)}
    found = find_liars(mesh(range(1, 9), lies), 1)
    assert found.more_than_k
    assert (found.certain, found.one_of) == ((), ())
    assert set(found.suspects[:2]) == {3, 7}
    assert find_liars(mesh(range(1, 9), lies), 2).certain == (3, 7)


def test_utc_is_never_suspected():
    """A node whose own bound of UTC is empty contradicts nobody but itself."""
    found = find_liars(Constraints.of(3, [0, 1, 1, 2], [1, 0, 2, 1], [0.001, -0.002, 0.1, 0.1]))
    assert (found.certain, found.cycle.nodes) == ((1,), (0, 1))


@pytest.mark.parametrize("k", [-1, 3])
def test_only_up_to_two_liars_are_looked_for(k):
    """A larger k is refused rather than answered by a guess."""
    with pytest.raises(ValueError, match="0 to 2"):
        find_liars(mesh(range(1, 4), {}), k)
