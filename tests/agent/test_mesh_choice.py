"""Who probes whom: connected, even, and nearly the same after somebody joins or leaves."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_agent.mesh.choice import Choice, choose

NAMES = st.sets(st.text(min_size=1, max_size=4), min_size=1, max_size=40)


def fleet(count, trial=0):
    return [f"db-{trial}-{number}" for number in range(count)]


def graph(names, degree):
    choice = Choice(names, degree)
    return {name: choice.peers_of(name) for name in names}


def reached(picks, gone=frozenset()):
    """How many can be reached from one of those that are not gone, over picks in either direction."""
    ways = {name: [] for name in picks if name not in gone}
    for name, known in ways.items():
        for peer in picks[name]:
            if peer in ways:
                known.append(peer)
                ways[peer].append(name)
    start = next(iter(ways))
    seen, front = {start}, [start]
    while front:
        front = [peer for name in front for peer in ways[name] if peer not in seen and not seen.add(peer)]
    return len(seen), len(ways)


@given(names=NAMES, degree=st.integers(1, 12))
@settings(deadline=None)
def test_everybody_picks_degree_others_and_all_are_joined(names, degree):
    """Distinct peers, never oneself; with any names, even one pick each joins all of them."""
    picks = graph(names, degree)
    for name, peers in picks.items():
        assert len(set(peers)) == len(peers) == min(degree, len(names) - 1)
        assert name not in peers
        assert set(peers) <= names
    found, of = reached(picks)
    assert found == of


@given(names=NAMES, degree=st.integers(1, 12))
@settings(deadline=None)
def test_all_agree_whatever_the_order_and_whether_they_list_themselves(names, degree):
    """What a node picks itself is what others work out for it."""
    own, *others = names
    picked = choose(own, others, degree)
    assert picked == choose(own, [*reversed(others), own, own], degree) == graph(names, degree)[own]


@pytest.mark.parametrize("count", [10, 30, 100, 300, 1000])
def test_everybody_is_probed_by_about_as_many(count):
    """In each slot exactly one picks a node, unless it has it already: large meshes are the evenest."""
    in_degrees = Counter(peer for peers in graph(fleet(count), 8).values() for peer in peers)
    assert len(in_degrees) == count
    assert sum(in_degrees.values()) == 8 * count
    assert max(in_degrees.values()) <= 13
    assert min(in_degrees.values()) >= 4


@pytest.mark.parametrize("count", [10, 30, 100, 300, 1000])
def test_with_a_third_gone_the_rest_are_still_joined(count):
    """Nobody has noticed yet: all pick as before. bench/mesh_choice.py has more trials and 10,000 nodes."""
    for trial in range(5):
        names = fleet(count, trial)
        gone = frozenset(names[::10][: count // 10] + names[3::10] + names[7::10])
        assert len(gone) == 3 * count // 10
        found, of = reached(graph(names, 8), gone)
        assert found == of == count - len(gone)


@pytest.mark.parametrize("count", [100, 1000])
def test_one_that_leaves_or_joins_changes_one_pick_a_slot(count):
    """All others keep whom they had; those who had picked the one that left take one other each."""
    names = fleet(count)
    before, left = graph(names, 8), names[count // 2]
    after = graph([name for name in names if name != left], 8)
    lost = sum(left in peers for peers in before.values())
    changed = sum(len(set(peers) - set(before[name])) for name, peers in after.items())
    assert lost <= changed <= lost + 4
    assert sum(bool(set(peers) - set(before[name])) for name, peers in after.items()) <= lost + 4
