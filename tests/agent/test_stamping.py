"""Times under which samples are filed: one series never shares a millisecond."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.collecting import Observation
from truechimer_agent.stamping import MS, Stamper


def observation(steady_ns, peer="a"):
    return Observation("truechimer_rtt", steady_ns, {"outcome": 1}, {"peer": peer, "via": "tcp"})


@given(st.lists(st.integers(0, 3_000_000), min_size=2, max_size=60), st.integers(-(10**6), 10**6))
def test_no_two_samples_of_a_series_share_a_millisecond(gaps_ns, jitter_ns):
    """However close the events, and though the estimate of UTC − S moves between them."""
    stamper = Stamper({"cluster": "c", "node": "n"})
    steady_ns, seen = 10**18, []
    for number, gap_ns in enumerate(gaps_ns):
        steady_ns += gap_ns
        seen.append(stamper.stamp(observation(steady_ns), jitter_ns * (number % 2)).time_ns)
    assert len({time_ns // MS for time_ns in seen}) == len(seen)


@given(st.lists(st.integers(0, 40 * MS), min_size=1, max_size=60))
def test_a_sample_moves_by_no_more_milliseconds_than_others_contend_for(times_ns):
    """In any order: one that is alone in its millisecond keeps its time to the nanosecond."""
    stamper = Stamper({"cluster": "c", "node": "n"})
    taken = set()
    for time_ns in times_ns:
        stamped_ns = stamper.stamp(observation(time_ns), 0).time_ns
        first, last = time_ns // MS, stamped_ns // MS
        assert last not in taken
        assert taken.issuperset(range(first, last))
        assert stamped_ns == (time_ns if first == last else last * MS)
        taken.add(last)


def test_a_late_sample_keeps_its_time():
    """A loss known three seconds after its probe was sent is filed at its sending, between the replies."""
    stamper = Stamper({"cluster": "c", "node": "n"})
    seconds = [1, 2, 3, 0.5, 4, 1.5, 2.9, 3.2]
    times_ns = [10**18 + round(second * 1e9) for second in seconds]
    assert [stamper.stamp(observation(time_ns), 0).time_ns for time_ns in times_ns] == times_ns


def test_a_burst_of_many_more_than_are_remembered_shares_no_millisecond():
    """Thousands at one instant become one run of milliseconds."""
    stamper = Stamper({"cluster": "c", "node": "n"})
    seen = [stamper.stamp(observation(10**18), 0).time_ns for _ in range(3000)]
    assert seen == [10**18 + n * MS for n in range(3000)]


def test_series_do_not_push_each_other():
    """Two peers at the same instant keep it."""
    stamper = Stamper({"cluster": "c", "node": "n"})
    times = {stamper.stamp(observation(10**18, peer), 0).time_ns for peer in "abcdef"}
    assert times == {10**18}


def test_a_wall_clock_that_went_back_is_followed():
    """Without true time, hours back are hours back: samples are not piled up at the old time."""
    stamper = Stamper({"cluster": "c", "node": "n"})
    stamper.stamp(observation(10**18), 3600 * 10**9)
    assert stamper.stamp(observation(10**18 + MS), 0).time_ns == 10**18 + MS


def test_common_tags_are_added():
    """Each sample says whose it is."""
    sample = Stamper({"cluster": "c", "node": "n", "zone": "z"}).stamp(observation(1), 0)
    assert sample.tags == {"cluster": "c", "node": "n", "zone": "z", "peer": "a", "via": "tcp"}
