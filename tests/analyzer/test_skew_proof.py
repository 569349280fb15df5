"""Fleets of known truth: whatever is proven of them holds, and what cannot be proven says why."""

import numpy as np
import pytest
from analyzer import meshfleet
from analyzer.meshfleet import Fleet, Host
from analyzer.synthetic import NS, T0
from hypothesis import example, given, settings
from hypothesis import strategies as st

from truechimer_analyzer.skew.ageing import Kind
from truechimer_analyzer.skew.proving import Lack, Proof, prove
from truechimer_analyzer.skew.reading import clusters

FLOAT_S = 1e-7
"""S of two hosts that are 30 years apart is right to so much."""


def proven(fleet: Fleet, now_s: float = meshfleet.NOW_S, k: int = 1, *, live: bool = True) -> Proof:
    evidence = fleet.evidence(now_s)
    (cluster,) = clusters(evidence)
    return prove(cluster, evidence, T0 + round(now_s * NS), k, live=live)


def instant(fleet: Fleet, proof: Proof, node: int) -> float:
    """True time at the instant, for the connected part of a node."""
    root = int(proof.places.root[node])
    if not root:
        return proof.at_s - meshfleet.T0_S
    return own_instant(fleet, proof, root)


def held(fleet: Fleet, proof: Proof) -> int:
    """Hold every pair and every bound of UTC against the truth; how many."""
    if proof.skew is None:
        return 0
    names, count = proof.cluster.names, 0
    for epsilon in (proof.skew.all_true, proof.skew.robust):
        upper_s = epsilon.pairs_upper_s
        assert upper_s is not None
        for a in proof.members:
            t = instant(fleet, proof, a)
            for b in proof.members:
                if a != b and np.isfinite(upper_s[a, b]):
                    assert fleet.apart_s(names[a], names[b], t) <= upper_s[a, b] + FLOAT_S, (
                        names[a],
                        names[b],
                    )
                    count += 1
            if not proof.places.root[a] and np.isfinite(epsilon.utc_lower_s[a]):
                truth = fleet.host(names[a]).wall_s_at(t)
                assert epsilon.utc_lower_s[a] - FLOAT_S <= truth <= epsilon.utc_upper_s[a] + FLOAT_S
    return count


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_whatever_is_proven_of_a_random_fleet_holds(seed: int, live: bool) -> None:
    fleet = meshfleet.drawn(seed)
    proof = proven(fleet, live=live)
    held(fleet, proof)
    assert proof.skew is None or proof.skew.liars.consistent


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([-1.0, -0.3, -0.1, -1e-3, -1e-6, 0.0, 1e-6, 1e-3, 0.1, 0.24, 0.3, 1.0]),
    st.floats(0.5, 1.5),
)
def test_steps_of_any_wall_clock_around_the_instant_are_in_the_bounds(
    seed: int, delta_s: float, factor: float
) -> None:
    """The instant is found first; then some hosts are stepped right before, at or after it."""
    at_s = proven(meshfleet.drawn(seed)).at_s - meshfleet.T0_S
    if not np.isfinite(at_s):
        return
    fleet, random = meshfleet.drawn(seed), np.random.default_rng(seed)
    for host in fleet.hosts:
        if random.random() < 0.6:
            size_s, when_s = (
                float(random.choice([-1, 1]) * 10 ** random.uniform(-4, 3)),
                at_s + delta_s * factor,
            )
            # Two within a millisecond are one to the agent.
            host.steps = [each for each in host.steps if abs(each[0] - when_s) > 2 * meshfleet.WAKE_S]
            host.steps.append((when_s, size_s))
    held(fleet, proven(fleet))


@settings(max_examples=100)
@example(61891, "stamps", 1.0)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["stamps", "servers", "oscillator"]), st.floats(-5, 2))
def test_whoever_lies_the_honest_are_never_accused_and_their_robust_bounds_hold(
    seed: int, about: str, exponent: float
) -> None:
    """One host's stamps, bound of UTC or frequency are wrong, by 10 µs to 100 s, found out or not.

    Where nobody but the liar knows UTC, the instant is his: the honest are then bounded at one of theirs.
    """
    fleet, random = meshfleet.drawn(seed), np.random.default_rng(seed)
    liar, size_s = (
        fleet.hosts[random.integers(len(fleet.hosts))],
        float(random.choice([-1, 1]) * 10**exponent),
    )
    if about == "stamps":
        liar.stamp_lie_s = size_s
    elif about == "servers":
        liar.ntp = (size_s, 1e-4 - size_s)
    else:
        liar.drift_margin = (-abs(size_s) * 1e-5, abs(size_s) * 1e-5 + 1e-7)
    proof = proven(fleet)
    if proof.skew is None:
        return
    names = proof.cluster.names
    assert {names[each] for each in proof.skew.liars.certain} <= {liar.name}
    upper_s = proof.skew.robust.pairs_upper_s
    assert upper_s is not None
    honest = [each for each in proof.members if names[each] != liar.name]
    moments = [own_instant(fleet, proof, each) for each in honest]
    for a in honest:
        # Where UTC does not define the instant, a liar's clock may: then it is one of the honest nodes' own.
        times = [instant(fleet, proof, a), *(moments if proof.places.root[a] else ())]
        for b in honest:
            if a != b and np.isfinite(upper_s[a, b]):
                apart_s = [fleet.apart_s(names[a], names[b], each) for each in times]
                assert min(apart_s) <= upper_s[a, b] + FLOAT_S


def own_instant(fleet: Fleet, proof: Proof, node: int) -> float:
    """True time at which S of a node is where it was put."""
    host = fleet.host(proof.cluster.names[node])
    jumped_s = host.jump_s if proof.cluster.epoch[node] != host.epoch else 0.0
    steady_s = proof.at_s - float(proof.places.offset_s[node]) - meshfleet.T0_S
    return (steady_s - host.offset_s - jumped_s) * (1 + host.drift)


def test_what_only_the_liar_says_of_utc_is_claimed_of_nobody() -> None:
    """b alone has servers and lies by 6 s: without it nobody knows when the instant was."""
    fleet = trio(stamp_lie_s=-6.0, drift_margin=None)
    fleet.host("a").ntp = fleet.host("c").ntp = None
    fleet.host("a").slews = [(0.0, 400e-6)]
    fleet.host("c").peers = ["a"]
    proof = proven(fleet)
    names = {name: number for number, name in enumerate(proof.cluster.names)}
    assert proof.liars is not None
    assert {names["a"], names["c"]}.isdisjoint(proof.liars.certain)
    assert not proof.liars.consistent
    assert {names["a"], names["c"]} <= proof.lacks.keys()


def trio(**of_b: object) -> Fleet:
    """Three hosts with S hours apart, all probing all; b as told."""
    hosts = [
        Host("a", offset_s=3600.0, wall_s=-3600.0, peers=["b", "c"], drift=20e-6, slews=[(0.0, 10e-6)]),
        Host("b", offset_s=-9000.0, wall_s=9000.0, peers=["a", "c"], phase_s=4.0, drift=-30e-6),
        Host("c", offset_s=50.0, wall_s=-50.0, peers=["a", "b"], phase_s=7.0),
    ]
    for name, value in of_b.items():
        setattr(hosts[1], name, value)
    return Fleet(hosts, np.random.default_rng(7))


def test_three_good_hosts_are_proven_as_closely_as_their_network_and_summaries_allow() -> None:
    """RTT below a millisecond, W running 30 ppm off S: far below NTP's ±1 ms, about 0.3 ms each."""
    fleet = trio()
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    assert proof.members == (1, 2, 3)
    assert proof.skew is not None
    upper_s = proof.skew.all_true.pairs_upper_s
    assert upper_s is not None
    assert 0 < upper_s[1, 2] + upper_s[2, 1] < 1e-3
    # Everybody's W has been told up to the instant, and not long ago.
    assert 0 < meshfleet.NOW_S - (proof.at_s - meshfleet.T0_S) < 15


def test_a_host_without_servers_gets_its_bound_of_utc_through_its_peers() -> None:
    fleet = trio(ntp=None, wall_s=9002.5)
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    assert proof.skew is not None
    lower_s, upper_s = proof.skew.all_true.utc_lower_s[2], proof.skew.all_true.utc_upper_s[2]
    assert upper_s - lower_s < 3e-3
    assert lower_s < fleet.host("b").wall_s_at(proof.at_s - meshfleet.T0_S) < upper_s


def test_no_servers_anywhere_still_bound_every_pair() -> None:
    fleet = trio()
    for host in fleet.hosts:
        host.ntp = None
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    assert set(proof.places.root[1:].tolist()) <= {1, 2, 3}
    assert np.isinf(proof.skew.all_true.utc_upper_s[1:]).all()  # type: ignore[union-attr]


def test_exchanges_of_an_epoch_that_has_ended_do_not_count() -> None:
    """S of b jumped by a minute: nothing contradicts, and all of it is proven again."""
    fleet = trio(new_epoch_at_s=40.0, jump_s=60.0)
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    assert proof.skew is not None
    assert proof.skew.liars.consistent
    assert (proof.cluster.exchanges.steady_s[proof.cluster.exchanges.tail == 2] > meshfleet.T0_S - 8900).all()


def test_an_epoch_that_began_just_now_leaves_its_host_out_until_its_clock_is_told() -> None:
    proof = proven(trio(new_epoch_at_s=80.0, jump_s=-5.0))
    assert proof.lacks == {2: Lack.NOT_WATCHED}
    assert proof.members == (1, 3)


def test_a_host_that_ships_half_a_minute_late_moves_the_instant_and_proves_the_same() -> None:
    fleet = trio(late_s=30.0)
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    assert 30 < meshfleet.NOW_S - (proof.at_s - meshfleet.T0_S) < 45


@pytest.mark.parametrize("live", [True, False])
def test_a_silent_host_is_left_out_and_holds_up_nobody(live: bool) -> None:
    fleet = trio(ends_at_s=25.0)
    proof = proven(fleet, live=live)
    assert proof.lacks == {2: Lack.SILENT}
    assert held(fleet, proof) == 4
    assert meshfleet.NOW_S - (proof.at_s - meshfleet.T0_S) < 15


def test_a_step_since_the_last_summary_makes_the_bound_no_wrong_one() -> None:
    """The instant lies before the step, and the bound is of the instant."""
    fleet = trio(steps=[(88.9, 100.0)])
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    assert proof.at_s - meshfleet.T0_S < 88.9


def test_an_old_exchange_outweighs_newer_ones_on_a_jammed_path() -> None:
    """With a measured oscillator the best packet of a minute counts: aged, not forgotten."""
    fleet = trio()
    fleet.least_delay_s, fleet.jitter_s = 10e-6, 20e-3
    proof = proven(fleet)
    assert held(fleet, proof) == 12
    exchanges = proof.aged.kind == Kind.EXCHANGE
    rows = proof.aged.row[exchanges]
    evidence = fleet.evidence()
    ages_s = proof.at_s - evidence.exchanges.time_ns[rows] / NS
    assert ages_s.max() > 20
    # Ageing is never free, and never more than what the two oscillators can have done.
    assert np.abs(proof.aged.widened_s[exchanges]).max() < 90 * 60e-6
