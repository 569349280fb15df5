"""The oscillator's frequency, bounded from intervals of UTC − S."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.bounds.frequency import KEPT, Frequency
from truechimer_agent.bounds.intervals import Drift, Interval

SECOND = 10**9
MAX_PPB, WANDER_PPB = 500_000, 5_000


def fed(ppb, count, *, half_ns=100_000, spacing_ns=16 * SECOND):
    """A record of so many intervals around an oscillator that is ``ppb`` off."""
    frequency = Frequency(MAX_PPB, WANDER_PPB)
    for number in range(count):
        middle_ns = ppb * number * spacing_ns // 10**9
        frequency.add(number * spacing_ns, Interval(middle_ns - half_ns, middle_ns + half_ns))
    return frequency, (count - 1) * spacing_ns


def test_nothing_is_known_before_two_intervals():
    """Then it is whatever an oscillator may be; a leap second changes nothing about that."""
    for count in (0, 1):
        frequency, now_ns = fed(40_000, count)
        frequency.move(SECOND)
        assert frequency.at(now_ns) == Drift(-MAX_PPB, MAX_PPB)


def test_an_hour_narrows_it_to_the_wander_and_a_little():
    """The mean over the window is known to a few parts in 10⁹: what is left is how far it may wander."""
    frequency, now_ns = fed(40_000, 4 * KEPT)
    drift = frequency.at(now_ns)
    assert drift.lower_ppb <= 40_000 <= drift.upper_ppb
    assert drift.upper_ppb - drift.lower_ppb < 2 * WANDER_PPB + 1000


def test_the_margin_grows_with_the_time_since_the_last_interval():
    """By as much again for every window that passes, up to what an oscillator may be."""
    frequency, now_ns = fed(0, 100)
    widths = [
        (drift := frequency.at(now_ns + windows * now_ns)).upper_ppb - drift.lower_ppb
        for windows in (0, 1, 2, 10_000)
    ]
    assert widths[0] < widths[1] < widths[2] < widths[3] == 2 * MAX_PPB


@given(st.integers(-400_000, 400_000), st.sampled_from([-SECOND, SECOND]))
def test_after_a_leap_second_the_frequency_is_known_as_well_as_before(ppb, by_ns):
    """All points move alike, and the next one fits."""
    frequency, now_ns = fed(ppb, 30)
    known = frequency.at(now_ns)
    frequency.move(by_ns)
    later_ns = now_ns + 64 * SECOND
    jumped_ns = ppb * later_ns // 10**9 + by_ns
    frequency.add(later_ns, Interval(jumped_ns - 100_000, jumped_ns + 100_000))
    drift = frequency.at(later_ns)
    assert drift.lower_ppb <= ppb <= drift.upper_ppb
    assert drift.upper_ppb - drift.lower_ppb <= known.upper_ppb - known.lower_ppb
