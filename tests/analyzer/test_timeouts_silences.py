"""Silences: what heartbeats would have met, replayed from probes, losses and pauses."""

import numpy as np
import pytest
from analyzer import synthetic as made
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.timeouts.operations import operations
from truechimer_analyzer.timeouts.silences import Silences, silences

RTT = 0.002


def replay(samples, heartbeat_s=0.0, pauses=()) -> Silences:
    found = silences(
        operations(made.columns("truechimer_rtt", samples)),
        made.columns("truechimer_pause", pauses),
        heartbeat_s,
    )
    assert found is not None
    return found


def steady(count=600, lost=(), slow=None, step_s=1.0):
    """Probes every ``step_s``, those at ``lost`` without a reply, those in ``slow`` with that round trip."""
    slow = slow or {}
    return [
        made.probe(at * step_s, None if at in lost else slow.get(at, RTT), via="stamp") for at in range(count)
    ]


def test_undisturbed_heartbeats_are_an_interval_apart():
    found = replay(steady())
    assert found.interval_s == pytest.approx(1.0)
    assert found.each.count == 599
    assert found.each.rtt_s == pytest.approx(1.0)


def test_a_run_of_losses_is_one_silence_from_the_last_that_arrived_to_the_next():
    found = replay(steady(lost={100, 101, 102}))
    assert found.each.rtt_s.max() == pytest.approx(4.0)
    assert np.count_nonzero(found.each.rtt_s > 1.5) == 1
    assert len(found.each.lost_s) == 0


def test_a_late_reply_lengthens_the_silence_by_what_it_was_late():
    """By its round trip less the path's shortest: all of the delay may have been on the way there."""
    found = replay(steady(slow={100: 0.702}))
    assert found.each.rtt_s.max() == pytest.approx(1.7)


def test_a_reply_that_was_overtaken_makes_no_silence():
    """The next one came first: life was heard of then."""
    found = replay(steady(slow={100: 1.602}))
    assert found.each.rtt_s.max() == pytest.approx(2.0)


def test_rarer_heartbeats_are_replayed_in_all_phases():
    """Every fifth probe of those each second, five times over: the same losses hit one phase each."""
    found = replay(steady(lost={100, 101, 102}), heartbeat_s=5.0)
    assert found.interval_s == pytest.approx(5.0)
    assert found.each.rtt_s.min() == pytest.approx(5.0)
    assert np.count_nonzero(found.each.rtt_s > 9) == 3
    assert found.each.rtt_s.max() == pytest.approx(10.0)


def test_more_frequent_heartbeats_are_judged_as_often_as_was_probed():
    """What happened between two probes was not seen."""
    assert replay(steady(), heartbeat_s=0.1).interval_s == pytest.approx(1.0)


def test_time_without_probes_is_no_silence():
    """Nobody looked for an hour."""
    later = [made.probe(4200.0 + at, RTT, via="stamp") for at in range(100)]
    found = replay([*steady(), *later])
    assert found.each.rtt_s.max() == pytest.approx(1.0)
    assert found.each.count == 599 + 99


def test_a_pause_of_either_end_makes_the_silence_as_long_as_itself_and_an_interval():
    """Also where probes went on: the paused process would have sent and read no heartbeat."""
    for node in ("a", "b"):
        pause = made.pause(100.3, 3.0, "gc", node=node, source="db", runtime="jvm")
        found = replay(steady(), pauses=[pause])
        assert found.each.rtt_s.max() == pytest.approx(4.0)
        assert np.count_nonzero(found.each.rtt_s > 1.5) == 1
    elsewhere = made.pause(100.3, 3.0, "gc", node="c", source="db", runtime="jvm")
    assert replay(steady(), pauses=[elsewhere]).each.rtt_s.max() == pytest.approx(1.0)


def test_a_pause_that_the_probes_felt_is_not_added_to_what_they_felt():
    pause = made.pause(99.5, 3.0, "stopped", node="b")
    found = replay(steady(lost={100, 101, 102, 103, 104}), pauses=[pause])
    assert found.each.rtt_s.max() == pytest.approx(6.0)


def test_a_path_that_answered_once_tells_nothing():
    lonely = [made.probe(0.0, RTT), *(made.probe(float(at), None) for at in range(1, 50))]
    probes = operations(made.columns("truechimer_rtt", lonely))
    assert silences(probes, made.columns("truechimer_pause", ()), 0.0) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0.001, 5.0)), min_size=30, max_size=80),
    st.sampled_from([1.0, 2.0, 3.0]),
)
def test_no_heartbeat_that_the_probes_stand_for_is_later_than_its_silence_says(delays, heartbeat_s):
    """Against a plain simulation: forward delays anything up to the round trip less the shortest."""
    samples = [made.probe(float(at), delay, via="stamp") for at, delay in enumerate(delays)]
    arrived = [delay for delay in delays if delay is not None]
    probes = operations(made.columns("truechimer_rtt", samples))
    found = silences(probes, made.columns("truechimer_pause", ()), heartbeat_s)
    if found is None:
        return
    shortest = min(arrived)
    step = round(found.interval_s)
    longest = 0.0
    for phase in range(step):
        for share in (0.0, 1.0):  # of the extra delay on the way there
            beats = sorted(
                at + share * (delays[at] - shortest)
                for at in range(phase, len(delays), step)
                if delays[at] is not None
            )
            longest = max([longest, *np.diff(beats)])
    assert found.each.rtt_s.max() >= longest - 1e-6
