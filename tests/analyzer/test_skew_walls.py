"""What a wall clock did in a span of S, from summaries of four readings a second."""

import numpy as np
import pytest
from analyzer.meshfleet import Fleet, Host
from analyzer.synthetic import T0
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.skew.reading import Cluster, Evidence, clusters
from truechimer_analyzer.skew.walls import Watch

T0_S = T0 / 1e9


def watch(host: Host) -> tuple[Watch, Evidence, Cluster]:
    evidence = Fleet([host], np.random.default_rng(1)).evidence(200)
    (cluster,) = clusters(evidence)
    return Watch.of(evidence.clocks, cluster.clocks[1]), evidence, cluster


def during(host: Host, begin_s: float, end_s: float) -> tuple[float, float] | None:
    return watch(host)[0].during(T0_S + begin_s, T0_S + end_s)


@given(
    phase_s=st.floats(0, 10),
    slews=st.lists(st.tuples(st.floats(0, 90), st.floats(-499e-6, 499e-6)), max_size=12),
    steps=st.lists(st.tuples(st.floats(0, 90), st.floats(-1, 1)), max_size=3),
    width_s=st.sampled_from([0.0, 1e-6, 1e-3]),
    middle_s=st.floats(15, 75),
    half_s=st.floats(0.0, 2.0),
)
def test_whatever_the_wall_clock_did_in_a_span_is_in_its_hull(
    phase_s: float,
    slews: list[tuple[float, float]],
    steps: list[tuple[float, float]],
    width_s: float,
    middle_s: float,
    half_s: float,
) -> None:
    """Slews as fast as the kernel allows, turning between readings; steps; readings that err."""
    host = Host("a", phase_s=phase_s, slews=[(0.0, 0.0), *sorted(slews)], steps=steps, read_width_s=width_s)
    found = during(host, middle_s - half_s, middle_s + half_s)
    if middle_s + half_s > watch(host)[0].until_s - T0_S:
        assert found is None
        return
    assert found is not None
    moments = np.array(
        [
            *np.linspace(middle_s - half_s, middle_s + half_s, 41),
            *(at for at, _ in [*slews, *steps] if abs(at - middle_s) <= half_s),
        ]
    )
    truth = host.wall_minus_steady_s(moments)
    assert found[0] - 1e-9 <= truth.min()
    assert truth.max() <= found[1] + 1e-9


def test_a_turn_between_two_readings_is_allowed_for() -> None:
    """500 ppm out and back within a quarter of a second: 62.5 µs that no reading shows."""
    host = Host("a", slews=[(0.0, 0.0), (40.0, 499.9e-6), (40.125, -499.9e-6), (40.25, 0.0)])
    found = during(host, 40.1, 40.2)
    assert found is not None
    assert 62e-6 < found[1] < 70e-6


def test_a_step_is_in_the_hull_of_the_span_that_it_is_near_and_of_no_other() -> None:
    host = Host("a", steps=[(41.0, 2.0)])
    near, far = during(host, 40.9, 40.95), during(host, 55.0, 56.0)
    assert near is not None
    assert far is not None
    # Within the same summary nobody knows when.
    assert near[0] < 0 < 2 < near[1]
    assert 1.99 < far[0] < 2.0 < far[1] < 2.01


def test_nothing_is_said_of_what_nobody_watched() -> None:
    """Before the first summary, after the last, while the agent was away."""
    host = Host("a", away=(42.0, 44.0))
    assert during(host, 38.0, 39.0) is not None
    assert during(host, 41.0, 43.0) is None
    assert during(host, 43.9, 44.5) is None
    assert during(host, 45.0, 46.0) is not None
    assert during(host, 85.0, 99.0) is None
    assert during(host, -20.0, -15.0) is None
    assert during(host, 39.0, 46.0) is None


def test_a_lost_summary_leaves_a_hole_and_no_more() -> None:
    _, evidence, cluster = watch(Host("a"))
    rows = np.delete(cluster.clocks[1], 4)
    kept = Watch.of(evidence.clocks, rows)
    lost_s = evidence.clocks.fields["steady_seconds"][cluster.clocks[1][4]]
    assert kept.during(lost_s - 5, lost_s - 4) is None
    assert kept.during(lost_s - 11, lost_s - 10.5) is not None
    assert kept.during(lost_s + 1, lost_s + 2) is not None


def test_the_first_summary_of_an_epoch_says_nothing_of_what_was_before_it() -> None:
    host = Host("a", new_epoch_at_s=43.0, jump_s=7.0)
    assert during(host, 48.0, 49.0) is None  # S that the epoch never had
    assert during(host, 51.0, 52.0) is not None
    assert during(host, 62.0, 66.0) is not None


@pytest.mark.parametrize("ends", ["wall_minus_steady_seconds_min", "wall_minus_steady_seconds_max"])
def test_a_summary_without_extremes_is_none(ends: str) -> None:
    _, evidence, cluster = watch(Host("a"))
    evidence.clocks.fields[ends][cluster.clocks[1][-1]] = np.nan
    found = Watch.of(evidence.clocks, cluster.clocks[1])
    assert found.until_s == evidence.clocks.fields["steady_seconds"][cluster.clocks[1][-2]]
