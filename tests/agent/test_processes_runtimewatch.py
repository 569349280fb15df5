"""How the watch polls runtimes, with a reader that is told what to do."""

from __future__ import annotations

import pytest
from agent.listeninghost import checked

from truechimer.codes import Cause
from truechimer.readings import SystemClocks
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.processes import runtimewatch
from truechimer_agent.processes.runtimes import Heap, Polled, ProcessGone, StillLooking, Stop, Target
from truechimer_agent.processes.runtimewatch import FAILED_RETRY_NS, LACKING_RETRY_NS, RuntimeWatch

READING = SystemClocks().read()
MS = 1_000_000
SECOND = 1_000_000_000
ONE, TWO = Target(7, 100), Target(8, 100)


class Reader:
    """Says in turn what it was given; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.is_closed = False

    def poll(self, *_):
        answer = self.answers.pop(0) if self.answers else Polled()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.is_closed = True


@pytest.fixture
def readers(monkeypatch):
    """What is opened by target: readers, or an exception; each opening takes the next."""
    given = {}

    def open_runtime(target, *, scan):
        answer = given[target].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(runtimewatch, "opener_of", lambda _: open_runtime)
    return given


def watching():
    return RuntimeWatch("db", "jvm", scan=False, threshold_ns=5 * MS)


def test_stops_above_the_threshold_are_pauses_and_all_of_them_count(readers):
    """Short ones are in the window only; those not seen singly say how many they are."""
    stops = (
        Stop(SECOND, 20 * MS, Cause.GC, 0.99, sync_ns=MS),
        Stop(SECOND, 1 * MS, Cause.SAFEPOINT, 0.99),
        Stop(SECOND, 9 * MS, Cause.SAFEPOINT, 0.8, count=7),
    )
    readers[ONE] = [Reader(Polled(), Polled(stops, 9, 30 * MS, 2 * MS, 20 * MS, 21 * MS, Heap(90, 100, 7)))]
    watch = watching()
    assert watch.look([ONE], READING, 0, 1) == []
    first, second = [checked(one) for one in watch.look([ONE], READING, SECOND, 1)]
    assert first.tags == {"source": "db", "runtime": "jvm", "cause": "gc"}
    assert first.fields["sync_seconds"] == 0.001
    assert second.fields["pauses"] == 7
    window, heap = [checked(one) for one in watch.points(SECOND)]
    assert window.fields == {
        "observed_seconds": 1.0,
        "interval_seconds": 1.0,
        "count": 9,
        "total_seconds": 0.03,
        "sync_seconds": 0.002,
        "max_seconds": 0.02,
        "max_upper_seconds": 0.021,
        "threshold_seconds": 0.0,
    }
    assert heap.fields["old_full_ratio"] == 0.9
    window, heap = watch.points(SECOND)
    assert (window.fields["count"], window.fields["observed_seconds"]) == (0, 0.0)


def test_the_newest_stop_that_goes_on_is_known(readers):
    """So that it is polled again soon; None once there is none."""
    readers[ONE] = [Reader(Polled(under_way_ns=9 * MS), Polled())]
    readers[TWO] = [Reader(Polled(under_way_ns=2 * MS), Polled())]
    watch = watching()
    watch.look([ONE, TWO], READING, 0, 1)
    assert watch.under_way_ns == 2 * MS
    watch.look([ONE, TWO], READING, SECOND, 1)
    assert watch.under_way_ns is None


def test_what_is_lacking_is_tried_again_at_last_each_minute_and_does_not_stop_the_others(readers):
    """After 1, 2, 4… s; another process of the section is polled meanwhile."""
    readers[ONE] = [*(Lacking("no such file") for _ in range(8)), Reader()]
    readers[TWO] = [Reader()]
    watch = watching()
    tried_s = []
    for second in range(300):
        left = len(readers[ONE])
        watch.look([ONE, TWO], READING, second * 1000 * MS, 1)
        if len(readers[ONE]) < left:
            tried_s.append(second)
    assert tried_s == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert LACKING_RETRY_NS == 60_000 * MS
    assert watch.trouble is None


def test_a_launcher_that_becomes_a_runtime_within_a_second_is_no_trouble(readers):
    """It was looked at between its exec and its first look into the runtime's library."""
    readers[ONE] = [Lacking("it has not loaded it"), Reader()]
    watch = watching()
    watch.look([ONE], READING, 0, 1)
    assert watch.trouble is None
    watch.look([ONE], READING, FAILED_RETRY_NS, 1)
    assert watch.trouble is None
    assert readers[ONE] == []


def test_what_is_lacking_twice_is_told(readers):
    readers[ONE] = [Lacking("no such file"), Lacking("no such file"), Reader()]
    watch = watching()
    watch.look([ONE], READING, 0, 1)
    watch.look([ONE], READING, FAILED_RETRY_NS, 1)
    assert str(watch.trouble) == "no such file"


def test_a_failed_poll_is_not_observed_and_its_reader_stays(readers):
    """It is asked again after a second."""
    reader = Reader(Polled(), CollectFailure("torn"), Polled(count=1, total_ns=MS), Polled())
    readers[ONE] = [reader]
    watch = watching()
    watch.look([ONE], READING, 0, 1)
    watch.look([ONE], READING, MS, 1)
    assert str(watch.trouble) == "torn"
    watch.look([ONE], READING, FAILED_RETRY_NS, 1)
    assert str(watch.trouble) == "torn"
    watch.look([ONE], READING, MS + FAILED_RETRY_NS, 1)
    assert watch.trouble is None
    watch.look([ONE], READING, 2 * MS + FAILED_RETRY_NS, 1)
    (window,) = watch.points(SECOND)
    assert window.fields["count"] == 1
    assert window.fields["observed_seconds"] == 0.001
    assert not reader.is_closed


def test_a_runtime_that_has_not_told_anything_yet_is_no_trouble(readers):
    """It is asked again at once, and was not observed."""
    readers[ONE] = [Reader(StillLooking("nothing yet"), Polled(), Polled())]
    watch = watching()
    for number in range(3):
        watch.look([ONE], READING, number * MS, 1)
        assert watch.trouble is None
    (window,) = watch.points(SECOND)
    assert window.fields["observed_seconds"] == 0.001


def test_a_defect_of_a_reader_is_said_and_closes_it(readers):
    """Nothing that a process holds may stop the watch."""
    reader = Reader(ZeroDivisionError("x"))
    readers[ONE] = [reader]
    watch = watching()
    watch.look([ONE], READING, 0, 1)
    assert "ZeroDivisionError" in str(watch.trouble)
    assert reader.is_closed


def test_a_process_that_ended_is_let_go_and_its_successor_opened(readers):
    """A restart is another process."""
    first, second = Reader(ProcessGone("ended")), Reader()
    readers[ONE], readers[TWO] = [first], [second]
    watch = watching()
    watch.look([ONE], READING, 0, 1)
    assert first.is_closed
    assert watch.trouble is None
    watch.look([TWO], READING, MS, 1)
    watch.close()
    assert second.is_closed


def test_a_runtime_that_is_not_built_is_lacking(monkeypatch):
    """Its module is imported when it is wanted."""
    monkeypatch.setitem(runtimewatch.MODULES, "jvm", "truechimer_agent.no_such_runtime")
    watch = watching()
    watch.look([ONE], READING, 0, 1)
    watch.look([ONE], READING, FAILED_RETRY_NS, 1)
    assert isinstance(watch.trouble, Lacking)
    assert "not built" in str(watch.trouble)
