"""truechimer.clock: an interval that contains true time, or a refusal that says why."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer import clock
from truechimer.clock import Clock, NoBound, interval_at
from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.readings import NS, Reading, SystemClocks
from truechimer.segment import Published, SegmentWriter

ANCHOR = 1_700_000_000 * NS
BOUND = Published(
    as_of_steady_ns=ANCHOR + 100 * NS,
    anchor_ns=ANCHOR,
    epoch=3,
    lower_ns=-2_000_000,
    upper_ns=3_000_000,
    frequency_lower_ppb=-500_000,
    frequency_upper_ppb=400_000,
    suspended_ns=77 * NS,
    status=BoundStatus.SYNCHRONIZED,
    reason=BoundReason.NONE,
    leap=Leap.NONE,
)


def reading(age_ns=0, *, wall_ns=None, asleep_ns=77 * NS, width_ns=200):
    raw = 100 * NS + age_ns
    mono = 5 * NS + age_ns
    return Reading(ANCHOR + raw if wall_ns is None else wall_ns, raw, mono, mono + asleep_ns, width_ns)


class FixedClocks:
    def __init__(self, *readings):
        self.readings = list(readings)

    def read(self):
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def raw_ns(self):
        return self.readings[0].raw_ns


def test_ageing_widens_by_the_frequency_bound_only():
    interval = interval_at(BOUND, reading(2 * NS))
    steady = ANCHOR + 102 * NS
    assert (interval.earliest_ns, interval.latest_ns) == (steady - 3_000_000, steady + 3_800_000)
    assert interval.status is BoundStatus.SYNCHRONIZED
    assert interval.as_of_age_s == 2.0
    assert interval.epoch == 3


@given(
    st.integers(0, 1000 * NS),
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**9),
    st.integers(-500_000, 500_000),
    st.integers(0, 1_000_000),
    st.fractions(0, 1),
    st.fractions(0, 1),
)
def test_every_truth_that_the_bound_allows_is_inside(age_ns, lower, width, f_lo, f_width, where, rate):
    """UTC = S + x0 + f·Δ for any x0 and f within the published bounds, in exact arithmetic."""
    bound = replace(
        BOUND,
        lower_ns=lower,
        upper_ns=lower + width,
        frequency_lower_ppb=f_lo,
        frequency_upper_ppb=f_lo + f_width,
    )
    interval = interval_at(bound, reading(age_ns))
    truth = (
        ANCHOR + 100 * NS + age_ns + lower + where * width + (f_lo + rate * f_width) * Fraction(age_ns, 10**9)
    )
    assert interval.earliest_ns <= truth <= interval.latest_ns
    assert interval.width_ns <= width + f_width * age_ns // 10**9 + 2


def test_a_step_of_the_wall_clock_changes_nothing_about_utc(tmp_path):
    with SegmentWriter(tmp_path / "clock") as writer:
        writer.write(BOUND)
        right = Clock(tmp_path / "clock", FixedClocks(reading(NS))).error_of_wall()
        ahead = Clock(
            tmp_path / "clock", FixedClocks(reading(NS, wall_ns=ANCHOR + 7301 * NS))
        ).error_of_wall()
    assert ahead.interval == right.interval
    assert ahead.lower_ns == right.lower_ns - 7200 * NS
    assert (right.lower_ns, right.upper_ns) == (-2_500_000 - 100, 3_400_000 + 100)


@pytest.mark.parametrize(
    ("bound", "at", "status", "reason"),
    [
        (
            replace(BOUND, status=BoundStatus.UNKNOWN, reason=BoundReason.NO_MAJORITY),
            reading(),
            "unknown",
            "no_majority",
        ),
        (
            replace(BOUND, status=BoundStatus.DISRUPTED, reason=BoundReason.DISRUPTED),
            reading(),
            "disrupted",
            "disrupted",
        ),
        (BOUND, reading(NS, asleep_ns=78 * NS), "disrupted", "suspended"),
        (BOUND, reading(1001 * NS), "unknown", "agent_silent"),
        (BOUND, reading(-1), "unknown", "agent_silent"),
    ],
)
def test_an_interval_that_cannot_be_justified_is_refused(bound, at, status, reason):
    with pytest.raises(NoBound) as caught:
        interval_at(bound, at)
    assert (caught.value.status, caught.value.reason, caught.value.exit_code) == (status, reason, 3)


@pytest.mark.parametrize(("leap", "refused_s"), [(Leap.INSERT, 19), (Leap.DELETE, 19), (Leap.NONE, None)])
def test_an_announced_leap_second_ends_what_was_published_before_it(leap, refused_s):
    """At the end of the bound's UTC day, a second early: a deleted one comes then."""
    day = 86_400 * NS
    as_of = 20_000 * day - 20 * NS
    bound = replace(BOUND, leap=leap, as_of_steady_ns=as_of, anchor_ns=as_of - 100 * NS)
    for second in range(60):
        if refused_s is not None and second >= refused_s:
            with pytest.raises(NoBound) as refusal:
                interval_at(bound, reading(second * NS))
            assert refusal.value.reason == "leap"
        else:
            interval_at(bound, reading(second * NS))


def test_a_silent_agent_means_holdover_before_it_means_refusal():
    assert interval_at(BOUND, reading(5 * NS)).status is BoundStatus.SYNCHRONIZED
    assert interval_at(BOUND, reading(5 * NS + 1)).status is BoundStatus.HOLDOVER
    assert interval_at(BOUND, reading(1000 * NS)).status is BoundStatus.HOLDOVER


def test_the_noise_of_a_reading_is_no_suspend_and_is_allowed_for():
    """It may be a sleep all the same, by which UTC went on and S did not: the later end moves with it."""
    calm = interval_at(BOUND, reading(NS))
    for noise_ns, width_ns in [(1, 200), (1_999_999, 200), (20_000_000, 30_000_000)]:
        found = interval_at(BOUND, reading(NS, asleep_ns=77 * NS + noise_ns, width_ns=width_ns))
        assert (found.earliest_ns, found.latest_ns) == (calm.earliest_ns, calm.latest_ns + noise_ns)


@given(
    st.integers(0, 3_000_000),
    st.integers(0, 500),
    st.integers(0, 500),
    st.integers(0, 900 * NS),
    st.integers(-2_000_000, 3_000_000),
)
def test_a_sleep_is_inside_the_interval_or_refused(slept_ns, published_ns, read_ns, age_ns, x_ns):
    """Whatever the sleep's length, and however much too small or large the two readings were."""
    bound = replace(BOUND, suspended_ns=77 * NS - published_ns)
    at = reading(age_ns, asleep_ns=77 * NS + slept_ns + read_ns)
    if slept_ns + read_ns + published_ns > 2_000_000 + at.width_ns:
        with pytest.raises(NoBound, match="slept"):
            interval_at(bound, at)
        return
    interval = interval_at(bound, at)
    truth = ANCHOR + 100 * NS + age_ns + x_ns + slept_ns
    assert interval.earliest_ns <= truth <= interval.latest_ns


def test_no_agent_and_a_damaged_file_are_refusals_too(tmp_path):
    with pytest.raises(NoBound) as absent:
        Clock(tmp_path / "clock").now()
    (tmp_path / "clock").write_bytes(b"junk")
    with pytest.raises(NoBound) as junk:
        Clock(tmp_path / "clock").now()
    assert (absent.value.reason, junk.value.reason) == ("no_agent", "bad_segment")


def test_before_and_after_are_certain_or_false():
    interval = interval_at(BOUND, reading())
    assert not interval.before(interval.latest_ns)
    assert interval.before(interval.latest_ns + 1)
    assert not interval.after(interval.earliest_ns)
    assert interval.after(interval.earliest_ns - 1)


def test_commit_wait_returns_only_when_the_time_is_certainly_past(tmp_path):
    """With this host's own clocks and a bound of ±5 ms: waiting for `latest` takes about the width."""
    clocks = SystemClocks()
    first = clocks.read()
    bound = replace(
        BOUND,
        anchor_ns=first.wall_ns - first.raw_ns,
        as_of_steady_ns=first.wall_ns,
        lower_ns=-5_000_000,
        upper_ns=5_000_000,
        suspended_ns=first.suspended_ns,
    )
    with SegmentWriter(tmp_path / "clock") as writer:
        writer.write(bound)
        began = clock.now(tmp_path / "clock")
        ended = clock.wait_until_past(began.latest_ns, tmp_path / "clock")
        assert ended.after(began.latest_ns)
        assert ended.earliest_ns - began.earliest_ns >= 10_000_000
        error = clock.error_of_wall(tmp_path / "clock")
        assert error.lower_ns < 0 < error.upper_ns


def test_the_environment_names_the_segment(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(NoBound, match=str(tmp_path)):
        clock.now()
