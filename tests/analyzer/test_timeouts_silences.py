"""Silences: what heartbeats would have met, replayed from probes, losses and pauses."""

import numpy as np
import pytest
from analyzer import synthetic as made
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer.codes import ProbeOutcome
from truechimer_analyzer.timeouts.collecting import operations
from truechimer_analyzer.timeouts.silences import Silences, silences
from truechimer_analyzer.timeouts.use import seen_again, tail_of

RTT = 0.002


def replay(samples, heartbeat_s=None, pauses=()) -> Silences:
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


def test_no_way_to_the_peer_is_a_loss_to_whoever_waits_for_its_heartbeats():
    """At once an answer to a request, and no heartbeat all the same."""
    gone = [
        made.probe(100.0 + at, None, via="stamp", outcome=ProbeOutcome.NET_UNREACHABLE) for at in range(30)
    ]
    found = replay([probe for at, probe in enumerate(steady()) if not 100 <= at < 130] + gone)
    assert found.each.rtt_s.max() == pytest.approx(31.0)


def test_losses_before_nobody_looked_were_a_silence_of_that_long_at_least():
    """The peer was there afterwards."""
    before = steady(300, lost=set(range(280, 300)))
    after = [made.probe(4000.0 + at, RTT, via="stamp") for at in range(300)]
    found = replay([*before, *after])
    assert found.each.rtt_s.max() == pytest.approx(21.0)
    assert found.unended == 0


def test_a_path_that_ends_in_losses_is_counted_and_not_taken_for_a_live_peers_silence():
    """Whether the peer lived is not known."""
    found = replay(steady(lost=set(range(550, 600))))
    assert found.each.rtt_s.max() == pytest.approx(1.0)
    assert found.unended == 1


def test_each_dscp_class_is_a_path_of_its_own():
    """Two classes that are probed 50 µs apart: all of one was lost for 100 s."""
    samples = steady()
    for at in range(600):
        fields = {"outcome": 0, "rtt_seconds": RTT, "dscp": 46}
        if 200 <= at < 300:
            fields = {"outcome": 1, "dscp": 46}
        samples.append(made.sample("truechimer_rtt", at + 50e-6, fields, peer="b", via="stamp"))
    found = replay(samples)
    assert found.interval_s == pytest.approx(1.0)
    assert found.each.rtt_s.max() == pytest.approx(101.0)
    assert sorted(map(str, found.each.paths)) == ["path:a>b/stamp", "path:a>b/stamp/dscp46"]


def test_pauses_of_both_ends_that_follow_each_other_are_one_silence():
    b = made.pause(100.3, 3.0, node="b")
    a = made.pause(103.0, 3.0, node="a")
    found = replay(steady(), pauses=[a, b])
    assert found.each.rtt_s.max() >= 6.0 - 1e-6
    assert np.count_nonzero(found.each.rtt_s > 1.5) == 1


def test_a_pause_after_lost_heartbeats_ends_the_silence_no_sooner_than_itself():
    found = replay(steady(lost={100, 101}), pauses=[made.pause(101.5, 3.0, node="b")])
    assert found.each.rtt_s.max() == pytest.approx(5.5)


def test_pauses_where_nobody_probed_are_silences_of_their_own():
    later = [made.probe(4200.0 + at, RTT, via="stamp") for at in range(100)]
    pauses = [made.pause(1000.0 + 100 * at, 10.0) for at in range(20)]
    found = replay([*steady(), *later], pauses=pauses)
    assert np.count_nonzero(found.each.rtt_s > 10) == 20


def test_probes_that_are_missing_shift_no_heartbeat():
    """A third of them were spoilt by the prober itself: no silence comes of that."""
    rng = np.random.default_rng(4)
    kept = [probe for probe in steady(3000) if rng.random() > 0.3]
    found = replay(kept, heartbeat_s=10.0)
    assert found.interval_s == pytest.approx(10.0)
    assert found.each.rtt_s.max() == pytest.approx(10.0)


def test_paths_probed_too_rarely_are_left_out_and_counted():
    """Their heartbeats would come more rarely than those that are judged."""
    slow = [made.probe(10.0 * at, RTT, peer="far", via="icmp") for at in range(60)]
    two = [made.probe(at + 0.5, RTT, peer="c", via="stamp") for at in range(600)]
    found = replay([*steady(), *two, *slow])
    assert found.interval_s == pytest.approx(1.0)
    assert found.left_out == 1


def test_phases_are_no_more_evidence_than_the_time_they_replay():
    """One quiet hour: rarer heartbeats are not vouched for any better than frequent ones."""
    often = replay(steady(3600))
    rarely = replay(steady(3600), heartbeat_s=60.0)
    assert rarely.phases == 60
    uppers = []
    for each, interval_s in ((often, 1.0), (rarely, 60.0)):
        tail = seen_again(tail_of(each.each), each.phases)
        uppers.append(tail.strictest().upper / interval_s)
    assert uppers[1] == pytest.approx(uppers[0], rel=0.05)


def test_bursts_of_probes_stand_for_one_heartbeat_each():
    """Three a millisecond apart every 10 s, as in a log of whole seconds."""
    samples = [
        made.probe(10.0 * at + 0.001 * each, RTT, via="icmp") for at in range(600) for each in range(3)
    ]
    found = replay(samples)
    assert found.interval_s == pytest.approx(10.0, rel=0.01)
    assert found.each.count == 599


def test_a_path_that_answered_once_tells_nothing():
    lonely = [made.probe(0.0, RTT), *(made.probe(float(at), None) for at in range(1, 50))]
    probes = operations(made.columns("truechimer_rtt", lonely))
    assert silences(probes, made.columns("truechimer_pause", ()), None) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0.001, 5.0)), min_size=30, max_size=80),
    st.sampled_from([1.0, 2.0, 3.0]),
)
def test_no_heartbeat_that_the_probes_stand_for_is_later_than_its_silence_says(delays, heartbeat_s):
    """Against a plain simulation: forward delays anything up to the round trip less the shortest."""
    samples = [made.probe(float(at), delay, via="stamp") for at, delay in enumerate(delays)]
    arrived = [at for at, delay in enumerate(delays) if delay is not None]
    probes = operations(made.columns("truechimer_rtt", samples))
    found = silences(probes, made.columns("truechimer_pause", ()), heartbeat_s)
    if found is None:
        return
    shortest = min(delays[at] for at in arrived)
    step = round(found.interval_s)
    rng = np.random.default_rng(7)
    for share in (0.0, 1.0, None):
        # Of the extra delay on the way there: none, all, or anything.
        beats = {
            at: at + (rng.random() if share is None else share) * (delays[at] - shortest) for at in arrived
        }
        for phase in range(step):
            # The first silence may have begun before anybody looked.
            own = sorted(beats[at] for at in arrived if at % step == phase)[1:]
            if len(own) > 1:
                assert found.each.rtt_s.max() >= np.diff(own).max() - 1e-6
