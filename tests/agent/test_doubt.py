"""A server contradicts itself: did this host's clocks stand still, or is that server wrong?"""

import pytest
from agent.simulation import S0, exchange

from truechimer_agent.bounds.doubt import PATIENCE_NS, Doubt, Outcome
from truechimer_agent.bounds.intervals import Drift, Interval

MS = 1_000_000
SERVERS = ("a", "b", "c", "d", "e")
TOLERATED = 2


def doubt(*, regions=SERVERS, raised_by="a"):
    known = {server: Interval(-MS, MS) for server in regions}
    return Doubt(S0, S0, raised_by, known, Drift(-500_000, 500_000))


def answer(to, server, jump_ns, *, after_ms=1, count=1):
    """A server says that UTC − S is now ``jump_ns`` more than it was."""
    for number in range(count):
        at_ns = S0 + after_ms * MS + number * MS // 10
        middle_ns = at_ns + MS // 2 + jump_ns
        to.take(server, exchange(at_ns, at_ns + MS, middle_ns, middle_ns))


def test_when_enough_servers_stand_by_their_histories_only_the_one_is_wrong():
    """Three of five agree with what they said before."""
    raised = doubt()
    answer(raised, "a", 50 * MS, count=3)
    for server in ("b", "c", "d", "e"):
        answer(raised, server, 0)
    assert raised.outcome(S0 + 5 * MS, SERVERS, TOLERATED) is Outcome.STEADY
    assert not raised.agrees("a")
    assert raised.agrees("b")


def test_when_all_tell_the_same_jump_the_clocks_stood_still():
    """And the jump is bounded by all that they said."""
    raised = doubt()
    for server in SERVERS:
        answer(raised, server, 50 * MS, count=3)
    assert raised.outcome(S0 + 5 * MS, SERVERS, TOLERATED) is Outcome.JUMPED
    jump = raised.proven_jump(SERVERS, TOLERATED)
    assert jump.lower_ns <= 50 * MS <= jump.upper_ns


def test_a_jump_that_the_others_bear_is_as_good_as_none():
    """Enough stand by their histories, but only because these are wide: nothing older can be vouched for."""
    raised = doubt()
    for server in "bcde":
        raised.regions[server] = Interval(-100 * MS, 100 * MS)
    for server in SERVERS:
        answer(raised, server, 50 * MS, count=3)
    assert raised.may_have_jumped(SERVERS, TOLERATED)
    assert raised.proven_jump(SERVERS, TOLERATED) is None
    assert raised.outcome(S0 + 5 * MS, SERVERS, TOLERATED) is Outcome.JUMPED


def test_a_jump_that_only_a_tolerated_number_demands_is_supposed_by_nobody():
    """Two of five may be wrong: this jump is outside of what four bear."""
    raised = doubt()
    answer(raised, "a", 50 * MS, count=3)
    for server in "bcde":
        answer(raised, server, 0)
    assert not raised.may_have_jumped(SERVERS, TOLERATED)


def test_what_was_asked_for_before_the_doubt_is_no_answer():
    """It may have been under way while the clocks stood still."""
    raised = doubt()
    answer(raised, "b", 50 * MS, after_ms=-1)
    assert raised.jump("b") is None


def test_it_stays_open_while_answers_may_still_change_it():
    """Two of five have answered."""
    raised = doubt()
    answer(raised, "a", 50 * MS, count=3)
    answer(raised, "b", 0)
    assert raised.outcome(S0 + 5 * MS, SERVERS, TOLERATED) is Outcome.OPEN


@pytest.mark.parametrize(("answering", "expected"), [("bcd", Outcome.STEADY), ("bc", Outcome.JUMPED)])
def test_after_a_second_what_was_proven_decides(answering, expected):
    """Too few that stand by their histories: nothing older is vouched for."""
    raised = doubt()
    answer(raised, "a", 50 * MS, count=3)
    for server in answering:
        answer(raised, server, 0)
    assert raised.outcome(S0 + PATIENCE_NS, SERVERS, TOLERATED) is expected


def test_a_single_bad_stamp_is_forgiven_once_the_server_says_better():
    """Three samples tell a bad stamp from a bad server; until they are there it waits."""
    raised = doubt()
    answer(raised, "a", 50 * MS)
    for server in ("b", "c", "d", "e"):
        answer(raised, server, 0)
    assert raised.outcome(S0 + 2 * MS, SERVERS, 0) is Outcome.OPEN
    answer(raised, "a", 0, after_ms=3, count=2)
    assert raised.agrees("a")
    assert raised.outcome(S0 + 5 * MS, SERVERS, 0) is Outcome.STEADY


def test_a_server_without_a_history_neither_stands_nor_jumps():
    """It never had a vote, so nothing it says contradicts anything."""
    raised = doubt(regions=("a", "b", "c"))
    answer(raised, "d", 50 * MS, count=3)
    assert raised.jump("d") is None
    assert not raised.agrees("d")
    assert raised.allows_none("d", raised.samples["d"][0])
