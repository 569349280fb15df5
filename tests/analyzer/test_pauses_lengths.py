"""Lengths known singly and as sums: golden small cases, and bounds that hold whatever the sums hide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.pauses.lengths import Lengths


def singles(*lengths_s: float, interval_s: float = 0.0) -> Lengths:
    return Lengths.of(np.array(lengths_s), interval_s=interval_s)


def test_single_pauses_have_one_figure_each() -> None:
    lengths = singles(0.1, 0.3, 0.2)
    assert lengths.longest_s() == (0.3, 0.3)
    assert lengths.beyond_s(0.15) == lengths.beyond_upper_s(0.15) == pytest.approx(0.2)
    assert lengths.longer_than(0.15) == (2, 2)
    assert lengths.quantiles()["p50_s"] == lengths.quantiles_upper()["p50_s"] == pytest.approx(0.2)


def test_a_sum_is_never_read_as_one_long_pause() -> None:
    """Four pauses of one second together: the longest is a quarter at least, and a second at most."""
    lengths = Lengths.of(np.array([1.0]), np.array([4.0]))
    assert lengths.longest_s() == (0.25, 1.0)
    assert lengths.longer_than(0.2) == (1, 4)
    assert lengths.longer_than(0.4) == (0, 2)
    assert (lengths.beyond_s(0.2), lengths.beyond_upper_s(0.2)) == (pytest.approx(0.2), pytest.approx(0.8))
    assert (lengths.beyond_s(0.3), lengths.beyond_upper_s(0.3)) == (0, pytest.approx(0.7))
    assert lengths.quantiles()["p50_s"] == 0.25


def test_a_cap_bounds_what_a_sum_may_hide() -> None:
    lengths = Lengths.of(np.array([1.0]), np.array([4.0]), 0.4)
    assert lengths.longest_s() == (0.25, 0.4)
    # At most two of 0.4 s and one of 0.2 s.
    assert lengths.beyond_upper_s(0.1) == pytest.approx(0.3 + 0.3 + 0.1)
    assert lengths.longer_than(0.4) == (0, 0)


def test_a_meter_counts_the_deadlines_slept_through() -> None:
    """25 ms late at a deadline every 10 ms: three deadlines were late, two of them by more than 10 ms."""
    lengths = singles(0.025, interval_s=0.01)
    assert [lengths.beyond_s(x) for x in (0.0, 0.01, 0.02, 0.025)] == pytest.approx([0.03, 0.02, 0.01, 0])
    assert lengths.longest_s() == (0.025, pytest.approx(0.035))
    assert lengths.longer_than(0.03) == (0, 1)


def test_quantiles_ask_for_as_many_pauses_as_they_take() -> None:
    lengths = Lengths.of(np.linspace(0.001, 1, 1000))
    found = lengths.quantiles()
    assert (found["p50_s"], found["p99_s"], found["p999_s"]) == pytest.approx((0.5, 0.99, 0.999))
    assert found["p9999_s"] is None


def test_a_million_pauses_in_a_row_cost_no_more_than_one() -> None:
    lengths = Lengths.of(np.array([1e6]), np.array([1e18]))
    assert len(lengths.curve()) == 2
    assert lengths.quantiles()["p9999_s"] == pytest.approx(1e-12)


def test_the_curve_falls_from_all_pauses_to_the_longest() -> None:
    points = Lengths.of(np.array([0.1, 0.2, 0.3, 0.4])).curve()
    assert points[0] == {"exceedance": 1.0, "duration_s": 0.1}
    assert points[-1] == {"exceedance": 0.125, "duration_s": 0.4}
    assert Lengths.of(np.zeros(0)).curve() == []


@given(
    st.lists(st.lists(st.floats(0.001, 5), min_size=1, max_size=6), min_size=1, max_size=8),
    st.floats(0, 6),
)
def test_whatever_the_sums_hide_lies_between_the_figures(hidden: list[list[float]], x_s: float) -> None:
    truth = singles(*[length for one in hidden for length in one])
    for cap_s in (np.inf, max(max(one) for one in hidden)):
        known = Lengths.of(
            np.array([sum(one) for one in hidden]), np.array([float(len(one)) for one in hidden]), cap_s
        )
        assert known.beyond_s(x_s) <= truth.beyond_s(x_s) + 1e-9
        assert truth.beyond_s(x_s) <= known.beyond_upper_s(x_s) + 1e-6
        least, most = known.longer_than(x_s)
        assert most >= truth.longer_than(x_s + 1e-6)[0]
        assert least <= truth.longer_than(x_s - 1e-6)[1]
        (shortest, longest), real = known.longest_s() or (0, 0), truth.longest_s() or (0, 0)
        assert shortest <= real[0] + 1e-9
        assert real[0] <= longest + 1e-9
        for name, upper in known.quantiles_upper().items():
            value = truth.quantiles()[name]
            assert (upper is None) == (value is None)
            assert upper is None or value is None or value <= upper + 1e-6
