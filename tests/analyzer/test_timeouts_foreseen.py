"""What may come next: right as often as it says, singly, in clusters and by bad hours; and not by far."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.timeouts.foreseen import foreseen


def covered(make: object, past: int, ahead: int, cluster: float, tries: int = 400) -> float:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(tries):
        late = make(rng, past + ahead)  # type: ignore[operator]
        bound = foreseen(np.flatnonzero(late[:past]), past, past / cluster, ahead)
        held += int(late[past:].sum()) <= bound
    return held / tries


def singly(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.random(count) < 0.002


def clustered(rng: np.random.Generator, count: int) -> np.ndarray:
    late = np.zeros(count, dtype=bool)
    for begin in np.flatnonzero(rng.random(count) < 0.0004):
        late[begin : begin + 5] = True
    return late


def by_hours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Every so often an hour is ten times as bad."""
    rate = np.repeat(np.where(rng.random(count // 500 + 1) < 0.15, 0.02, 0.002), 500)[:count]
    return rng.random(count) < rate


@pytest.mark.parametrize(("make", "cluster"), [(singly, 1.0), (clustered, 5.0), (by_hours, 1.0)])
@pytest.mark.parametrize(("past", "ahead"), [(20_000, 2_000), (16_000, 16_000), (8_000, 800)])
def test_95_percent_of_spans_are_within_what_was_foreseen(
    make: object, cluster: float, past: int, ahead: int
) -> None:
    assert covered(make, past, ahead, cluster) >= 0.93


def test_none_seen_foresees_three_in_as_many() -> None:
    """As long a span as the past, which saw none: up to 4 (1 − 2⁻⁵ is the first above 95 %)."""
    assert foreseen(np.array([], dtype=np.intp), 1000, 1000.0, 1000) == 4.0
    assert foreseen(np.array([], dtype=np.intp), 1000, 100.0, 1000) == 40.0
    assert foreseen(np.array([], dtype=np.intp), 100_000, 100_000.0, 100) == 0.0


def test_what_comes_evenly_is_foreseen_closely() -> None:
    """A thousand in a million, one in a thousand each: a tenth of that to come is 100, not 400."""
    late = np.arange(0, 1_000_000, 1000)
    assert 100 < foreseen(late, 1_000_000, 1_000_000.0, 100_000) < 130


def test_the_worst_stretch_may_come_again() -> None:
    late = np.arange(500, 600)
    assert foreseen(late, 100_000, 100_000.0, 100) == 100.0
    assert foreseen(late, 100_000, 100_000.0, 1000) > 100


@given(
    st.sets(st.integers(0, 999), max_size=50), st.floats(1, 1000), st.integers(0, 3000), st.integers(0, 3000)
)
def test_a_longer_span_never_has_less(some: set[int], independent: float, one: int, other: int) -> None:
    late = np.array(sorted(some), dtype=np.intp)
    short, long = sorted((one, other))
    assert foreseen(late, 1000, independent, short) <= foreseen(late, 1000, independent, long) + 1e-9
    assert 0 <= foreseen(late, 1000, independent, long) <= long


def test_no_past_foresees_nothing() -> None:
    assert foreseen(np.array([], dtype=np.intp), 0, 0.0, 10) == 0.0
