"""Leap seconds: UTC's label followed through the end of a month, and smears told from lies."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Leap
from truechimer_agent.bounds.intervals import Interval
from truechimer_agent.bounds.leap import (
    DAY_NS,
    GUARD_NS,
    LeapWatch,
    announced,
    is_last_day,
    is_smearing,
    smear_ns,
)

NS = 10**9
MONTH_END_NS = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * NS


def around(utc_ns, half_ns=1_000_000):
    return Interval(utc_ns - half_ns, utc_ns + half_ns)


def through(leap, *, from_s=-20, until_s=20):
    """Every passed month's end, and the seconds (against it) at which the label was ambiguous."""
    watch, guarded, passed = LeapWatch(), [], []
    for second in range(from_s, until_s):
        found = watch.advance(around(MONTH_END_NS + second * NS), leap)
        if found is not None:
            passed.append(found)
        if watch.is_guarded:
            guarded.append(second)
    return passed, guarded


@pytest.mark.parametrize(("leap", "move_ns"), [(Leap.INSERT, -NS), (Leap.DELETE, NS)])
def test_an_announced_leap_moves_the_label_once_and_is_ambiguous_around_it(leap, move_ns):
    """From the guard's time before until after the second is certainly over."""
    passed, guarded = through(leap)
    assert [each.move_ns for each in passed] == [move_ns]
    guard_s = GUARD_NS // NS
    assert guarded[0] == -guard_s
    assert guarded[-1] == guard_s + 1


def test_without_an_announcement_a_month_ends_like_any_minute():
    """Nothing is ambiguous, nothing moves."""
    assert through(Leap.NONE) == ([], [])


def test_disputed_announcements_leave_nobody_knowing_what_happened():
    """The label is ambiguous, and afterwards the histories must be forgotten."""
    passed, guarded = through(None)
    assert [each.move_ns for each in passed] == [None]
    assert guarded


@pytest.mark.parametrize("second", [-3, 0, 3])
@pytest.mark.parametrize("leap", [Leap.INSERT, None])
def test_the_first_word_amid_a_possible_leap_is_in_nobody_knows_which_label(second, leap):
    """An agent that starts or wakes then vouches for nothing until it is over, and forgets what it heard."""
    watch = LeapWatch()
    assert watch.advance(around(MONTH_END_NS + second * NS), leap) is None
    assert watch.is_guarded
    passed = watch.advance(around(MONTH_END_NS + 6 * NS), leap)
    assert passed.move_ns is None


def test_the_first_word_at_a_months_end_without_an_announcement_is_as_good_as_any():
    """All that n − f servers say is that nothing leaps."""
    watch = LeapWatch()
    assert watch.advance(around(MONTH_END_NS), Leap.NONE) is None
    assert not watch.is_guarded


def test_what_is_announced_in_the_middle_of_a_month_guards_nothing():
    """A leap bit four days early says nothing of now."""
    watch = LeapWatch()
    assert watch.advance(around(MONTH_END_NS - 4 * DAY_NS), Leap.INSERT) is None
    assert not watch.is_guarded


def test_the_majority_announces_or_it_is_disputed():
    """As many as are needed for an interval."""
    assert announced([Leap.INSERT, Leap.INSERT, Leap.NONE], 2) is Leap.INSERT
    assert announced([Leap.NONE] * 3, 2) is Leap.NONE
    assert announced([Leap.INSERT, Leap.NONE], 2) is None
    assert announced([], 1) is None
    assert announced([Leap.NONE, Leap.INSERT], 1) is None


def test_the_last_day_of_a_month_is_its_last_24_hours():
    """By UTC, to the second."""
    assert is_last_day(MONTH_END_NS - 1)
    assert is_last_day(MONTH_END_NS - DAY_NS)
    assert not is_last_day(MONTH_END_NS - DAY_NS - 1_000)
    assert not is_last_day(MONTH_END_NS + NS)


@given(st.integers(-DAY_NS, DAY_NS), st.sampled_from([Leap.INSERT, Leap.DELETE]))
def test_a_smear_is_never_more_than_half_a_second_and_steady_but_for_the_leap(since_ns, leap):
    """Linear from noon to noon: 11.6 ppm."""
    off_ns = smear_ns(since_ns, leap)
    if off_ns is None:
        assert abs(since_ns) >= DAY_NS // 2
        return
    assert abs(off_ns) <= NS // 2
    later_ns = smear_ns(since_ns + 100 * NS, leap)
    if later_ns is not None and (since_ns < 0) == (since_ns + 100 * NS < 0):
        assert abs(abs(later_ns - off_ns) - 100 * NS // 86_400) <= 2


def test_a_smearing_server_is_told_from_a_lying_one():
    """Six hours before an inserted second a smear is a quarter of a second behind; other errors are lies."""
    since_ns = -6 * 3600 * NS
    assert is_smearing(around(-NS // 4), since_ns, Leap.INSERT)
    assert not is_smearing(around(NS // 4), since_ns, Leap.INSERT)
    assert not is_smearing(around(-NS // 8), since_ns, Leap.INSERT)
    assert not is_smearing(around(0, NS), since_ns, Leap.INSERT)
    assert not is_smearing(around(-NS // 4), -13 * 3600 * NS, Leap.INSERT)
