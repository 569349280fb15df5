"""ADEV, TDEV and MTIE: against published values, allantools, slopes, and by what leaves them alone."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analyzer.allantools_table import nist_1000
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.stability.deviations import FACTORS, LEAST_EDF, Deviations, deviations
from truechimer_analyzer.stability.stretches import Stretch

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("allantools_table.json").read_text())
seeds = st.integers(0, 2**32 - 1)


def stretch(value_s: np.ndarray, half_s: float = 0.0, spacing_s: float = 1.0) -> Stretch:
    at_s = spacing_s * np.arange(len(value_s))
    return Stretch(at_s, value_s, value_s - half_s, value_s + half_s)


def of(*values: np.ndarray) -> Deviations:
    return deviations([stretch(each) for each in values], 1.0)


def by_tau(estimates: Any) -> dict[float, float]:
    return {each.tau_s: each.value for each in estimates}


def slope(estimates: Any, least_s: float, most_s: float) -> float:
    """The slope on log-log paper."""
    inside = [each for each in estimates if least_s <= each.tau_s <= most_s]
    logs = np.log10([[each.tau_s, each.value] for each in inside])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def noise(seed: int, points: int = 600) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1e-6, points) + np.cumsum(rng.normal(0, 1e-7, points))


def test_the_nist_test_set_gives_the_published_values() -> None:
    """NIST SP 1065, table 31: overlapping ADEV and TDEV of 1000 points at τ = 1."""
    found = of(nist_1000())
    assert found.adev[0].value == pytest.approx(2.922319e-01, rel=1e-6)
    assert found.tdev[0].value == pytest.approx(1.687202e-01, rel=1e-6)


def test_the_published_values_at_longer_tau(monkeypatch: pytest.MonkeyPatch) -> None:
    """NIST SP 1065, table 31, at τ = 10 and 100."""
    monkeypatch.setattr("truechimer_analyzer.stability.deviations.FACTORS", (1, 10, 100))
    found = of(nist_1000())
    adev, tdev = by_tau(found.adev), by_tau(found.tdev)
    assert (adev[10.0], adev[100.0]) == (
        pytest.approx(9.159953e-02, rel=1e-6),
        pytest.approx(3.241343e-02, rel=1e-6),
    )
    assert (tdev[10.0], tdev[100.0]) == (
        pytest.approx(3.563623e-01, rel=1e-6),
        pytest.approx(1.253382, rel=1e-6),
    )


@pytest.mark.parametrize("name", ["adev", "tdev", "mtie"])
def test_every_value_and_number_of_terms_is_that_of_allantools(name: str) -> None:
    found = [[each.tau_s, each.value, each.terms] for each in getattr(of(nist_1000()), name)]
    assert len(found) >= 8
    assert found == [
        [tau, pytest.approx(value, rel=1e-12), terms] for tau, value, terms in TABLE[name][: len(found)]
    ]


@pytest.mark.parametrize(
    ("kind", "adev", "tdev"),
    [("white phase", -1.0, -0.5), ("white frequency", -0.5, 0.5), ("random walk of frequency", 0.5, 1.5)],
)
def test_power_laws_have_their_slopes(kind: str, adev: float, tdev: float) -> None:
    """A day of simulated noise; τ^−1, τ^−½, τ^½ of ADEV, one more of TDEV (half of it for white phase)."""
    drawn = np.random.default_rng(5).normal(0, 1, 8641)
    for _ in range({"white phase": 0, "white frequency": 1, "random walk of frequency": 2}[kind]):
        drawn = np.cumsum(drawn)
    found = of(drawn)
    assert slope(found.adev, 6, 360) == pytest.approx(adev, abs=0.12)
    assert slope(found.tdev, 6, 360) == pytest.approx(tdev, abs=0.17)


@given(seeds, st.floats(-1e3, 1e3), st.floats(-5e-4, 5e-4))
def test_a_constant_offset_and_frequency_leave_adev_and_tdev_alone(
    seed: int, offset_s: float, rate: float
) -> None:
    value_s = noise(seed)
    plain, moved = of(value_s), of(value_s + offset_s + rate * np.arange(len(value_s)))
    for name in ("adev", "tdev"):
        assert by_tau(getattr(moved, name)) == pytest.approx(by_tau(getattr(plain, name)), rel=1e-3)


@given(seeds, st.floats(-5e-4, 5e-4))
def test_a_point_that_comes_late_shows_no_noise_where_there_is_only_a_rate(seed: int, rate: float) -> None:
    """Each up to 1 s late: W at a steady rate against S is read on its line."""
    at_s = 10.0 * np.arange(300) + np.random.default_rng(seed).uniform(0, 1, 300)
    value_s = rate * at_s
    found = deviations([Stretch(at_s, value_s, value_s, value_s)], 10.0)
    assert all(each.value < 1e-15 for each in found.adev)
    assert all(each.value < 1e-14 for each in found.tdev)


@given(seeds, st.floats(0.001, 1000))
def test_deviations_scale_with_the_clocks_error(seed: int, factor: float) -> None:
    value_s = noise(seed)
    plain, scaled = of(value_s), of(value_s * factor)
    for name in ("adev", "tdev", "mtie"):
        wanted = {tau: value * factor for tau, value in by_tau(getattr(plain, name)).items()}
        assert by_tau(getattr(scaled, name)) == pytest.approx(wanted, rel=1e-6)


@given(seeds, st.floats(0, 1e-5))
def test_mtie_grows_with_tau_and_holds_what_any_true_course_did(seed: int, half_s: float) -> None:
    """Some course within the points' intervals is drawn: its MTIE lies within the limits."""
    value_s = noise(seed)
    found = deviations([stretch(value_s, half_s)], 1.0).mtie
    assert [each.value for each in found] == sorted(each.value for each in found)
    true_s = value_s + np.random.default_rng(seed + 1).uniform(-half_s, half_s, len(value_s))
    for each, real in zip(found, of(true_s).mtie, strict=True):
        slack = 1e-9 * each.upper
        assert each.lower - slack <= real.value <= each.upper + slack
        assert each.lower <= each.value <= each.upper


@given(seeds, st.integers(2, 200))
def test_mtie_is_the_greatest_range_of_any_window(seed: int, points: int) -> None:
    """Against the definition, window by window."""
    value_s = noise(seed, points)
    for each in of(value_s).mtie:
        m = round(each.tau_s)
        windows = np.lib.stride_tricks.sliding_window_view(value_s, m + 1)
        assert each.value == float(np.ptp(windows, axis=1).max())
        assert each.terms == len(windows)


@given(
    seeds, st.lists(st.integers(3, 90), min_size=2, max_size=8), st.floats(-10, 10), st.floats(-1e-4, 1e-4)
)
def test_nothing_between_stretches_leaks_in(
    seed: int, lengths: list[int], jump_s: float, rate: float
) -> None:
    """Stretches that each stand somewhere else, running at another rate, say what they say in place."""
    values = [noise(seed + number, length) for number, length in enumerate(lengths)]
    moved = [each + number * (jump_s + rate * np.arange(len(each))) for number, each in enumerate(values)]
    plain, away = of(*values), of(*moved)
    for name in ("adev", "tdev"):
        assert by_tau(getattr(away, name)) == pytest.approx(by_tau(getattr(plain, name)), rel=1e-3)
    offset = of(*(each + number * jump_s for number, each in enumerate(values)))
    assert by_tau(offset.mtie) == pytest.approx(by_tau(plain.mtie), rel=1e-6)


def test_stretches_weigh_by_their_number_of_terms() -> None:
    """98 terms of one variance and 198 of another."""
    quiet, loud = noise(1, 100), 10 * noise(2, 200)
    squares = [of(each).adev[0].value ** 2 for each in (quiet, loud)]
    pooled = of(quiet, loud).adev[0]
    assert pooled.terms == 98 + 198
    assert pooled.value**2 == pytest.approx((98 * squares[0] + 198 * squares[1]) / 296)


def test_thin_evidence_is_left_out() -> None:
    """Of 31 points τ goes to 6 or 12 spacings; of three, nowhere; of a stretch without variation it is 0."""
    assert [each.tau_s for each in of(noise(1, 31)).adev][-1] in {3.0, 6.0, 12.0}
    assert of(noise(1, 3)).adev == ()
    assert deviations([], 1.0) == Deviations((), (), ())
    still = of(np.zeros(100))
    assert {each.value for each in (*still.adev, *still.tdev, *still.mtie)} == {0.0}
    assert all(math.isfinite(each.upper) for each in still.adev)


def test_two_short_stretches_make_no_long_tau() -> None:
    """MTIE at τ takes windows over twice τ, however much there is in all."""
    found = of(*(noise(number, 50) for number in range(100)))
    assert max(each.tau_s for each in found.mtie) == 30.0
    assert all(each.terms >= 2 * each.tau_s for each in found.mtie)


@pytest.mark.parametrize(("summed", "at_tau"), [(0, -1.0), (1, -0.5)])
def test_the_limits_hold_the_truth_as_often_as_they_say(summed: int, at_tau: float) -> None:
    """1000 records of an hour of white phase and white frequency noise, the noise unknown: 95 % do.

    Their ADEV is known: √3 · τ^−1, and τ^−½. What is told of few points may be wider, never narrower.
    """
    rng = np.random.default_rng(11)
    held = dict.fromkeys((1.0, 3.0, 12.0, 60.0), 0)
    for _ in range(1000):
        value_s = rng.normal(0, 1, 361)
        for each in of(np.cumsum(value_s) if summed else value_s).adev:
            if each.tau_s in held:
                truth = (1 if summed else math.sqrt(3)) * each.tau_s**at_tau
                held[each.tau_s] += each.lower <= truth <= each.upper
    assert all(930 <= count <= 990 for count in held.values()), held


def test_tau_are_those_that_people_say() -> None:
    """With 10 s spacing: an octave or so apart, up to ten days."""
    ratios = np.array(FACTORS[1:]) / np.array(FACTORS[:-1])
    assert ratios.min() >= 1.5
    assert ratios.max() <= 2.5
    assert FACTORS[-1] * 10 == 10 * 86_400
    assert LEAST_EDF > 2
