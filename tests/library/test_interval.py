"""The interval as a value: what programs may do with it, and what it refuses."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import BoundReason, BoundStatus
from truechimer.interval import Aging, Interval

NAMES = ("earliest_ns", "latest_ns", "status", "reason", "as_of_age_s", "epoch")
VALUES = (
    1_795_000_000_000_000_001,
    1_795_000_000_000_000_903,
    BoundStatus.HOLDOVER,
    BoundReason.NONE,
    0.25,
    7,
)


def test_it_is_made_of_its_values_and_gives_them_back():
    interval = Interval(*VALUES)
    assert tuple(getattr(interval, name) for name in NAMES) == VALUES
    assert interval == Interval(**dict(zip(NAMES, VALUES, strict=True)))
    assert interval.width_ns == 902
    assert repr(interval) == repr(Interval(*VALUES))
    assert all(f"{name}=" in repr(interval) for name in NAMES)


@given(
    st.integers(0, 10**14), st.integers(0, 10**12), st.integers(0, 2_000_000), st.integers(-(10**6), 10**6)
)
def test_equal_values_are_equal_however_they_came_about(raw_ns, age_ns, slept_ns, rate_ppb):
    aged = Interval._of(
        raw_ns,
        slept_ns,
        Aging(raw_ns - age_ns, 5, 9, -rate_ppb, rate_ppb, BoundStatus.SYNCHRONIZED, BoundReason.NONE, 3),
    )
    plain = Interval(*(getattr(aged, name) for name in NAMES))
    assert aged == plain
    assert (aged != plain) is False
    assert hash(aged) == hash(plain)
    assert pickle.loads(pickle.dumps(aged)) == copy.deepcopy(aged) == aged


def test_it_cannot_be_changed_ordered_or_taken_for_a_tuple():
    """`a < b` would look as if it said what `before` says."""
    interval = Interval(*VALUES)
    with pytest.raises(AttributeError):
        interval.earliest_ns = 0
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        with pytest.raises(TypeError, match="before"):
            getattr(interval, compare)(interval)
    assert interval != tuple(interval)
    assert interval != VALUES
