"""The spool keeps order, bytes and promises, whatever happens to it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from truechimer.errors import UserError
from truechimer_agent.spool import Outbox, Spool, lock_state_dir

CAP = 1 << 20


class Boot:
    def __init__(self) -> None:
        self.ns = 1_000_000_000

    def __call__(self) -> int:
        return self.ns


def opened(path: Path, sinks=("a",), cap=CAP, boot_id="boot-1", boot=None, **more) -> Spool:
    return Spool.open(path, cap, sinks=sinks, boot_id=boot_id, boot_ns=boot or Boot(), **more)


def line(n: int, size: int = 0) -> bytes:
    return b"truechimer_kernel,cluster=c,node=%s status=%di %d\n" % (b"n" * (size + 1), n, 1_000 + n)


def all_lines(spool: Spool, cursor: int = 0) -> list[bytes]:
    found = []
    while batches := spool.after(cursor, 7):
        found += [batch.lines for batch in batches]
        cursor = batches[-1].batch_id
    return found


def test_batches_come_back_byte_for_byte_oldest_first(tmp_path):
    spool = opened(tmp_path / "s")
    sent = [line(n) for n in range(20)]
    assert all(spool.append(item, 1).durable for item in sent)
    assert all_lines(spool) == sent
    spool.close()
    assert all_lines(opened(tmp_path / "s")) == sent


def test_a_batch_goes_when_every_sink_has_it(tmp_path):
    spool = opened(tmp_path / "s", sinks=("a", "b"))
    spool.append_all([(line(n), 1) for n in range(3)])
    ids = [batch.batch_id for batch in spool.pending("a")]
    spool.acknowledge("a", ids[2])
    assert spool.stats().batches == 3
    spool.acknowledge("b", ids[1])
    assert spool.stats().batches == 1
    assert spool.pending("a") == []
    assert [b.lines for b in spool.pending("b")] == [line(2)]


def test_numbers_do_not_come_again_after_deletion_and_reopening(tmp_path):
    spool = opened(tmp_path / "s")
    spool.append(line(1), 1)
    first = spool.pending("a")[0].batch_id
    spool.acknowledge("a", first)
    spool.close()
    spool = opened(tmp_path / "s")
    spool.append(line(2), 1)
    assert spool.pending("a")[0].batch_id > first


def test_a_removed_sink_holds_nothing_back_and_a_new_one_starts_at_the_oldest(tmp_path):
    spool = opened(tmp_path / "s", sinks=("a", "gone"))
    spool.append_all([(line(n), 1) for n in range(4)])
    spool.acknowledge("a", 2)
    spool.close()
    spool = opened(tmp_path / "s", sinks=("a", "new"))
    assert [b.lines for b in spool.pending("a")] == [line(2), line(3)]
    assert [b.lines for b in spool.pending("new")] == [line(n) for n in range(4)]
    spool.acknowledge("new", 4)
    spool.acknowledge("a", 4)
    assert spool.stats().batches == 0


def test_the_cap_holds_the_file_drops_the_oldest_and_says_which(tmp_path):
    cap = 256 * 1024
    spool = opened(tmp_path / "s", cap=cap)
    sent = [line(n, 3000) for n in range(200)]
    lost = 0
    spans = []
    for item in sent:
        appended = spool.append(item, 1)
        lost += appended.given_up.samples
        if appended.given_up.batches:
            spans.append((appended.given_up.first_ns, appended.given_up.last_ns))
    assert (tmp_path / "s").stat().st_size <= cap
    assert lost > 0
    assert all_lines(spool) == sent[lost:]
    assert spans[0] == (1_000, 1_000)
    stats = spool.stats()
    assert (stats.dropped_samples_total, stats.dropped_span) == (lost, (1_000, 1_000 + lost - 1))
    spool.close()
    assert opened(tmp_path / "s", cap=cap).stats().dropped_samples_total == lost


def test_a_batch_above_the_cap_is_counted_not_kept(tmp_path):
    spool = opened(tmp_path / "s", cap=64 * 1024)
    appended = spool.append(line(1, 200_000), 1)
    assert appended.given_up.samples == 1
    assert spool.stats().batches == 0


def test_freed_pages_go_back_to_the_disk_a_few_at_a_time(tmp_path):
    spool = opened(tmp_path / "s", cap=32 << 20)
    spool.append_all([(line(n, 10_000), 1) for n in range(400)])
    spool.acknowledge("a", 399)
    for n in range(200):
        spool.append(line(n), 1)
        spool.acknowledge("a", 400 + n)
    spool.close()
    assert (tmp_path / "s").stat().st_size < 2 << 20


def test_age_counts_in_boot_time_and_is_unknown_for_another_boot(tmp_path):
    boot = Boot()
    spool = opened(tmp_path / "s", boot=boot)
    assert spool.stats().oldest_age_s is None
    spool.append(line(1), 1)
    boot.ns += 2_500_000_000
    assert spool.stats().oldest_age_s == 2.5
    spool.close()
    assert opened(tmp_path / "s", boot_id="boot-2").stats().oldest_age_s is None


@pytest.mark.parametrize("what", ["not a database", "newer", "foreign", "malformed"])
def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(tmp_path, what, caplog):
    path = tmp_path / "spool.sqlite"
    if what == "not a database":
        path.write_bytes(b"once upon a time " * 500)
    else:
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE batch (id INTEGER)")
        db.execute(f"PRAGMA user_version={99 if what == 'newer' else 0 if what == 'foreign' else 1}")
        db.commit()
        db.close()
    spool = opened(path)
    assert spool.append(line(1), 1).durable
    assert (tmp_path / "spool.sqlite.damaged-1").exists()
    assert "kept aside" in caplog.text
    assert all_lines(spool) == [line(1)]


def test_damage_found_while_running_costs_no_batch_that_is_appended_then(tmp_path):
    path = tmp_path / "spool.sqlite"
    spool = opened(path)
    spool.append_all([(line(n, 5000), 1) for n in range(50)])
    spool.close()
    with path.open("r+b") as file:
        for offset in range(4096, path.stat().st_size, 4096):
            file.seek(offset)
            file.write(b"\xff" * 4096)
    spool = opened(path)
    assert spool.append(line(77), 1).durable
    assert all_lines(spool)[-1] == line(77)
    assert (tmp_path / "spool.sqlite.damaged-1").exists()


class Disk:
    """Lets SQLite's commits fail as on a full disk: by capping the database's pages."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    def fill(self) -> None:
        db = self.spool._connected()
        self.spool._max_pages = 1 << 30
        count = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={count}")

    def free(self) -> None:
        self.spool._connected().execute("PRAGMA max_page_count=1000000")


def test_on_a_full_disk_batches_wait_in_memory_are_still_offered_and_written_later(tmp_path, caplog):
    spool = opened(tmp_path / "s")
    spool.append(line(0), 1)
    disk = Disk(spool)
    disk.fill()
    sent = [line(n, 9000) for n in range(1, 6)]
    results = [spool.append(item, 1) for item in sent]
    assert not any(result.durable for result in results)
    assert "full" in results[-1].trouble
    assert caplog.text.count("cannot be written") == 1
    assert [b.lines for b in spool.pending("a")] == [line(0), *sent]
    spool.acknowledge("a", spool.pending("a")[1].batch_id)
    assert all_lines(spool) == sent[1:]
    disk.free()
    assert spool.append_all([]).durable
    assert "can be written again" in caplog.text
    spool.close()
    assert all_lines(opened(tmp_path / "s")) == sent[1:]


def test_the_memory_of_a_full_disk_is_bounded_and_counts_what_it_gives_up(tmp_path):
    spool = opened(tmp_path / "s", memory_bytes=50_000)
    disk = Disk(spool)
    disk.fill()
    for n in range(10):
        spool.append(line(n, 9000), 1)
    lost = spool.stats().dropped_samples_total
    assert lost == 5
    disk.free()
    spool.append_all([])
    spool.close()
    reopened = opened(tmp_path / "s")
    assert reopened.stats().dropped_samples_total == lost
    assert all_lines(reopened) == [line(n, 9000) for n in range(5, 10)]


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("a small file system of its own needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full_loses_nothing_once_it_has_room(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    spool = opened(small_disk / "s", cap=1 << 28)
    sent = [line(n, 5000) for n in range(600)]
    durable = [spool.append(item, 1).durable for item in sent]
    assert durable[0]
    assert not durable[-1]
    spool.acknowledge("a", spool.pending("a", 300)[-1].batch_id)
    assert [b.lines for b in spool.pending("a", 1000)] == sent[300:]
    ballast.unlink()
    assert spool.append(line(600), 1).durable
    spool.close()
    reopened = opened(small_disk / "s", cap=1 << 28)
    assert all_lines(reopened) == [*sent[300:], line(600)]
    reopened.close()


def test_a_directory_where_the_file_should_be_is_trouble_not_a_crash(tmp_path):
    (tmp_path / "s").mkdir()
    spool = opened(tmp_path / "s")
    assert not spool.append(line(1), 1).durable
    assert spool.pending("a") == []
    (tmp_path / "s").rmdir()
    assert spool.append(line(2), 1).durable
    assert [b.lines for b in spool.pending("a")] == [line(1), line(2)]


CHILD = """
import sys
from pathlib import Path
from truechimer_agent.spool import Spool
spool = Spool.open(Path(sys.argv[1]), 1 << 24, sinks=("a",), boot_id="b", boot_ns=lambda: 1)
n = 0
while True:
    kept = spool.append(b"m,node=%s v=%di %d\\n" % (b"x" * 3000, n, n), 1)
    assert kept.durable
    print(n, flush=True)
    n += 1
"""


@pytest.mark.parametrize("after", [1, 7, 60])
def test_after_kill_9_every_batch_whose_append_returned_is_there(tmp_path, after):
    path = tmp_path / "s"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(after):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    returned = after + len(child.stdout.read().splitlines())
    child.wait()
    child.stdout.close()
    found = all_lines(opened(path))
    assert len(found) in (returned, returned + 1)
    assert [int(item.split()[-1]) for item in found] == list(range(len(found)))


def test_two_agents_cannot_share_a_state_directory(tmp_path):
    lock = lock_state_dir(tmp_path / "state")
    with pytest.raises(UserError, match=f"pid {os.getpid()}"):
        lock_state_dir(tmp_path / "state")
    lock.release()
    lock.release()
    lock_state_dir(tmp_path / "state").release()


def test_a_state_directory_that_cannot_be_made_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot use the state directory"):
        lock_state_dir(tmp_path / "file" / "state")


def test_the_outbox_commits_what_was_put_and_tells_the_shippers(tmp_path):
    kept = threading.Event()
    spool = opened(tmp_path / "s")
    outbox = Outbox(spool, kept.set)
    outbox.start()
    outbox.put(b"", 0)
    outbox.put(line(1), 1)
    assert kept.wait(10)
    outbox.put(line(2), 1)
    assert outbox.flush_and_close(10)
    assert outbox.kept_total == 2
    assert outbox.stats().batches == 2
    assert all_lines(spool) == [line(1), line(2)]


def test_the_outbox_bounds_its_queue_while_the_disk_hangs(tmp_path):
    outbox = Outbox(opened(tmp_path / "s"), lambda: None, queue_bytes=1000)
    for n in range(100):
        outbox.put(line(n), 1)
    stats = outbox.stats()
    assert 0 < stats.dropped_samples_total < 100
    assert stats.dropped_span == (1_000, 1_000 + stats.dropped_samples_total - 1)


class SpoolMachine(RuleBasedStateMachine):
    """Any order of appends, acknowledgements, kills and small caps loses only what is counted."""

    @initialize(cap=st.integers(16, 40))
    def begin(self, cap):
        import tempfile

        self.dir = Path(tempfile.mkdtemp())
        self.cap = cap * 4096
        self.generation = 0
        self.next = 0
        self.acknowledged = {"a": -1, "b": -1}
        self.spool = self.open()

    def open(self) -> Spool:
        return opened(self.dir / f"s{self.generation}", sinks=("a", "b"), cap=self.cap)

    @rule(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=4))
    def append(self, sizes):
        batches = []
        for size in sizes:
            batches.append((line(self.next, size), 1))
            self.next += 1
        assert self.spool.append_all(batches).durable

    @rule(sink=st.sampled_from("ab"), count=st.integers(1, 5))
    def acknowledge(self, sink, count):
        for batch in self.spool.pending(sink, count):
            number = int(batch.lines.split()[-1]) - 1000
            assert number > self.acknowledged[sink]
            self.acknowledged[sink] = number
            self.spool.acknowledge(sink, batch.batch_id)

    @rule()
    def kill(self):
        old = self.dir / f"s{self.generation}"
        self.generation += 1
        new = self.dir / f"s{self.generation}"
        for suffix in ("", "-wal"):
            source = old.with_name(old.name + suffix)
            if source.exists():
                shutil.copy(source, new.with_name(new.name + suffix))
        self.spool.close()
        self.spool = self.open()

    @rule()
    def restart(self):
        self.spool.close()
        self.spool = self.open()

    @invariant()
    def order_and_count(self):
        if not hasattr(self, "spool"):
            return
        numbers = [int(item.split()[-1]) - 1000 for item in all_lines(self.spool)]
        lost = self.spool.stats().dropped_samples_total
        floor = min(self.acknowledged.values()) + 1
        assert numbers == list(range(self.next - len(numbers), self.next))
        assert len(numbers) <= self.next - floor
        assert len(numbers) + lost >= self.next - floor
        assert lost == 0 or len(numbers) + lost <= self.next
        assert (self.dir / f"s{self.generation}").stat().st_size <= self.cap
        stats = self.spool.stats()
        assert (stats.batches, stats.bytes) == (
            len(numbers),
            sum(map(len, all_lines(self.spool))),
        )

    def teardown(self):
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.dir)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
