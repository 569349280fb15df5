"""When a timeout is exceeded: by window, by hour of the day, and where one bound does not fit all."""

import numpy as np
import pytest

from truechimer_analyzer.timeouts.operations import Operations, Path
from truechimer_analyzer.timeouts.recurring import (
    DAY_S,
    HOUR_S,
    hours_of_day,
    shift,
    stretches,
    worst,
    worst_that_recurs,
)
from truechimer_analyzer.timeouts.tail import upper_exceedance

# Every 10 s for three days from a midnight on.
TIMES = np.arange(0, 3 * DAY_S, 10.0) + 20_000 * DAY_S
HOUR = np.floor((TIMES % DAY_S) / HOUR_S)
DAY = np.floor(TIMES / DAY_S) - 20_000


def operations(slow: np.ndarray, lost: np.ndarray | None = None) -> Operations:
    lost_s = np.zeros(0) if lost is None else lost
    return Operations(
        (Path("prod", "a", "b", "tcp"),),
        np.where(slow, 1.0, 0.001),
        TIMES,
        np.zeros(len(TIMES), dtype=np.intp),
        lost_s,
        np.zeros(len(lost_s), dtype=np.intp),
        {},
    )


def sprinkled(share: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(len(TIMES)) < share


def test_windows_count_what_was_seen_and_lost_in_each() -> None:
    slow = (DAY == 1) & (HOUR == 5) & sprinkled(0.1)
    every = stretches(operations(slow, TIMES[:7] + 1.0), 0.5, 1.0)
    assert len(every) == 72
    assert sum(each.operations for each in every) == len(TIMES) + 7
    assert every[0].operations == 367
    found = worst(every)
    assert found is not None
    assert (found.seen, found.since_s) == (slow.sum(), 20_001 * DAY_S + 5 * HOUR_S)
    assert found.upper == pytest.approx(upper_exceedance(int(slow.sum()), 360))
    assert worst(stretches(operations(sprinkled(0.0)), 0.5, 1.0)) is None


def test_the_worst_hour_that_recurs_is_not_the_worst_that_happened_once() -> None:
    incident = (DAY == 2) & (HOUR == 13)
    backup = (HOUR == 3) & sprinkled(0.05)
    hours = hours_of_day(operations(incident | backup), 0.5, 1.0)
    assert len(hours) == 24
    assert max(hours, key=lambda each: each.estimate).hour == 13
    found = worst_that_recurs(hours)
    assert found is not None
    assert (found.hour, found.days, found.days_beyond) == (3, 3, 3)
    assert found.upper > found.estimate
    assert worst_that_recurs(hours_of_day(operations(incident), 0.5, 1.0)) is None


def test_a_shift_is_found_where_the_pooled_bound_fails() -> None:
    slow = (DAY == 2) & (HOUR >= 12) & sprinkled(0.02)
    pooled = upper_exceedance(int(slow.sum()), len(TIMES))
    found = shift(operations(slow), 0.5, pooled, 1.0)
    assert found is not None
    assert found.since_s >= TIMES[0] + 2.4 * DAY_S
    assert found.estimate > pooled
    assert found.upper > found.estimate


def test_an_even_record_has_no_shift() -> None:
    """In 30 even records none is found; at 5 % over all stretches, and above an upper bound at that."""
    for seed in range(30):
        slow = sprinkled(0.003, seed)
        pooled = upper_exceedance(int(slow.sum()), len(TIMES))
        assert shift(operations(slow), 0.5, pooled, 1.0) is None


def test_a_burst_that_is_one_event_is_no_shift() -> None:
    slow = sprinkled(0.002)
    slow[10_000:10_012] = True
    pooled = upper_exceedance(int(slow.sum()), len(TIMES))
    assert shift(operations(slow), 0.5, pooled, 12.0) is None


def test_nothing_measured_is_no_window() -> None:
    nothing = np.zeros(0)
    none = Operations((), nothing, nothing, nothing.astype(np.intp), nothing, nothing.astype(np.intp), {})
    assert stretches(none, 0.5, 1.0) == []
    assert shift(none, 0.5, 0.1, 1.0) is None
