"""Numbers for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_cli.amounts import count, iso, ppm, seconds, text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (6.4e-5, "64.0 µs"),
        (-0.000211, "−211 µs"),
        (0.0009996, "1.00 ms"),
        (0.9999, "1.00 s"),
        (2.5e-8, "25.0 ns"),
        (61.0, "61.0 s"),
        (600.0, "10.0 min"),
        (86_400.0, "24.0 h"),
        (864_000.0, "10.0 d"),
    ],
)
def test_times_get_the_unit_that_suits_them(value, said):
    assert seconds(value) == said


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_time_is_said_without_an_exponent_below_a_million_days(value):
    said = seconds(value)
    assert said
    if 1e-9 < abs(value) < 1e10:
        assert "e" not in said


def test_counts_rates_and_the_rest():
    assert count(518400) == "518 400"
    assert count(0.4) == "0.4"
    assert count(None) == ppm(None) == text(None) == "–"
    assert ppm(-12.345) == "−12.35 ppm"


def test_times_of_day_have_nine_decimals():
    assert iso(1_795_378_090_020_781_155) == "2026-11-22T20:08:10.020781155Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999999Z"
