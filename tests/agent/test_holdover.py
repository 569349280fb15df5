"""Silence after an hour of good polls: the bound grows as slowly as was measured, and holds the truth."""

import pytest
from agent.holdover import hold


@pytest.mark.parametrize("seed", range(6))
def test_half_an_hour_of_silence_costs_what_the_wander_costs(seed: int) -> None:
    """About 10 ppm instead of the 1000 of max_drift_ppm; told within three polls."""
    held = hold(seed)
    assert (held.misses, held.unbounded) == (0, 0)
    assert held.told_s <= 3 * 16
    assert held.growth_ppm == pytest.approx(held.measured_ppm, rel=0.05)
    assert 10 <= held.measured_ppm < 20


def test_after_few_polls_the_bound_grows_faster_and_faster_but_holds() -> None:
    """A short record says little of the future: its margin grows with every window that passes."""
    held = hold(1, good_s=120.0)
    assert (held.misses, held.unbounded) == (0, 0)
    assert 2 * held.measured_ppm < held.growth_ppm <= 1000
