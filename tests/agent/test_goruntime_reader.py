"""The reader of a Go process through its life: searching, found, no longer what Go writes, gone."""

import pytest
from agent.gomemory import WALL_NS, FakeMemory, collections, mstats_bytes

from truechimer.readings import Reading
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.goruntime import open_runtime
from truechimer_agent.goruntime.mstats import SIZE
from truechimer_agent.goruntime.reader import LONGEST_WAIT_NS, MOST_UNSETTLED, GoReader
from truechimer_agent.goruntime.segments import Segment
from truechimer_agent.processes.runtimes import Polled, StillLooking, Target

S = 1_000_000_000
UPTIME_NS = 7_200 * S
ANOTHER_NS = 100_000 + 300
"""The length of the 301st collection."""


class FakeProgram(FakeMemory):
    """A process whose only variables are the record."""

    def __init__(self, count: int = 300) -> None:
        super().__init__(mstats_bytes(collections(count)))
        self.searches = 0

    def segments(self) -> tuple[Segment, ...]:
        self.searches += 1
        return (Segment(self.start, self.start + SIZE),)

    def close(self) -> None:
        pass


class Polling:
    """A reader of a program, polled at times of its own."""

    def __init__(self, program: FakeProgram) -> None:
        self.reader = GoReader(Target(5, 0), program)

    def poll(self, at_s: float = 0) -> Polled:
        ns = round(at_s * S)
        wall_ns = WALL_NS + 300 * S + ns
        return self.reader.poll(Reading(wall_ns, ns, ns, UPTIME_NS + ns, 0), wall_ns)


def test_what_was_before_the_first_poll_is_no_news_what_comes_after_is() -> None:
    program = FakeProgram()
    polling = Polling(program)
    assert polling.poll(0) == Polled()
    assert polling.poll(1) == Polled()
    program.data = mstats_bytes(collections(301))
    polled = polling.poll(2)
    assert (polled.count, polled.total_ns, polled.longest_ns) == (1, ANOTHER_NS, ANOTHER_NS)
    assert polling.poll(3) == Polled()


def test_a_poll_without_news_reads_four_bytes() -> None:
    program = FakeProgram()
    polling = Polling(program)
    polling.poll(0)
    program.bytes_read = 0
    polling.poll(1)
    assert program.bytes_read == 4


def test_searches_become_rare_while_there_is_nothing_to_find() -> None:
    """Polled ten times a second for an hour: at most one a minute in the end, and it says why."""
    program = FakeProgram(0)
    polling = Polling(program)
    for poll in range(36_000):
        with pytest.raises(StillLooking, match="has not collected yet"):
            polling.poll(poll / 10)
    assert program.searches <= 8 + 3_600 * S // LONGEST_WAIT_NS
    program.data = mstats_bytes(collections(1))
    assert polling.poll(3_700) == Polled()


def test_a_write_that_is_never_finished_is_told_and_the_record_looked_for_anew() -> None:
    """The polls before that report nothing; once it is finished, all is well again."""
    program = FakeProgram()
    polling = Polling(program)
    polling.poll(0)
    finished = mstats_bytes(collections(302))
    program.data = mstats_bytes(collections(302))
    program.data[:8] = bytes(8)
    for poll in range(MOST_UNSETTLED):
        assert polling.poll(poll) == Polled()
    with pytest.raises(CollectFailure, match="in the middle"):
        polling.poll(100)
    with pytest.raises(StillLooking):
        polling.poll(200)
    program.data = finished
    assert polling.poll(300) == Polled()


def test_collections_during_an_unfinished_write_are_not_lost() -> None:
    program = FakeProgram()
    polling = Polling(program)
    polling.poll(0)
    program.data = mstats_bytes(collections(303))
    program.data[:8] = bytes(8)
    assert polling.poll(1) == Polled()
    program.data = mstats_bytes(collections(303))
    assert polling.poll(2).count == 3


@pytest.mark.parametrize(
    "data", [mstats_bytes(collections(299)), mstats_bytes(collections(301), nanotime_ns=0)]
)
def test_what_go_cannot_have_written_is_a_failure_and_the_record_looked_for_anew(data: bytearray) -> None:
    program = FakeProgram()
    polling = Polling(program)
    polling.poll(0)
    program.data = data
    with pytest.raises(CollectFailure, match="no longer what Go writes"):
        polling.poll(1)
    program.data = mstats_bytes(collections(305))
    assert polling.poll(10) == Polled()
    assert program.searches == 2


def test_without_leave_to_search_nothing_is_opened() -> None:
    with pytest.raises(Lacking) as lacking:
        open_runtime(Target(1, 0), scan=False)
    assert "scan = true" in str(lacking.value.hint)
