"""Cutting a record: gaps, steps, epochs and restarts end a stretch; nothing is moved or made up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.stability.stretches import Break, Cut, Points, divide


def points(at_s: object, epoch: object = 1.0, value_s: object = None) -> Points:
    """Points at these instants; without values each stands for its own instant."""
    steady_s = np.asarray(at_s, dtype=np.float64)
    values = steady_s if value_s is None else np.asarray(value_s, dtype=np.float64)
    return Points(np.broadcast_to(np.float64(epoch), steady_s.shape), steady_s, values, values, values)


def spans(of: Points, *cuts: Cut) -> tuple[list[tuple[float, float]], dict[Break, int]]:
    stretches, breaks = divide(of, cuts)
    return [(each.steady_s[0], each.steady_s[-1]) for each in stretches], breaks


def test_an_unbroken_record_is_one_stretch() -> None:
    """Also when rounds come up to a second late, and when rows come in any order and twice."""
    at_s = 10.0 * np.arange(50) + np.random.default_rng(1).uniform(0, 0.9, 50)
    shuffled = np.random.default_rng(2).permutation(np.concatenate([at_s, at_s[:7]]))
    (stretch,), breaks = divide(points(shuffled), [])
    assert stretch.steady_s.tolist() == at_s.tolist()
    assert stretch.value_s.tolist() == at_s.tolist()
    assert breaks == {}


@pytest.mark.parametrize("missing", [[20], [20, 21, 22], [5, 30]])
def test_missing_points_end_a_stretch(missing: list[int]) -> None:
    """One is enough: nothing is put in its place."""
    kept = [i for i in range(50) if i not in missing]
    found, breaks = spans(points([10.0 * i for i in kept]))
    assert breaks == {Break.GAP: len(found) - 1}
    assert sum(round((end - begin) / 10) + 1 for begin, end in found) == len(kept)
    for at in missing:
        assert not any(begin < 10.0 * at < end for begin, end in found)


def test_an_incomplete_point_is_a_missing_one() -> None:
    values = np.arange(20.0)
    values[10] = np.nan
    found, breaks = spans(points(10.0 * np.arange(20), value_s=values))
    assert found == [(0, 90), (110, 190)]
    assert breaks == {Break.GAP: 1}


@pytest.mark.parametrize("why", list(Break))
def test_what_happened_ends_a_stretch_between_the_points_around_it(why: Break) -> None:
    """The point at the very instant of an event is already after it: both are of one reading."""
    record = points(10.0 * np.arange(20))
    assert spans(record, Cut(1.0, 95.0, why)) == ([(0, 90), (100, 190)], {why: 1})
    assert spans(record, Cut(1.0, 100.0, why)) == ([(0, 90), (100, 190)], {why: 1})
    assert spans(record, Cut(1.0, np.nextafter(100.0, 200), why)) == ([(0, 100), (110, 190)], {why: 1})


def test_what_happened_elsewhere_ends_nothing() -> None:
    """Before the record, after it, or in another epoch of S."""
    record = points(10.0 * np.arange(20))
    for cut in (Cut(1.0, 0.0, Break.STEP), Cut(1.0, 190.5, Break.STEP), Cut(2.0, 95.0, Break.STEP)):
        assert spans(record, cut) == ([(0, 190)], {})


def test_another_epoch_is_another_stretch_though_its_times_go_on() -> None:
    epoch = np.repeat([1.0, 2.0], 10)
    found, breaks = spans(points(10.0 * np.arange(20), epoch))
    assert found == [(0, 90), (100, 190)]
    assert breaks == {Break.EPOCH: 1}


def test_the_gravest_reason_is_told_of_several() -> None:
    """A step in a gap, and an agent that restarted in it."""
    record = points([10.0 * i for i in range(30) if i not in {10, 11}])
    cuts = [Cut(1.0, 105.0, Break.RESTART), Cut(1.0, 112.0, Break.STEP)]
    assert spans(record, *cuts) == ([(0, 90), (120, 290)], {Break.STEP: 1})


def test_pieces_too_short_for_a_difference_are_left_out() -> None:
    record = points([0, 10, 20, 100, 110, 200, 210, 220])
    assert spans(record) == ([(0, 20), (200, 220)], {Break.GAP: 1})


def test_points_out_of_turn_are_passed_over() -> None:
    """Bounds shipped at once between those that come every 10 s, also as the first and the last."""
    record = points(sorted([*range(0, 300, 10), 3, 47, 48, 49, 151, 294]))
    stretches, breaks = divide(record, [])
    assert breaks == {}
    assert stretches[0].steady_s.tolist() == list(range(0, 300, 10))
    early = points(sorted([-4, *range(0, 300, 10)]))
    assert spans(early)[0] == [(0, 290)]


def test_another_cadence_is_no_record() -> None:
    """Nothing is 10 s apart: nothing is said."""
    assert spans(points(np.arange(0, 3000, 13.0))) == ([], {})
    assert spans(points([])) == ([], {})


@given(
    st.lists(st.floats(0.1, 30), min_size=1, max_size=80),
    st.lists(st.floats(0, 1000), max_size=6),
    st.integers(0, 79),
)
def test_no_stretch_holds_a_gap_a_cut_or_two_epochs(gaps: list[float], at: list[float], second: int) -> None:
    """Whatever the record: neighbours are 9 to 11 s apart, of one epoch, and nothing happened between."""
    steady_s = np.cumsum(gaps)
    epoch = np.where(np.arange(len(steady_s)) < second, 1.0, 2.0)
    cuts = [Cut(1.0, each, Break.STEP) for each in at] + [Cut(2.0, each, Break.GAP) for each in at]
    stretches, breaks = divide(points(steady_s, epoch), cuts)
    assert sum(breaks.values()) == max(0, len(stretches) - 1)
    seen: set[float] = set()
    for each in stretches:
        assert np.all(np.abs(np.diff(each.steady_s) - 10) <= 1)
        assert len({float(epoch[np.searchsorted(steady_s, when)]) for when in each.steady_s}) == 1
        assert not any(each.steady_s[0] < when <= each.steady_s[-1] for when in at)
        assert not seen & set(each.steady_s.tolist())
        seen |= set(each.steady_s.tolist())
