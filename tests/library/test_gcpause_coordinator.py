"""Collections between requests: when they are due, what is announced, and that requests are left alone."""

from __future__ import annotations

import gc
import threading

import pytest

from truechimer.gcpause import Coordinator, State
from truechimer.gcpause.coordinator import FULL, YOUNG


class Service:
    """A coordinator with an interpreter and a clock that the test holds."""

    def __init__(self, **limits):
        self.now_s = 100.0
        self.objects = 0
        self.said = []
        self.coordinator = Coordinator(
            young_limit=100,
            full_every=2,
            near=0.9,
            on_draining=lambda: self.said.append("draining"),
            on_ready=lambda: self.said.append("ready"),
            clock=lambda: self.now_s,
            count=lambda: self.objects,
            collect=self.collect,
            **limits,
        )

    def collect(self, generation):
        self.said.append(generation)
        self.objects = 0

    def work(self, objects):
        with self.coordinator.request():
            self.objects += objects

    def near_full(self):
        """Two young collections: the next look finds that a full one is near."""
        self.work(95)
        self.work(95)
        assert self.said == [YOUNG, YOUNG]


@pytest.fixture
def service():
    made = Service(limit_s=5.0)
    with made.coordinator:
        yield made
    assert gc.isenabled()


def test_automatic_collection_is_off_while_started_and_given_back(service):
    """And is left off where it was off before."""
    assert not gc.isenabled()
    service.coordinator.stop()
    assert gc.isenabled()
    gc.disable()
    try:
        with service.coordinator:
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_young_objects_are_collected_between_requests(service):
    """Near the limit when nothing is in flight, and nothing is announced for it."""
    service.work(89)
    assert service.said == []
    with service.coordinator.request():
        service.work(1)
        assert service.said == []
    assert service.said == [YOUNG]
    assert service.coordinator.state is State.READY


def test_overlapping_requests_cannot_put_it_off_for_ever(service):
    """Beyond the limit the end of any request collects, though others are in flight."""
    with service.coordinator.request():
        service.work(100)
        assert service.said == [YOUNG]


def test_a_full_collection_is_announced_and_waits_for_work_in_flight(service):
    """draining when it nears; then the last request out collects, and ready is said after it."""
    service.near_full()
    with service.coordinator.request():
        assert service.said[2:] == ["draining", FULL, "ready"]  # nothing was in flight yet
    service.said.clear()
    service.near_full()
    busy = service.coordinator.request()
    service.coordinator._in_flight += 1
    try:
        assert service.coordinator.poll() is State.DRAINING
        assert service.coordinator.agent_check() == b"drain\n"
        with busy:
            assert service.said[2:] == ["draining"]
    finally:
        service.coordinator._in_flight -= 1
    assert service.coordinator.agent_check() == b"ready\n"
    assert service.said[2:] == ["draining", FULL, "ready"]


def test_work_in_flight_is_waited_for_up_to_the_limit():
    """After notice and limit it collects in any case."""
    service = Service(notice_s=1.0, limit_s=5.0)
    with service.coordinator:
        service.near_full()
        with service.coordinator.request():
            service.now_s += 5.9
            assert service.coordinator.poll() is State.DRAINING
            service.now_s += 0.2
            assert service.coordinator.poll() is State.READY
        assert service.said[2:] == ["draining", FULL, "ready"]


def test_the_balancer_has_its_time_to_hear_of_it():
    """With a notice an idle service drains for so long before it collects."""
    service = Service(notice_s=2.0)
    with service.coordinator:
        service.near_full()
        assert [service.coordinator.agent_check() for _ in range(3)] == [b"drain\n"] * 3
        service.now_s += 2.0
        assert service.coordinator.agent_check() == b"ready\n"
        assert service.said[2:] == ["draining", FULL, "ready"]


def test_a_failing_collection_leaves_it_ready():
    """An error of a finalizer or a callback is the caller's; the next look goes on."""
    service = Service()

    def fail(generation):
        service.objects = 0
        raise RuntimeError("told")

    service.coordinator._collect = fail
    with service.coordinator:
        for _ in range(3):
            service.objects = 100
            with pytest.raises(RuntimeError, match="told"):
                service.coordinator.poll()
            assert service.coordinator.state is State.READY


def test_a_failed_full_collection_is_followed_by_ready():
    """Who was told of draining is told of its end, whatever the collection raised."""
    service = Service()

    def interrupted(generation):
        service.objects = 0
        if generation == FULL:
            raise KeyboardInterrupt

    with service.coordinator:
        service.coordinator._collect = interrupted
        for _ in range(2):
            service.objects = 100
            service.coordinator.poll()
        with pytest.raises(KeyboardInterrupt):
            service.coordinator.poll()
    assert service.said == ["draining", "ready"]


def test_a_handler_that_raises_once_a_collection_is_begun_does_not_end_all_collections(service):
    """The mark is taken back, though the beginning never returned."""
    begin = service.coordinator._begin_collecting

    def interrupted(mine):
        assert begin(mine) == YOUNG
        raise KeyboardInterrupt

    service.coordinator._begin_collecting = interrupted
    service.objects = 100
    with pytest.raises(KeyboardInterrupt):
        service.coordinator.poll()
    service.coordinator._begin_collecting = begin
    service.coordinator.poll()
    assert service.said == [YOUNG]


def test_stopped_while_draining_it_says_ready():
    """Nobody collects any more, so nobody else would ever say it."""
    service = Service(notice_s=5.0)
    with service.coordinator:
        service.near_full()
        assert service.coordinator.agent_check() == b"drain\n"
    assert service.said[2:] == ["draining", "ready"]
    assert service.coordinator.agent_check() == b"ready\n"


def test_ready_is_not_said_before_draining_was(service):
    """Another thread that looks while draining is being announced does not collect yet."""
    draining = service.coordinator._on_draining

    def announce():
        looking = threading.Thread(target=service.coordinator.poll)
        looking.start()
        looking.join(10)
        draining()

    service.coordinator._on_draining = announce
    service.near_full()
    service.coordinator.poll()
    assert service.said[2:] == ["draining", FULL, "ready"]


def test_a_failing_announcement_does_not_leave_it_draining(service):
    """The caller gets the error, and the next look collects."""
    service.near_full()

    def fail():
        raise RuntimeError("told")

    service.coordinator._on_draining = fail
    with pytest.raises(RuntimeError, match="told"):
        service.coordinator.poll()
    assert service.coordinator.poll() is State.READY
    assert service.said[2:] == [FULL, "ready"]


def test_the_last_request_that_ends_in_a_young_collection_is_not_missed(service):
    """Its own look finds that somebody collects; who does looks again, as nobody else may come."""
    service.near_full()
    last = service.coordinator.request()
    collect = service.coordinator._collect

    def ending(generation):
        service.coordinator._collect = collect
        collect(generation)
        ended = threading.Thread(target=last.__exit__, args=(None, None, None))
        ended.start()
        ended.join(10)

    service.coordinator._in_flight += 1
    last.__enter__()
    service.coordinator._in_flight -= 1
    service.coordinator._collect = ending
    service.objects = 100
    assert service.coordinator.poll() is State.READY
    assert service.said[2:] == ["draining", YOUNG, FULL, "ready"]


def test_one_thread_collects_at_a_time(service):
    """Another that looks meanwhile goes on with its work."""
    inside, go_on = threading.Event(), threading.Event()

    def collect(generation):
        service.collect(generation)
        service.objects = 1000
        inside.set()
        assert go_on.wait(10)
        service.objects = 0

    service.coordinator._collect = collect
    service.objects = 1000
    collecting = threading.Thread(target=service.coordinator.poll)
    collecting.start()
    assert inside.wait(10)
    service.work(1)
    assert service.said == [YOUNG]
    go_on.set()
    collecting.join(10)


def test_limits_that_make_no_sense_are_refused():
    """Before anything is switched off."""
    for wrong in ({"young_limit": 0}, {"full_every": 0}, {"near": 0.0}, {"near": 1.1}, {"limit_s": -1.0}):
        with pytest.raises(ValueError, match="limits"):
            Coordinator(**wrong)


def test_real_garbage_is_collected_between_real_requests():
    """With the interpreter itself: cycles made in requests go, and never while one is in flight."""
    in_flight = []
    with Coordinator(young_limit=1000, full_every=3) as coordinator:

        def seen(phase, info):
            in_flight.append((coordinator.in_flight, info["generation"]))

        gc.callbacks.append(seen)
        try:
            for _ in range(50):
                with coordinator.request():
                    for _ in range(400):
                        cycle = []
                        cycle.append(cycle)
        finally:
            gc.callbacks.remove(seen)
    assert {count for count, _ in in_flight} == {0}
    assert {generation for _, generation in in_flight} == {YOUNG, FULL}
