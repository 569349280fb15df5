"""Chen's configurator keeps what it promises, says no where it must, and asks for no more than it needs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer import detectors as d
from truechimer_analyzer.detectors import configurator as c


def recurrence_by_hand(interval: float, ahead: float, loss: float, variance: float) -> float:
    """The paper's f(η), multiplied out."""
    product = interval
    for j in range(1, math.ceil(ahead / interval)):
        left = (ahead - j * interval) ** 2
        product *= (variance + left) / (variance + loss * left)
    return product


@given(st.floats(1, 60), st.floats(60, 1e7), st.floats(1, 60), st.floats(0, 0.2), st.floats(1e-6, 1.0))
@settings(max_examples=60, deadline=None)
def test_the_longest_interval_that_meets_the_papers_formula(
    detection: float, recurrence: float, mistake: float, loss: float, variance: float
) -> None:
    found = c.nfd_e(c.Wish(detection, recurrence, mistake), loss, variance)
    gamma = (1 - loss) * detection**2 / (variance + detection**2)
    most = min(gamma * mistake, detection)
    if found is None:
        assert recurrence_by_hand(most / 1000, detection, loss, variance) < recurrence * 1.001
        return
    assert found.interval_s <= most * (1 + 1e-12)
    assert found.margin_s == pytest.approx(detection - found.interval_s)
    met = recurrence_by_hand(found.interval_s, detection, loss, variance)
    assert met >= recurrence * (1 - 1e-9)
    longer = found.interval_s * 1.002
    # f jumps where a heartbeat more fits in: only just above is it certain to fail.
    if longer < most and math.ceil(detection / longer) == math.ceil(detection / found.interval_s):
        assert recurrence_by_hand(longer, detection, loss, variance) < recurrence * 1.01


def test_a_known_mean_delay_is_taken_off() -> None:
    """Section 5 for T_D is section 6 for T_D less the mean delay, with δ in place of α."""
    with_delay = c.nfd_s_moments(c.Wish(5.5, 86_400, 10), 0.01, 0.5, 0.02)
    without = c.nfd_e(c.Wish(5.0, 86_400, 10), 0.01, 0.02)
    assert with_delay is not None
    assert without is not None
    assert with_delay.interval_s == pytest.approx(without.interval_s)
    assert with_delay.margin_s == pytest.approx(without.margin_s + 0.5)
    assert c.nfd_s_moments(c.Wish(0.5, 86_400, 10), 0.01, 0.5, 0.02) is None


def test_what_cannot_be_met_is_refused() -> None:
    """Everything lost, or all delays beyond T_D."""
    assert c.nfd_s(c.Wish(1, 100, 1), np.full(10, math.nan)) is None
    assert c.nfd_s(c.Wish(1, 100, 1), np.full(10, 2.0)) is None
    assert c.nfd_e(c.Wish(1, 100, 1), 1.0, 0.1) is None


def test_the_configured_detector_keeps_all_three_promises() -> None:
    """100,000 heartbeats with 2 % losses and exponential delays, T_D 4 s, T_MR 5 minutes, T_M 4 s.

    NFD-S by measured delays is close to what was asked; NFD-E by the variance is far better than asked, as
    its inequality holds for every distribution.
    """
    rng = np.random.default_rng(5)
    delay_s = rng.exponential(0.1, 100_000)
    delay_s[rng.random(len(delay_s)) < 0.02] = math.nan
    wish = c.Wish(4.0, 300.0, 4.0)
    by_delays = c.nfd_s(wish, delay_s)
    loss = float(np.isnan(delay_s).mean())
    by_moments = c.nfd_e(wish, loss, float(np.nanvar(delay_s)))
    assert by_delays is not None
    assert by_moments is not None
    assert by_delays.interval_s >= by_moments.interval_s
    for setting, detector in (
        (by_delays, d.NfdS(by_delays.margin_s)),
        (by_moments, d.NfdE(by_moments.margin_s)),
    ):
        heard = d.every_interval(delay_s, setting.interval_s)
        # From where NFD-E's window is full on: its first expectations rest on single delays.
        found = d.judge(heard, detector.deadlines_s(heard), 1000 * setting.interval_s)
        assert found.mistakes > 1
        assert found.recurrence_mean_s is not None
        assert found.recurrence_mean_s >= 300 * 0.9
        assert found.mistake_mean_s is not None
        assert found.mistake_mean_s <= 4.0
        assert found.detection_max_s is not None
        assert found.detection_max_s <= 4.0 + 0.1 + 0.02
