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
    assert seen == sorted(seen)


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
