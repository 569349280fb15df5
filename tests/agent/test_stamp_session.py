"""The sender's account of a session held against a channel that knows what became of every probe."""

import random

import pytest
from agent.stampchannel import MS, Channel, Way
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_agent.stamp.runs import SEQUENCES
from truechimer_agent.stamp.session import Session, Told

TIMEOUT_MS = 100
LONGEST_MS = 1000
STARTS = st.sampled_from([0, SEQUENCES - 1, SEQUENCES - 60])


def ways(spread_ms):
    """Delays there stay below the time-out, as those of requests must; delays back need not."""
    return st.builds(
        Way,
        loss=st.sampled_from([0.0, 0.01, 0.05, 0.3, 0.7]),
        duplicate=st.sampled_from([0.0, 0.1, 0.5]),
        least_ms=st.integers(1, 30),
        spread_ms=st.integers(0, spread_ms),
    )


def holds(channel):
    """Whatever is known at any time is true, and everything is accounted for."""
    told = channel.session.totals()
    forward, backward = channel.lost()
    assert told.lost_forward <= forward
    assert told.lost_backward <= backward
    lost = told.lost_forward + told.lost_backward + told.undetermined + told.unknown
    assert told.sent == len(channel.truth) == told.received + lost + told.in_flight + told.failed
    assert told.received == sum(probe.replied for probe in channel.truth)
    assert min(lost, told.undetermined, told.unknown, told.lost_forward, told.lost_backward) >= 0


def channel_of(there, back, seed, *, start=0, down=()):
    return Channel(
        Session(TIMEOUT_MS * MS, start), there, back, random.Random(seed), start=start, down=list(down)
    )


@given(
    there=ways(69),
    back=ways(200),
    seed=st.integers(0, 1 << 32),
    gaps=st.lists(st.sampled_from([1, 5, 20, 50, 99, 150, 400]), min_size=1, max_size=300),
    heard=st.booleans(),
    start=STARTS,
)
@settings(deadline=None, max_examples=150)
def test_each_directions_losses_are_the_channels_own(there, back, seed, gaps, heard, start):
    """At any time what is told is true; after a last probe got through it is everything, exactly.

    But for losses before the peer was first heard, when that took longer than the time-out.
    """
    channel = channel_of(there, back, seed, start=start)
    channel.check = holds
    if heard:
        channel.get_one_through(LONGEST_MS)
        channel.lossless = False
    for gap_ms in gaps:
        channel.probe()
        channel.run_until(channel.now_ms + gap_ms)
    channel.get_one_through(LONGEST_MS)
    told = channel.session.totals()
    if heard:
        assert (told.lost_forward, told.lost_backward) == channel.lost()
        assert told.unknown == 0
    assert told.undetermined == told.in_flight == 0
    assert told.reflected == sum(probe.arrived for probe in channel.truth)


@given(
    there=ways(69),
    back=ways(69),
    seed=st.integers(0, 1 << 32),
    restarts=st.lists(st.tuples(st.integers(1, 1500), st.integers(TIMEOUT_MS, 600)), min_size=1, max_size=3),
    gap_ms=st.sampled_from([7, 20, 60]),
    start=STARTS,
)
@settings(deadline=None, max_examples=150)
def test_a_reflector_that_begins_anew_makes_losses_unknown_and_never_wrong(
    there, back, seed, restarts, gap_ms, start
):
    """It restarts up to three times; the losses that neither run can tell are unknown, the others right."""
    down, at_ms = [], 2 * TIMEOUT_MS
    for up_ms, down_ms in restarts:
        down.append((at_ms + up_ms, at_ms + up_ms + down_ms))
        at_ms += up_ms + down_ms
    channel = channel_of(there, back, seed, start=start, down=down)
    channel.check = holds
    while channel.now_ms < at_ms + 500:
        channel.probe()
        channel.run_until(channel.now_ms + gap_ms)
    channel.get_one_through(LONGEST_MS)
    holds(channel)
    told = channel.session.totals()
    assert told.undetermined == 0


@given(seed=st.integers(0, 1 << 32), ours=st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_peer_that_is_none_of_ours_tells_no_direction(seed, ours):
    """Plain STAMP or TWAMP Light, stateless and echoing the number: all losses are unknown, at once."""
    way = Way(loss=0.2, spread_ms=20)
    channel = channel_of(way, way, seed)
    channel.ours, channel.stateless = False, True
    for _ in range(100):
        channel.probe()
        channel.run_until(channel.now_ms + 10)
    channel.get_one_through(LONGEST_MS)
    told = channel.session.totals()
    assert (told.lost_forward, told.lost_backward, told.undetermined) == (0, 0, 0)
    assert told.unknown == sum(channel.lost())


def test_two_thousand_probes_with_five_percent_lost_there_and_one_back():
    """Also reordered and duplicated, with many in flight at once."""
    there = Way(loss=0.05, duplicate=0.02, least_ms=5, spread_ms=60)
    channel = channel_of(there, Way(loss=0.01, duplicate=0.02, spread_ms=80), 7)
    for _ in range(2500):
        channel.probe()
        channel.run_until(channel.now_ms + 5)
    during = channel.session.totals()
    assert during.undetermined < 10
    channel.get_one_through(LONGEST_MS)
    told = channel.session.totals()
    assert (told.lost_forward, told.lost_backward) == channel.lost()
    assert min(channel.lost()) > 10
    assert (told.unknown, told.undetermined) == (0, 0)
    assert told.reordered > 100
    assert told.duplicated > 10


@pytest.mark.parametrize("blocked", ["there", "back"])
def test_a_blocked_direction_is_told_when_it_opens(blocked):
    """While it is blocked nobody knows; the first probes after a time-out tell."""
    channel = channel_of(Way(), Way(), 1)

    def probe(count):
        for _ in range(count):
            channel.probe()
            channel.run_until(channel.now_ms + 30)

    probe(20)
    setattr(channel, blocked, Way(loss=1.0))
    probe(500)
    told = channel.session.totals()
    assert (told.lost_forward, told.lost_backward) == (0, 0)
    assert told.undetermined + told.in_flight == 500
    assert told.reflected == 20
    setattr(channel, blocked, Way())
    probe(6)
    told = channel.session.totals()
    assert (told.lost_forward, told.lost_backward) == ((500, 0) if blocked == "there" else (0, 500))
    assert told.undetermined == 0


class Script:
    """A session whose probes are sent a ms apart, for tests that play the reflector themselves."""

    def __init__(self, start=0):
        self.session = Session(TIMEOUT_MS * MS, start)
        self.now_ms = 0

    def send(self, count, every_ms=1):
        numbers = []
        for _ in range(count):
            numbers.append(self.session.send(self.now_ms * MS))
            self.pass_ms(every_ms)
        return numbers

    def pass_ms(self, ms):
        self.now_ms += ms
        return self.session.expire(self.now_ms * MS)

    @property
    def told(self):
        return self.session.totals()


def test_a_probe_is_lost_when_its_time_is_over_and_told_once():
    """Not a moment before; others in flight have their own time."""
    script = Script()
    script.send(2, every_ms=10)
    assert script.pass_ms(TIMEOUT_MS - 21) == []
    assert script.session.in_flight == 2
    assert [lost.sequence for lost in script.pass_ms(1)] == [0]
    assert script.pass_ms(1) == []
    assert script.told.undetermined == 1
    assert [(lost.sequence, lost.sent_ns) for lost in script.pass_ms(9)] == [(1, 10 * MS)]


def test_a_late_reply_is_received_after_all():
    """It had been counted as lost on the way there, as far as anybody could tell."""
    script = Script()
    script.send(1, every_ms=TIMEOUT_MS)
    script.send(1)
    assert script.session.receive(1, 0, 5) is Told.REPLY
    assert script.told.lost_forward == 1
    assert script.session.receive(0, 1, 5) is Told.LATE
    told = script.told
    assert (told.received, told.lost_forward, told.lost_backward, told.undetermined) == (2, 0, 0, 0)
    assert told.reordered == 1


def test_doubled_and_foreign_replies_change_nothing():
    """A reply seen twice is counted as such; one to no probe is nothing."""
    script = Script()
    script.send(2)
    assert script.session.receive(0, 0, 5) is Told.REPLY
    assert script.session.receive(0, 0, 5) is Told.DUPLICATE
    assert script.session.receive(2, 1, 5) is Told.STRANGE
    assert script.session.receive(SEQUENCES - 1, 1, 5) is Told.STRANGE
    told = script.told
    assert (told.received, told.duplicated, told.in_flight, told.reflected) == (1, 1, 1, 1)


def test_reordering_is_by_sequence():
    """RFC 4737: a reply to a probe older than one already answered."""
    script = Script()
    script.send(5)
    for number, sequence in enumerate([0, 2, 1, 4, 3]):
        script.session.receive(sequence, number, 5)
    assert script.told.reordered == 2


def test_a_probe_that_somebody_turned_back_is_neither_lost_nor_reflected():
    """Refused, for one; if a reply comes nevertheless, it was reflected."""
    script = Script()
    script.send(3)
    assert script.session.fail(1)
    assert not script.session.fail(1)
    assert not script.session.fail(9)
    assert script.session.receive(0, 0, 5) is Told.REPLY
    assert script.session.receive(2, 1, 5) is Told.REPLY
    script.pass_ms(TIMEOUT_MS)
    told = script.told
    assert (told.failed, told.received, told.undetermined, told.lost_forward) == (1, 2, 0, 0)
    assert script.session.receive(1, 2, 5) is Told.LATE
    assert (script.told.failed, script.told.received) == (0, 3)


def test_a_probe_that_did_not_leave_was_never_sent():
    """Its number is the next one's."""
    script = Script()
    assert script.send(1) == [0]
    script.session.send(script.now_ms * MS)
    script.session.withdraw()
    assert script.send(1) == [1]
    assert script.told.sent == 2


def test_a_reflector_that_forgot_the_session_began_anew():
    """The same instance counts from 0 again: what lies between is unknown, what follows is told."""
    script = Script()
    for number, sequence in enumerate(script.send(10)):
        script.session.receive(sequence, number, 5)
    script.send(4, every_ms=TIMEOUT_MS)
    assert script.told.undetermined == 4
    (again,) = script.send(1, every_ms=TIMEOUT_MS)
    script.session.receive(again, 0, 5)
    script.send(2, every_ms=TIMEOUT_MS)
    (last,) = script.send(1)
    script.session.receive(last, 2, 5)
    told = script.told
    assert (told.unknown, told.lost_forward, told.lost_backward, told.undetermined) == (4, 1, 1, 0)
    assert told.reflected == 3


def test_a_straggler_of_the_earlier_run_is_received_and_proves_nothing():
    """It overtook nobody: the new run's replies were first."""
    script = Script()
    for number, sequence in enumerate(script.send(10)):
        script.session.receive(sequence, number, 5)
    script.send(3)
    script.session.receive(12, 0, 6)
    script.session.receive(11, 11, 5)
    script.session.receive(10, 10, 5)
    told = script.told
    assert (told.received, told.lost_backward, told.reflected) == (13, 0, 1)


def test_numbers_that_count_something_else_tell_no_direction():
    """More than was ever sent cannot have been received."""
    script = Script()
    script.send(3, every_ms=TIMEOUT_MS)
    (sequence,) = script.send(1)
    script.session.receive(sequence, 100, 5)
    told = script.told
    assert (told.unknown, told.lost_forward, told.lost_backward) == (3, 0, 0)


def test_two_that_answer_by_turns_tell_no_direction():
    """Behind one address, each counting its share."""
    script = Script()
    counts = [0, 0]
    for turn in range(20):
        (sequence,) = script.send(1, every_ms=TIMEOUT_MS)
        which = turn % 2
        counts[which] += 1
        if turn % 5 != 3:
            script.session.receive(sequence, counts[which] - 1, which)
    told = script.told
    assert (told.lost_backward, told.lost_forward) == (0, 0)
    assert told.unknown + told.undetermined == 4


def test_a_first_reply_that_took_long_leaves_what_was_before_unknown():
    """An earlier run may have answered in vain, and nobody has heard of it."""
    script = Script()
    script.send(5, every_ms=TIMEOUT_MS)
    (sequence,) = script.send(1)
    script.session.receive(sequence, 0, 5)
    told = script.told
    assert (told.unknown, told.lost_forward, told.undetermined) == (5, 0, 0)


def test_memory_stays_small_over_a_long_session():
    """A million seconds would be as many probes; what is proven of them stays."""
    script = Script()
    number = 0
    for turn in range(5000):
        (sequence,) = script.send(1, every_ms=TIMEOUT_MS)
        lost_there, lost_back = turn % 10 == 3, turn % 10 == 7
        if not lost_there:
            if not lost_back:
                script.session.receive(sequence, number, 5)
            number += 1
    told = script.told
    assert (told.lost_forward, told.lost_backward, told.undetermined) == (500, 500, 0)
    assert len(script.session._kept.probes) < 200
