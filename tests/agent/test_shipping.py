"""Shippers send in order, back off, and say what changed; the whole way out loses nothing."""

from __future__ import annotations

import random
import threading
import time

import pytest

from truechimer.config.model import SinkConfig
from truechimer.lineprotocol import RefusedLine
from truechimer.readings import monotonic_s
from truechimer_agent.shipping import LONGEST_WAIT_S, Backoff, Shipper
from truechimer_agent.sinks import Retry, Sent, Trouble, open_sink
from truechimer_agent.spool import Outbox, Spool


class FakeSink:
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.answers: list[Exception | Sent] = []
        self.closed = False
        self.arrived = threading.Semaphore(0)
        self.timeouts: list[float | None] = []

    def send(self, lines, *, timeout_s=None):
        self.timeouts.append(timeout_s)
        answer = self.answers.pop(0) if self.answers else Sent()
        if isinstance(answer, Exception):
            raise answer
        self.got.append(lines)
        self.arrived.release()
        return answer

    def close(self):
        self.closed = True


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def line(n: int) -> bytes:
    return b"m,node=a v=%di %d\n" % (n, n)


@pytest.fixture
def spool(tmp_path):
    spool = Spool.open(tmp_path / "s", 1 << 20, sinks=("a",), boot_id="b", boot_ns=lambda: 1)
    yield spool
    spool.close()


@pytest.fixture
def sink():
    return FakeSink()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def shipper(spool, sink, clock):
    return Shipper("a", sink, spool, rng=random.Random(1), clock=clock)


def fill(spool, count):
    spool.append_all([(line(n), 1) for n in range(count)])


def test_steps_send_everything_in_order_and_empty_the_spool(spool, sink, shipper):
    fill(spool, 40)
    while shipper.step() == 0.0:
        pass
    assert sink.got == [line(n) for n in range(40)]
    assert spool.stats().batches == 0
    assert shipper.stats().sent_samples_total == 40


def test_a_failure_keeps_the_batch_first_in_line(spool, sink, shipper):
    fill(spool, 3)
    sink.answers = [Sent(), Retry("gone")]
    wait_s = shipper.step()
    assert 0.25 <= wait_s <= 0.5
    assert shipper.stats().why == "gone"
    assert spool.stats().batches == 2
    assert shipper.step() is None
    assert sink.got == [line(0), line(1), line(2)]


def test_waits_double_with_jitter_to_a_minute_and_honour_the_store():
    backoff = Backoff(random.Random(3))
    waits = [backoff.next_s() for _ in range(12)]
    for wait_s, ceiling_s in zip(waits, [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60], strict=True):
        assert ceiling_s / 2 <= wait_s <= ceiling_s <= LONGEST_WAIT_S
    assert len({wait_s / ceiling_s for wait_s, ceiling_s in zip(waits[-5:], [60] * 5, strict=True)}) > 1
    assert backoff.next_s(at_least_s=90) == 90
    backoff.reset()
    assert backoff.next_s() <= 0.5


def test_only_changes_are_logged(spool, sink, shipper, clock, caplog):
    fill(spool, 2)
    sink.answers = [Retry("refused")] * 5 + [
        Retry("HTTP 401", trouble=Trouble.CONFIGURATION, hint="do this")
    ] * 5
    for _ in range(10):
        clock.now += 1
        assert shipper.step() > 0
    assert shipper.stats().down_s == 9
    shipper.step()
    shipper.step()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 3
    assert "trouble=unreachable why=refused" in texts[0]
    assert "trouble=configuration why=HTTP 401 hint=do this" in texts[1]
    assert "back and has caught up: sink=a after_s=9.0" in texts[2]
    assert shipper.stats().down_s is None


def test_refused_lines_are_counted_and_one_example_logged(spool, sink, shipper, caplog):
    fill(spool, 3)
    refused = Sent(1, (RefusedLine(1, "m,node=a v=0i 0", "type conflict"),))
    sink.answers = [refused, refused]
    shipper.step()
    stats = shipper.stats()
    assert (stats.refused_total, stats.sent_samples_total) == (2, 1)
    assert caplog.text.count("refuses lines for good") == 1
    assert "type conflict" in caplog.text
    assert spool.stats().batches == 0


def test_the_thread_sends_new_batches_and_a_last_one_when_stopped(spool, sink):
    shipper = Shipper("a", sink, spool, rng=random.Random(1), clock=monotonic_s)
    shipper.start()
    for n in range(3):
        spool.append(line(n), 1)
        shipper.wake()
        assert sink.arrived.acquire(timeout=10)
    spool.append(line(3), 1)
    assert shipper.stop(10)
    assert sink.got == [line(n) for n in range(4)]
    assert sink.closed


def test_a_back_off_is_cut_short_by_stopping_for_one_last_try(spool, sink):
    sink.answers = [Retry("away", after_s=3600.0)]
    shipper = Shipper("a", sink, spool, rng=random.Random(1), clock=monotonic_s)
    fill(spool, 1)
    shipper.start()
    while shipper.stats().failures_total == 0:
        time.sleep(0.01)
    shipper.wake()
    assert shipper.stop(10)
    assert sink.got == [line(0)]
    assert sink.timeouts[-1] is not None


def test_an_unexpected_error_is_logged_once_and_tried_again(spool, sink, caplog):
    sink.answers = [ValueError("bug"), ValueError("bug")]
    shipper = Shipper("a", sink, spool, rng=random.Random(1), clock=monotonic_s)
    fill(spool, 1)
    shipper.start()
    assert sink.arrived.acquire(timeout=10)
    assert shipper.stop(10)
    assert caplog.text.count("sink failed unexpectedly") == 1


def test_samples_wait_for_an_absent_store_and_reach_it_after_a_restart(tmp_path):
    def begun(sink):
        spool = Spool.open(tmp_path / "s", 1 << 20, sinks=("a",), boot_id="b", boot_ns=lambda: 1)
        shipper = Shipper("a", sink, spool, rng=random.Random(1), clock=monotonic_s)
        outbox = Outbox(spool, shipper.wake)
        outbox.start()
        shipper.start()
        return spool, outbox, shipper

    def ended(spool, outbox, shipper):
        assert outbox.flush_and_close(10)
        assert shipper.stop(10)
        spool.close()

    absent = open_sink(SinkConfig("influx", "http://127.0.0.1:1", timeout_s=1.0))
    spool, outbox, shipper = begun(absent)
    for n in range(3):
        outbox.put(line(n), 1)
    while outbox.kept_total < 3 or shipper.stats().down_s is None:
        time.sleep(0.01)
    assert outbox.stats().durable
    ended(spool, outbox, shipper)

    present = FakeSink()
    spool, outbox, shipper = begun(present)
    outbox.put(line(3), 1)
    ended(spool, outbox, shipper)
    assert present.got == [line(n) for n in range(4)]
