"""What programs tell of their pauses: what is believed, bounded and summed up. Times are the test's."""

from __future__ import annotations

import pytest

from truechimer.errors import DecodeError
from truechimer.gcpause.wire import Hello, Pause, Sum
from truechimer_agent.toldpauses.ledger import (
    FORGET_NS,
    MOST_OF_ONE,
    MOST_SOURCES,
    MOST_SOURCES_OF_USER,
    Ledger,
)
from truechimer_agent.toldpauses.teller import Teller

S = 1_000_000_000
MS = 1_000_000


class Told:
    def __init__(self, taken=frozenset()) -> None:
        self.seen = []
        self.ledger = Ledger(
            5 * MS, lambda source, believed: self.seen.append((source.name, believed)), S, taken
        )

    def program(self, name="web", uid=1, now_ns=S):
        teller = Teller(now_ns)
        self.ledger.take(teller, uid, Hello("cpython", name, now_ns), now_ns)
        return teller


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Pause(S - 2 * MS, 10), "before the program was connected"),
        (Pause(3 * S, 10), "longer than the time"),
        (Pause(S, S + 2 * MS), "longer than the time"),
        (Sum(S, 3, S + 2 * MS, S), "longer than the time"),
        (Hello("cpython", "web", S), "twice"),
    ],
)
def test_what_cannot_have_happened_is_refused(record, why):
    """One second after it connected: too early, in the future, longer than that second, another hello."""
    told = Told()
    teller = told.program()
    with pytest.raises(DecodeError, match=why):
        told.ledger.take(teller, 1, record, 2 * S)


def test_all_pauses_together_are_no_longer_than_the_time():
    """Each could be true, both cannot."""
    told = Told()
    teller = told.program()
    told.ledger.take(teller, 1, Pause(S, 600 * MS), 2 * S)
    with pytest.raises(DecodeError, match="more pauses than time"):
        told.ledger.take(teller, 1, Pause(S, 600 * MS), 2 * S)


def test_who_it_is_comes_first_and_is_not_from_the_future():
    """An old beginning is cut to what the connection allows."""
    told, teller = Told(), Teller(S)
    with pytest.raises(DecodeError, match="before it said"):
        teller.take(Pause(S, 1), 2 * S)
    with pytest.raises(DecodeError, match="future"):
        teller.take(Hello("node", "n", 3 * S), 2 * S)
    told.ledger.take(teller, 1, Hello("node", "n", 5), 2 * S)
    assert teller.since_mono_ns == S


def test_windows_hold_what_was_watched_and_the_exact_count_sum_and_longest():
    """Short ones are in the longest alone; two programs of one name are watched twice as long."""
    told = Told()
    one, other = told.program(), told.program(now_ns=2 * S)
    told.ledger.take(one, 1, Pause(2 * S, 5 * MS), 3 * S)
    told.ledger.take(other, 1, Pause(2 * S, 4 * MS), 3 * S)
    told.ledger.take(other, 1, Sum(2 * S, 3, 30 * MS, 12 * MS), 3 * S)
    told.ledger.left(other, 4 * S)
    ((source, window),) = told.ledger.windows(11 * S)
    assert source.name == "web"
    assert (window.observed_ns, window.pauses, window.total_ns, window.max_ns) == (
        12 * S,
        4,
        35 * MS,
        12 * MS,
    )
    assert [believed.pauses for _, believed in told.seen] == [1, 3]
    told.ledger.left(one, 11 * S)
    assert told.ledger.windows(21 * S) == []


def test_a_flood_becomes_sums_and_no_pause_is_lost():
    """So many singly, the rest in one point a window; count and sum stay exact."""
    told = Told()
    teller = told.program()
    for number in range(1000):
        told.ledger.take(teller, 1, Pause(S + number * 6 * MS, 6 * MS), 8 * S)
    assert len(told.seen) <= MOST_OF_ONE + 1
    ((_, window),) = told.ledger.windows(9 * S)
    assert (window.pauses, window.total_ns) == (1000, 6000 * MS)
    assert sum(believed.pauses for _, believed in told.seen) == 1000
    assert sum(believed.total_ns for _, believed in told.seen) == 6000 * MS


def test_names_are_few_belong_to_their_user_and_are_forgotten():
    """One too many is refused, and a user has half at most; ten minutes without programs make room."""
    told = Told()
    tellers = [told.program(f"n{number}") for number in range(MOST_SOURCES_OF_USER)]
    with pytest.raises(DecodeError, match="user 1 has"):
        told.program("more")
    tellers += [told.program(f"m{number}", uid=0) for number in range(MOST_SOURCES - len(tellers))]
    with pytest.raises(DecodeError, match="names tell"):
        told.program("more", uid=2)
    for teller in tellers:
        told.ledger.left(teller, 2 * S)
    told.ledger.windows(3 * S)
    told.ledger.windows(4 * S + FORGET_NS)
    told.program("more", uid=2, now_ns=4 * S + FORGET_NS)


def test_who_squats_a_name_neither_silences_nor_mixes_with_its_owner():
    """The second user's programs are shown with their user's number, and nobody else may tell under that."""
    told = Told()
    told.program()
    for _ in range(2):
        teller = told.program(uid=2)
        told.ledger.take(teller, 2, Pause(S, 10 * MS), 2 * S)
    assert [name for name, _ in told.seen] == ["web@2", "web@2"]
    with pytest.raises(DecodeError, match="programs of user 2"):
        told.program("web@2", uid=3)
    told.program("web@3", uid=3)


def test_a_configured_source_is_not_told_under():
    """The same name with another runtime is another source, and free."""
    told = Told(frozenset({("web", "cpython"), ("mysqld", "process")}))
    with pytest.raises(DecodeError, match="configuration's"):
        told.program("web")
    told.program("mysqld")


def test_more_pauses_than_there_was_time_for_are_refused():
    """A count is summed up and sent on: it cannot be made so large that nobody can hold it."""
    told = Told()
    teller = told.program()
    with pytest.raises(DecodeError, match="time for"):
        told.ledger.take(teller, 1, Sum(S, 2**62, 5 * MS, 5 * MS), 2 * S)
    told.ledger.take(teller, 1, Sum(S, 100_000, 500 * MS, 5 * MS), 2 * S)
