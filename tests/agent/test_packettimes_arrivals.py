"""When a packet arrived: never earlier than it did, and no later than need be."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer.readings import Reading
from truechimer_agent.packettimes.arrivals import CALM_NS, Arrivals

T0 = 1_795_000_000 * 10**9
WIDTH_NS = 400
MS = 1_000_000
RATES = st.lists(st.integers(-100_000, 100_000), min_size=3, max_size=3)
CALM_RATES = st.lists(st.integers(-4_000, 4_000), min_size=3, max_size=3)
MARKS = st.lists(st.integers(1, 200 * MS - 1), min_size=2, max_size=2, unique=True).map(sorted)


def reading(raw_ns, *, slewed_ns=0, stepped_ns=0, width_ns=WIDTH_NS):
    """All clocks at one instant: W is MONOTONIC + T0, what was slewed is in both, what was stepped in W."""
    mono_ns = raw_ns + slewed_ns
    return Reading(T0 + mono_ns + stepped_ns, raw_ns, mono_ns, mono_ns, width_ns)


def slewed_by(turns, rates):
    """How far W has been slewed at a time: another rate (ppm) between any two turns."""

    def slewed_ns(raw_ns):
        spans = zip(turns, turns[1:], rates, strict=False)
        return sum((min(raw_ns, end) - start) * ppm // 10**6 for start, end, ppm in spans if raw_ns > start)

    return slewed_ns


def calm_arrivals(before_ns=0):
    """One that has seen no slew for long enough; its earlier reading is that at ``before_ns``."""
    arrivals = Arrivals(reading(before_ns - 2 * CALM_NS))
    for at_ns in (before_ns - MS * 100, before_ns, before_ns + MS):
        arrivals.latest_raw_ns(None, reading(at_ns))
    arrivals.latest_raw_ns(None, reading(before_ns + 51 * MS))
    return arrivals


@given(rates=RATES, marks=MARKS, came=st.integers(0, 200 * MS), read_after=st.integers(0, MS))
def test_under_any_slew_it_is_never_before_the_truth(rates, marks, came, read_after):
    """W is slewed by up to ±10 %, another rate between any two instants, right after the beginning."""
    end = 201 * MS + 1
    slewed_ns = slewed_by([0, *marks, end], rates)
    arrivals = Arrivals(reading(0))
    now_ns = came + read_after
    stamp = T0 + came + slewed_ns(came)
    assert arrivals.latest_raw_ns(stamp, reading(now_ns, slewed_ns=slewed_ns(now_ns))) >= came


@given(rates=CALM_RATES, marks=MARKS, came=st.integers(0, 200 * MS), read_after=st.integers(0, MS))
def test_after_a_calm_it_is_never_before_the_truth_either(rates, marks, came, read_after):
    """Slews of up to 0.4 % that may undo each other, after a time without faster ones."""
    arrivals = calm_arrivals()
    slewed_ns = slewed_by([0, *marks, 201 * MS + 1], rates)
    now_ns = came + read_after
    stamp = T0 + came + slewed_ns(came)
    assert arrivals.latest_raw_ns(stamp, reading(now_ns, slewed_ns=slewed_ns(now_ns))) >= came


@given(came=st.integers(60 * MS, 200 * MS), read_after=st.integers(0, 10 * MS))
def test_after_a_calm_it_is_as_near_as_the_readings_are_tight(came, read_after):
    """A reader that was woken late pays 0.5 % of that and the readings' widths, not a tenth."""
    latest = calm_arrivals().latest_raw_ns(T0 + came, reading(came + read_after))
    assert came <= latest <= came + read_after // 200 + 3 * WIDTH_NS


def test_a_fast_slew_is_remembered_for_ten_seconds():
    """8 % for 100 ms: until the calm is back a tenth of the way is paid."""
    arrivals = calm_arrivals()
    arrivals.latest_raw_ns(None, reading(100 * MS, slewed_ns=8 * MS))
    paid = []
    for at_ns in range(200 * MS, 2 * CALM_NS, 100 * MS):
        latest = arrivals.latest_raw_ns(T0 + at_ns + 8 * MS, reading(at_ns + MS, slewed_ns=8 * MS))
        paid.append(latest - at_ns)
    assert paid[5] > 90_000
    assert paid[-1] < 10_000


def test_a_step_between_stamp_and_reading_gives_way_to_the_reading():
    """W was set 20 µs ahead: the stamp would come out 20 µs too early."""
    for stepped_ns in (20_000, -20_000):
        latest = calm_arrivals().latest_raw_ns(T0 + 60 * MS, reading(60 * MS + 5_000, stepped_ns=stepped_ns))
        assert latest == 60 * MS + 5_000 + WIDTH_NS // 2


@given(stepped=st.integers(-(10**12), 10**12), came=st.integers(51 * MS, 100 * MS), after=st.integers(0, MS))
def test_whatever_w_is_stepped_by_it_is_never_before_the_truth(stepped, came, after):
    """Stamped before a step, read after it."""
    latest = calm_arrivals().latest_raw_ns(T0 + came, reading(came + after, stepped_ns=stepped))
    assert came <= latest <= came + after + WIDTH_NS


def test_once_both_readings_are_past_the_step_stamps_count_again():
    """Two readings 50 ms apart."""
    arrivals = calm_arrivals()
    latest = 0
    for at_ns in (100 * MS, 200 * MS, 300 * MS):
        latest = arrivals.latest_raw_ns(T0 + at_ns + 10**9, reading(at_ns + MS, stepped_ns=10**9))
    assert latest < 300 * MS + MS


def test_a_stamp_from_before_the_earlier_reading_or_without_sense_is_not_used():
    """Whether W stepped since cannot be told."""
    now = reading(200 * MS)
    for stamp in (T0 - MS, T0 + 300 * MS, 0, None):
        assert calm_arrivals().latest_raw_ns(stamp, now) == 200 * MS + WIDTH_NS // 2
