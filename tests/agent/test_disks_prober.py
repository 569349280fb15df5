"""The probing thread: on its grid, with what it hid, and with what was not the disk's fault."""

import os
import threading
import time

from truechimer.readings import SystemClocks, mono_ns
from truechimer_agent.disks.probefile import ProbeFile
from truechimer_agent.disks.prober import Prober, RunDelay, others_cpu_ns

BEAT_S = 0.05


def run(tmp_path, sync, probes):
    """So many probes, and the prober and what was in the directory after it had ended."""
    clocks, told, enough, ended = SystemClocks(), [], threading.Event(), threading.Event()

    def tell(probed):
        told.append(probed)
        if len(told) >= probes:
            enough.set()
        if probed is None:
            ended.set()

    prober = Prober(ProbeFile(tmp_path, "probe", clocks.raw_ns, sync), BEAT_S, clocks, tell)
    prober.start()
    assert enough.wait(20)
    prober.stop()
    assert ended.wait(20)
    assert list(tmp_path.iterdir()) == []
    assert prober.outstanding_since_ns is None
    assert told[-1] is None
    return told[:-1]


def test_probes_that_were_due_meanwhile_are_counted_and_not_made_up_for(tmp_path):
    """A probe of three beats and a half hides three; the next one begins on the grid again."""
    slow = iter([3.5 * BEAT_S] + [0.0] * 10_000)
    first, second, *_ = run(tmp_path, lambda *_: time.sleep(next(slow)), 5)
    assert first.hidden >= 3
    apart_s = (second.waited.began_ns - first.waited.began_ns) / 1e9
    took_s = first.written.took_ns / 1e9
    assert apart_s >= took_s
    assert took_s >= 3.5 * BEAT_S
    assert first.hidden >= int(took_s / BEAT_S)


def test_another_thread_at_work_is_told_from_the_disk(tmp_path):
    """Its CPU time is evidence: it may have kept Python's lock while the disk had long answered."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            sum(range(1000))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        probed = run(tmp_path, lambda *_: time.sleep(0.1), 5)
    finally:
        stop.set()
        worker.join()
    assert max(one.waited.others_ns for one in probed) > 5_000_000


def test_a_thread_that_sleeps_used_no_cpu_and_waited_for_none(tmp_path):
    """A quiet probe has next to nothing held against the disk."""
    probed = run(tmp_path, lambda *_: time.sleep(0.03), 8)
    assert min(one.waited.others_ns for one in probed) < 5_000_000
    delays = [one.waited.run_delay_ns for one in probed]
    assert all(delay is None or delay >= 0 for delay in delays)


def test_run_delay_of_a_task_that_is_not_there_is_unknown():
    """None, not zero: nobody knows."""
    delay = RunDelay(2**22 + 1)
    assert delay.read_ns() is None
    delay.close()
    own = RunDelay(threading.get_native_id())
    assert own.read_ns() >= 0
    own.close()
    assert own.read_ns() is None


def test_cpu_of_other_threads_does_not_count_the_callers_own():
    """A thread that works alone adds nothing to it."""
    before_ns, began_ns = others_cpu_ns(), mono_ns()
    while mono_ns() - began_ns < 50_000_000:
        os.getpid()
    assert others_cpu_ns() - before_ns < 25_000_000
