"""Leases: the length that bears two wrong clocks and a guard, and how often a guard is outlived."""

import numpy as np
import pytest
from analyzer import synthetic as made
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.timeouts import lease
from truechimer_analyzer.timeouts.holder import SOURCE, WINDOW_FIELDS, holder_of

DAY = 86_400.0


def test_a_lease_is_usable_for_less_than_itself_by_both_clocks_and_the_guard():
    """By hand: 10 · (1 − 0.0005) / (1 + 0.001) − 0.5; and a granter that chronyd slews as fast as it does."""
    assert lease.usable_s(10.0, 0.5, 500e-6, 1000e-6) == pytest.approx(9.485015, abs=1e-6)
    assert lease.usable_s(10.0, 0.5) < 10.0 / 1.0833 - 0.5
    assert lease.usable_s(0.4, 0.5) == 0.0


@given(st.floats(0.01, 1e4), st.floats(0.0, 1e3), st.floats(0, 0.01), st.floats(0, 0.01))
def test_the_shortest_lease_is_just_usable_for_its_renewal(renewal_s, guard_s, holder, granter):
    """And one shorter is not."""
    shortest_s = lease.least_lease_s(renewal_s, guard_s, holder, granter)
    assert lease.usable_s(shortest_s, guard_s, holder, granter) == pytest.approx(renewal_s, rel=1e-6)
    assert lease.usable_s(0.99 * shortest_s, guard_s, holder, granter) < renewal_s


@given(
    st.floats(0.1, 100),
    st.floats(0, 10),
    st.floats(-500e-6, 500e-6),
    st.floats(-0.0838, 0.0838),
    st.floats(0, 1),
)
def test_a_holder_within_its_time_and_guard_never_acts_after_the_granters_end(lease_s, guard_s, h, g, share):
    """Whatever both clocks do within their bounds: in true time, from the request on."""
    acts_until = lease.usable_s(lease_s, guard_s) * share / (1 + h)  # its RAW runs (1 + h) as fast as time
    effect = acts_until + guard_s
    granted_until = lease_s / (1 + g)
    if lease.usable_s(lease_s, guard_s) > 0:
        assert effect <= granted_until * (1 + 2e-6) + 1e-9


def test_violations_are_counted_a_year_with_an_exact_upper_bound():
    """None seen in a node-year: 3.0 a year at most; of two apart 6.30; five within 10 s are one event."""
    none = np.zeros(0)
    assert lease.violations(none, none, lease.YEAR_S, 0.5) == (0.0, pytest.approx(2.996, abs=0.001))
    two = np.array([0.0, 5000.0])
    assert lease.violations(two, np.array([1.0, 2.0]), lease.YEAR_S, 0.5) == (
        pytest.approx(2.0),
        pytest.approx(6.296, abs=0.001),
    )
    assert lease.violations(two, np.array([1.0, 2.0]), lease.YEAR_S, 1.5)[0] == pytest.approx(1.0)
    burst = np.arange(5.0)
    assert lease.violations(burst, np.ones(5), lease.YEAR_S, 0.5) == (
        pytest.approx(5.0),
        pytest.approx(5 * 4.744, abs=0.01),
    )


def holder(pauses, windows):
    return holder_of(
        made.columns("truechimer_pause", pauses), made.series("truechimer_pause_window", windows, SOURCE)
    )


def test_the_bound_of_a_longer_guard_is_not_above_that_of_a_shorter_one():
    """Fifty single stops of 1.5 s, and fifty of 3 s in one run."""
    began = np.concatenate([np.arange(50) * 5000.0, 1e6 + np.arange(50)])
    lasted = np.concatenate([np.full(50, 1.5), np.full(50, 3.0)])
    uppers = [lease.violations(began, lasted, lease.YEAR_S, guard)[1] for guard in (1.0, 2.0, 4.0)]
    assert uppers == sorted(uppers, reverse=True)


def test_bursts_of_differing_sizes_are_bounded_wherever_one_was_seen():
    """Twenty events a year, one in twenty of a hundred stops."""
    rng = np.random.default_rng(11)
    truth = 20 * (0.95 + 0.05 * 100)
    covered = 0
    for _ in range(400):
        begins = np.sort(rng.uniform(0, lease.YEAR_S, rng.poisson(20)))
        parts = [at + np.arange(100 if rng.random() < 0.05 else 1) * 0.1 for at in begins]
        began = np.concatenate(parts) if parts else np.zeros(0)
        covered += lease.violations(began, np.ones(len(began)), lease.YEAR_S, 0.5)[1] >= truth
    # With no burst seen nobody can know of them: e⁻¹ of the years have none.
    assert covered >= 0.55 * 400


def test_node_seconds_are_those_of_the_best_watched_source_of_each_node():
    windows = [made.pause_window(10.0 * at, node=node) for at in range(360) for node in ("a", "b")]
    windows += [made.pause_window(10.0 * at, source="db", runtime="jvm") for at in range(100)]
    windows += [made.pause_window(10.0 * at, source="/var", runtime="disk", node="c") for at in range(100)]
    found = holder([], windows)
    assert found.observed_s == pytest.approx(7200.0)
    assert found.longest_s == 0.0
    assert {(node.cluster, node.node) for node in found.nodes} == {("prod", "a"), ("prod", "b")}
    assert found.violations(1.0)["estimate"] == 0.0
    assert found.violations(1.0)["upper"] > 0


def test_a_stop_seen_of_the_host_and_of_its_process_is_one_silence():
    windows = [made.pause_window(10.0 * at) for at in range(360)]
    windows += [made.pause_window(10.0 * at, source="db", runtime="jvm") for at in range(360)]
    pauses = [made.pause(100.0, 2.0), made.pause(100.2, 1.9, source="db", runtime="jvm", cause="gc")]
    (node,) = holder(pauses, windows).nodes
    assert node.lasted_s.tolist() == pytest.approx([2.1])


def test_stops_are_counted_by_the_time_that_their_own_source_was_watched():
    """The host for a day without one, its JVM for 100 s with ten: 3.2 million a year."""
    windows = [made.pause_window(10.0 * at) for at in range(8640)]
    windows += [made.pause_window(10.0 * at, source="db", runtime="jvm") for at in range(10)]
    pauses = [made.pause(10.0 * at, 1.0, "gc", source="db", runtime="jvm") for at in range(10)]
    told = holder(pauses, windows).violations(0.5)
    assert told["estimate"] == pytest.approx(lease.YEAR_S / 10, rel=0.01)
    assert told["upper"] > told["estimate"]


def test_a_row_of_many_pauses_counts_as_many():
    windows = [made.pause_window(10.0 * at, source="db", runtime="go") for at in range(360)]
    told = holder([made.pause(5.0, 4.0, source="db", runtime="go", pauses=4)], windows).violations(0.5)
    assert told["estimate"] == pytest.approx(4 * lease.YEAR_S / 3600)


def test_the_longest_stop_is_known_of_who_was_not_watched_as_well():
    """It makes the guard; a rate needs to be watched."""
    found = holder([made.pause(5.0, 5.0, node="z")], [made.pause_window(10.0)])
    assert found.longest_s == 5.0
    assert found.violations(1.0)["estimate"] == 0.0


def test_where_nobody_looked_nothing_is_said():
    """Unknown is not never."""
    found = holder([], [])
    assert found.longest_s is None
    assert found.violations(1.0) is None
    assert WINDOW_FIELDS == ("observed_seconds",)
