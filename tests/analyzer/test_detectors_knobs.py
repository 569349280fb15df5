"""Detectors that are linear in their knob: any setting by two replays, and the least that the past allows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer import detectors as d
from truechimer_analyzer.detectors.knobs import MOST, heartbeat_knobs, least_setting, request_knobs

delays = st.lists(st.one_of(st.floats(0.001, 3.0), st.just(math.nan)), min_size=1, max_size=40)


@given(delays, st.floats(0.0, 20.0))
@settings(max_examples=40, deadline=None)
def test_any_setting_is_what_the_detector_itself_gives(some: list[float], setting: float) -> None:
    heard = d.every_interval(np.array(some), 1.0)
    for name, detector in (
        ("silence", d.Fixed(setting)),
        ("nfd-e α", d.NfdE(setting)),
        ("2w-fd", d.TwoWindow(setting)),
        ("bertier φ", d.Bertier(phi=setting)),
        ("cassandra-φ", d.Cassandra(setting, first_s=2.0)),
    ):
        found = heartbeat_knobs(heard)[name].limits_s(setting) + heard.arrived_s
        np.testing.assert_allclose(found, detector.deadlines_s(heard), rtol=1e-9, atol=1e-9)
    asked = d.Requests(np.arange(float(len(some))), np.array(some))
    for name, request in (
        ("fixed", d.Fixed(setting)),
        ("p99.9×", d.Percentile(setting)),
        ("jacobson K", d.Jacobson(setting, granularity_s=0.0)),
    ):
        found = request_knobs(asked)[name].limits_s(setting)
        np.testing.assert_allclose(found, request.timeouts_s(asked), rtol=1e-9, atol=1e-9)


@given(delays, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_the_least_setting_allows_as_many_and_less_allows_more(some: list[float], allowed: int) -> None:
    """A hair above it so many mistakes at most are made; a hair below, where it is above 0, more are."""
    asked = d.Requests(np.arange(float(len(some))), np.array(some))
    for knob in request_knobs(asked).values():
        setting = least_setting([knob.needs], allowed)
        if setting == MOST:
            continue
        above = knob.took_s > knob.limits_s(setting * (1 + 1e-9) + 1e-12)
        assert np.count_nonzero(above) <= allowed
        below = knob.took_s > knob.limits_s(setting * (1 - 1e-9) - 1e-12)
        assert setting == 0 or np.count_nonzero(below) > allowed


def test_what_is_never_a_mistake_needs_nothing() -> None:
    """Losses, and replies within the limit at 0 already."""
    asked = d.Requests(np.arange(3.0), np.array([0.5, math.nan, 0.2]))
    knob = request_knobs(asked)["jacobson K"]
    assert knob.needs[:2].tolist() == [-math.inf, -math.inf]
    assert least_setting([knob.needs[:0]], 3) == 0.0
    assert least_setting([np.array([math.inf])], 0) == MOST


@pytest.mark.parametrize("allowed", [0, 2])
def test_several_paths_are_one_past(allowed: int) -> None:
    needs = [np.array([1.0, 5.0]), np.array([3.0, 2.0, 4.0])]
    assert least_setting(needs, allowed) == 5.0 - allowed
