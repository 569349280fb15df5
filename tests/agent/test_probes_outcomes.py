"""What an end means, and when it is this host's own doing."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import ProbeOutcome
from truechimer_agent.pauses.stalllog import StallLog
from truechimer_agent.probes.outcomes import Result, is_of_the_route, judge, of_errno, of_word

MS = 1_000_000


def result(outcome=ProbeOutcome.REPLY, *, rtt_ms=1.0, late_ns=0, epoch=1):
    return Result("peer", outcome, 1000 * MS, round((1000 + rtt_ms) * MS), epoch, late_ns)


def stalled(*spans_ms):
    log = StallLog()
    for start_ms, end_ms in spans_ms:
        log.add(round(start_ms * MS), round(end_ms * MS))
    return log


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (0, ProbeOutcome.REPLY),
        (errno.ECONNREFUSED, ProbeOutcome.REFUSED),
        (errno.ECONNRESET, ProbeOutcome.REPLY),
        (errno.EHOSTUNREACH, ProbeOutcome.HOST_UNREACHABLE),
        (errno.ENETUNREACH, ProbeOutcome.NET_UNREACHABLE),
        (errno.EPERM, ProbeOutcome.NOT_PERMITTED),
        (errno.EACCES, ProbeOutcome.NOT_PERMITTED),
        (errno.ETIMEDOUT, ProbeOutcome.LOST),
        (errno.EPROTO, ProbeOutcome.LOST),
    ],
)
def test_errors_are_kept_apart(number, outcome):
    """Refused, unreachable, forbidden and silent are different facts."""
    assert of_errno(number) is outcome


def test_a_routers_prohibition_is_not_this_hosts():
    """EACCES from a send is this host's policy; coming back over the network it is a router's."""
    assert of_errno(errno.EACCES) is ProbeOutcome.NOT_PERMITTED
    assert of_word(errno.EACCES) is ProbeOutcome.HOST_UNREACHABLE
    assert of_word(errno.ECONNREFUSED) is ProbeOutcome.REFUSED


def test_only_what_the_way_says_makes_another_address_worth_trying():
    """A refusal or a silence is of the host, not of the way."""
    assert is_of_the_route(ProbeOutcome.NET_UNREACHABLE)
    assert not is_of_the_route(ProbeOutcome.REFUSED)
    assert not is_of_the_route(ProbeOutcome.LOST)


@pytest.mark.parametrize("outcome", [ProbeOutcome.REPLY, ProbeOutcome.LOST])
def test_without_a_stall_the_outcome_stands(outcome):
    """Stalls before and after the flight are none of it."""
    assert judge(result(outcome), stalled((900, 1000), (1001, 1100)), 1) is outcome


@pytest.mark.parametrize("outcome", [ProbeOutcome.REPLY, ProbeOutcome.LOST])
def test_a_stall_in_flight_is_this_hosts_own(outcome):
    """A stall that took a good part of the flight is never blamed on the peer."""
    assert judge(result(outcome, rtt_ms=300), stalled((1200, 1400)), 1) is ProbeOutcome.OWN_STALL


def test_many_short_stalls_do_not_hide_a_dead_peer():
    """A busy host pauses all the time: a silence of 3 s with 5 ms pauses is still a loss."""
    stalls = stalled(*((1000 + 20 * n, 1005 + 20 * n) for n in range(150)))
    assert judge(result(ProbeOutcome.LOST, rtt_ms=3000), stalls, 1) is ProbeOutcome.LOST


@pytest.mark.parametrize(
    "outcome", [ProbeOutcome.REFUSED, ProbeOutcome.HOST_UNREACHABLE, ProbeOutcome.NET_UNREACHABLE]
)
def test_somebodys_word_stands_whatever_the_stall(outcome):
    """A refusal is a fact, however late it was read."""
    assert judge(result(outcome, late_ns=1 * MS), stalled((0, 2000)), 1) is outcome


def test_an_answer_that_lay_unread_is_own_stall():
    """The kernel had the reply long before this process looked."""
    assert judge(result(rtt_ms=20, late_ns=19 * MS), StallLog(), 1) is ProbeOutcome.OWN_STALL
    assert judge(result(rtt_ms=200, late_ns=6 * MS), StallLog(), 1) is ProbeOutcome.REPLY


def test_a_flight_across_epochs_proves_nothing_of_the_peer():
    """A suspend in flight is a stall, the longest of all."""
    assert judge(result(ProbeOutcome.LOST), StallLog(), 2) is ProbeOutcome.OWN_STALL


spans = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=8)


@given(spans, st.integers(0, 100), st.integers(1, 60))
def test_the_longest_stall_of_a_stretch(found, start_ns, length_ns):
    """longest_ns is the greatest overlap of one stall with the stretch, 0 without any."""
    log = StallLog()
    for begin_ns, duration_ns in found:
        log.add(begin_ns, begin_ns + duration_ns)
    stretch = set(range(start_ns, start_ns + length_ns))
    overlaps = [len(stretch & set(range(begin, begin + duration))) for begin, duration in found]
    assert log.longest_ns(start_ns, start_ns + length_ns) == max(overlaps, default=0)
