"""clock.now() while the segment changes under it: the next call tells, whatever was read before."""

import os
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from library.test_clock import BOUND

from truechimer import clock
from truechimer.clock import FOLLOW_NS, Clock, NoBound, StillAhead, interval_at
from truechimer.codes import BoundReason, BoundStatus
from truechimer.errors import UserError
from truechimer.readings import BOOTTIME, NS, RAW, Reading, SystemClocks
from truechimer.segment import SIZE, SegmentWriter, layout

OTHER_BOOT = "11111111-2222-3333-4444-555555555555"
TORTURE = Path(__file__).parents[2] / "bench" / "segment_torture.py"


def bound(**changes):
    """A bound of ±5 ms on this host's own clocks, as of now."""
    at = SystemClocks().read()
    values = {
        "anchor_ns": at.wall_ns - at.raw_ns,
        "as_of_steady_ns": at.wall_ns,
        "lower_ns": -5_000_000,
        "upper_ns": 5_000_000,
        "suspended_ns": at.least_suspended_ns,
    }
    return replace(BOUND, **(values | changes))


def patched(at, new):
    """Overwrite bytes in place, as a writer would."""

    def damage(path):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(new)

    return damage


def generation(path):
    return struct.unpack_from("<Q", path.read_bytes(), layout.GENERATION_AT)[0]


def killed_in_the_act(path):
    patched(layout.GENERATION_AT, struct.pack("<Q", generation(path) + 1))(path)
    patched(layout.CRC_AT + 20, b"half")(path)


def put(published, **options):
    def publish(path):
        with SegmentWriter(path, **options) as writer:
            writer.write(published())

    return publish


CHANGES = {
    "a writer killed in the act": (killed_in_the_act, "bad_segment", "half-written"),
    "cut to nothing": (lambda path: os.truncate(path, 0), "bad_segment", f"cut short: 0 of {SIZE}"),
    "cut inside the header": (lambda path: os.truncate(path, 20), "bad_segment", "cut short: 20"),
    "cut inside the body": (lambda path: os.truncate(path, 100), "bad_segment", "cut short"),
    "overwritten by something else": (patched(0, b"a text file of somebody"), "bad_segment", "no truechimer"),
    "of a future version": (patched(8, struct.pack("<II", 2, 256)), "bad_segment", "version 2"),
    "of an unknown status": (
        put(lambda: bound(status=9)),
        "bad_segment",
        "9 is not a valid",
    ),
    "a flipped bit": (patched(layout.CRC_AT + 30, b"\xff\xff"), "bad_segment", "half-written"),
    "of another boot": (put(bound, boot=OTHER_BOOT), "no_agent", "before this host booted"),
    "stale": (
        put(lambda: bound(as_of_steady_ns=bound().as_of_steady_ns - 1001 * NS)),
        "agent_silent",
        "1001 s ago",
    ),
    "without a bound": (
        put(lambda: bound(status=BoundStatus.DISRUPTED, reason=BoundReason.DISRUPTED)),
        "disrupted",
        "no trustworthy bound",
    ),
    "of before a sleep": (
        put(lambda: bound(suspended_ns=bound().suspended_ns - NS)),
        "suspended",
        "the host slept",
    ),
}


@pytest.fixture
def live(tmp_path):
    """A segment that was just published, and a clock that has read it twice: its bytes are known."""
    path = tmp_path / "clock"
    put(bound)(path)
    reader = Clock(path)
    reader.now()
    assert reader.now().status is BoundStatus.SYNCHRONIZED
    return path, reader


@pytest.mark.parametrize("change", CHANGES)
def test_each_kind_of_damage_is_refused_at_once_and_forgotten_when_mended(live, change):
    """By its documented reason, each time that it is asked; a good bound is read again afterwards."""
    path, reader = live
    damage, reason, text = CHANGES[change]
    damage(path)
    for _ in range(3):
        with pytest.raises(NoBound, match=text) as caught:
            reader.now()
        assert caught.value.reason == reason
    put(bound)(path)
    assert reader.now().width_ns < 11_000_000


def test_a_new_bound_is_read_by_the_next_call(live):
    path, reader = live
    with SegmentWriter(path) as writer:
        for epoch in range(100, 200):
            writer.write(bound(epoch=epoch))
            assert reader.now().epoch == reader.now().epoch == epoch


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_name_that_leads_elsewhere_is_followed_within_a_tenth_of_a_second(live, how):
    """Until then the bound that was there is still a true one."""
    path, reader = live
    if how == "removed":
        path.unlink()
    else:
        put(lambda: bound(epoch=4711))(path.with_name("other"))
        path.with_name("other").replace(path)
    time.sleep(FOLLOW_NS / NS)
    if how == "removed":
        with pytest.raises(NoBound) as caught:
            reader.now()
        assert caught.value.reason == "no_agent"
        put(lambda: bound(epoch=4711))(path)
    assert reader.now().epoch == 4711


class Host:
    """Clocks moved by hand, in place of the ones that a Clock reads."""

    def __init__(self, monkeypatch, reader):
        self.at = SystemClocks().read()
        self.late_ns = 0
        monkeypatch.setattr(clock, "read_ns", self.read_ns)
        monkeypatch.setattr(clock, "read_monotonic_ns", lambda: self.at.mono_ns)
        reader._clocks = self
        reader._ready = clock._NOT_READY

    def read_ns(self, which):
        return {RAW: self.at.raw_ns, BOOTTIME: self.at.boot_ns + self.late_ns}[which]

    def read(self):
        return replace(self.at, width_ns=0)

    def wait(self, ns, slept_ns=0):
        at = self.at
        self.at = Reading(
            at.wall_ns + ns + slept_ns,
            at.raw_ns + ns,
            at.mono_ns + ns,
            at.boot_ns + ns + slept_ns,
            at.width_ns,
        )


@pytest.fixture
def host(monkeypatch, live):
    path, reader = live
    made = Host(monkeypatch, reader)
    at = made.read()
    made.bound = bound(
        as_of_steady_ns=at.wall_ns, anchor_ns=at.wall_ns - at.raw_ns, suspended_ns=at.suspended_ns
    )
    put(lambda: made.bound)(path)
    reader.now()
    return made


@pytest.mark.parametrize("slept_ns", [1, 700, 4_999, 5_000, 60_000, 1_999_999])
def test_a_sleep_under_a_live_reader_widens_the_interval_by_its_length(host, live, slept_ns):
    _, reader = live
    before = reader.now()
    host.wait(1_000, slept_ns)
    after = reader.now()
    assert after.earliest_ns <= before.earliest_ns + 1_000
    assert before.latest_ns + 1_000 + slept_ns <= after.latest_ns <= before.latest_ns + 1_010 + slept_ns
    assert after == interval_at(host.bound, host.read())


@pytest.mark.parametrize("slept_ns", [2_000_001, NS, 8 * 3600 * NS])
def test_a_longer_sleep_under_a_live_reader_is_refused(host, live, slept_ns):
    _, reader = live
    host.wait(1_000, slept_ns)
    with pytest.raises(NoBound) as caught:
        reader.now()
    assert (caught.value.status, caught.value.reason) == ("disrupted", "suspended")


def test_a_reading_torn_by_preemption_is_taken_again(host, live):
    """BOOTTIME read a second after MONOTONIC looks like a sleep: the bracketed reading knows better."""
    _, reader = live
    host.late_ns = NS
    assert reader.now() == interval_at(host.bound, host.read())


def test_a_silent_agents_bound_ages_as_documented_under_a_live_reader(host, live):
    """Each answer of the quick way is the one that the arithmetic of a fresh look gives."""
    _, reader = live
    seen = []
    for seconds in [0, 1, 3, 5, 6, 100, 999, 1000, 1001]:
        host.wait(seconds * NS - (host.at.raw_ns - host.bound.as_of_steady_ns + host.bound.anchor_ns))
        for step_ns in (0, 1, 50_000_000):
            host.wait(step_ns)
            try:
                expected = interval_at(host.bound, host.read())
            except NoBound as refusal:
                with pytest.raises(NoBound, match=str(refusal)):
                    reader.now()
                seen.append(None)
            else:
                assert reader.now() == expected
                seen.append(expected.status)
    assert seen == [
        *[BoundStatus.SYNCHRONIZED] * 10,
        *[BoundStatus.HOLDOVER] * 12,
        *[None] * 5,
    ]


def test_threads_share_a_clock_while_the_file_is_replaced(live):
    path, reader = live
    wrong = []
    done = threading.Event()

    def ask():
        while not done.is_set():
            try:
                interval = reader.now()
                aging = interval[2]
                if aging.high_ns - aging.low_ns != aging.epoch:
                    wrong.append(interval)
            except NoBound as error:
                wrong.append(error)

    def publish(epoch):
        # The width says which publication the interval is from.
        put(lambda: bound(epoch=epoch, lower_ns=0, upper_ns=epoch))(path.with_name("other"))
        path.with_name("other").replace(path)

    publish(1)
    time.sleep(FOLLOW_NS / NS)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for epoch in range(2, 12):
        publish(epoch)
        time.sleep(0.03)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_reads_on_after_a_fork_and_leaves_the_parents_file_alone(live):
    path, reader = live
    child = os.fork()
    if child == 0:
        try:
            put(lambda: bound(epoch=99))(path)
            os._exit(0 if reader.now().epoch == 99 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reader.now().epoch == 99


def test_a_program_that_closed_every_descriptor_is_answered_and_keeps_its_new_files(live, tmp_path):
    """As those do that make themselves daemons: the number then belongs to another file."""
    _, reader = live
    number = reader._ready.fd
    os.close(number)
    (tmp_path / "theirs").write_bytes(b"theirs" * 50)
    theirs = os.open(tmp_path / "theirs", os.O_RDONLY)
    assert theirs == number
    assert reader.now().status is BoundStatus.SYNCHRONIZED
    assert os.pread(theirs, 6, 0) == b"theirs"
    os.close(theirs)


def test_the_environment_may_name_another_segment_at_any_time(tmp_path, monkeypatch):
    for epoch in (5, 6):
        put(lambda epoch=epoch: bound(epoch=epoch))(tmp_path / str(epoch) / "clock")
    for epoch in (5, 6, 5):
        monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", str(tmp_path / str(epoch)))
        assert clock.now().epoch == clock.now().epoch == epoch


def test_a_process_in_a_time_namespace_with_shifted_clocks_is_refused(live, monkeypatch, tmp_path):
    """Its RAW is not the host's: S would be off by the shift. Nor can it publish."""
    path, _ = live
    offsets = tmp_path / "timens_offsets"
    monkeypatch.setattr("truechimer.readings.TIME_NAMESPACE", offsets)
    offsets.write_text("monotonic           0         0\nboottime            0         0\n")
    assert Clock(path).now()
    offsets.write_text("monotonic          -7         0\nboottime            0         0\n")
    with pytest.raises(NoBound, match="time namespace"):
        Clock(path).now()
    with pytest.raises(UserError, match="time namespace"):
        SegmentWriter(path)


def test_a_wait_ends_with_the_callers_patience(live):
    _, reader = live
    with pytest.raises(StillAhead, match=r"after 0\.02 s: about .* more"):
        reader.wait_until_past(reader.now().latest_ns + 3600 * NS, timeout_s=0.02)


def test_no_read_is_torn_while_a_writer_writes_as_fast_as_it_can():
    """The short form of bench/segment_torture.py; every field of a bound follows from one of them."""
    done = subprocess.run(
        [sys.executable, TORTURE, "--seconds", "2", "--readers", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"torn": 0' in done.stdout
