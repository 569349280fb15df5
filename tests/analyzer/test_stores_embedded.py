"""The embedded store: what goes in comes out, exactly once, whatever happens to the process or the file."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer.errors import NothingThere, UserError
from truechimer.readings import Reading
from truechimer.samples import MEASUREMENTS, Sample
from truechimer_analyzer.stores import Batch, StoreBusy, StoreFailed, open_store
from truechimer_analyzer.stores.embedded import database as database_module
from truechimer_analyzer.stores.embedded import open_embedded, series, writing
from truechimer_analyzer.stores.embedded.arrival import ArrivalClock
from truechimer_analyzer.stores.embedded.rows import distinct

NS = 1_000_000_000
FAR_NS = 4_000_000_000 * NS


def sample(time_ns=1, node="a", measurement="truechimer_kernel", tags=None, **fields):
    return Sample(
        measurement,
        {"cluster": "c", "node": node, **(tags or {})},
        fields or {"offset_seconds": 0.5},
        time_ns,
    )


def batch(*samples):
    return Batch(hashlib.sha256(repr(samples).encode()).digest(), samples)


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"embedded:{tmp_path}")
    yield opened
    opened.close()


class Clocks:
    """Clocks that tests set."""

    def __init__(self, wall_ns, boot_ns=0):
        self.wall_ns, self.boot_ns = wall_ns, boot_ns

    def read(self):
        return Reading(self.wall_ns, self.boot_ns, self.boot_ns, self.boot_ns, 0)

    def raw_ns(self):
        return self.boot_ns


def test_fields_come_back_as_sent_and_null_where_absent(store):
    """Floats, integers and codes come back as float64; an absent field is NaN, an absent zone empty."""
    store.write(batch(sample(1, status=64), sample(2, offset_seconds=-1e-9, leap=3), sample(3, "b", leap=0)))
    got = store.samples("truechimer_kernel", ["status", "offset_seconds", "leap"], 0, FAR_NS)
    assert got.time_ns.tolist() == [1, 2, 3]
    assert got.time_ns.dtype == got.received_ns.dtype == np.int64
    assert got.tags["node"].tolist() == ["a", "a", "b"]
    assert got.tags["zone"].tolist() == ["", "", ""]
    np.testing.assert_array_equal(got.fields["status"], [64, np.nan, np.nan])
    np.testing.assert_array_equal(got.fields["offset_seconds"], [np.nan, -1e-9, np.nan])
    np.testing.assert_array_equal(got.fields["leap"], [np.nan, 3, 0])
    assert {column.dtype for column in got.fields.values()} == {np.dtype(np.float64)}


def test_every_declared_measurement_round_trips(store):
    """Each table takes each of its fields and tags."""
    for measurement in MEASUREMENTS.values():
        fields = {f.name: (7 if f.kind == "int" else 0.25) for f in measurement.fields}
        tags = {"zone": "z", **{tag: f"{tag}=1, ü" for tag in measurement.tags}}
        store.write(batch(sample(9, "n", measurement.name, tags, **fields)))
        got = store.samples(measurement.name, fields, 0, FAR_NS)
        assert {name: column[0] for name, column in got.fields.items()} == fields
        assert {name: column[0] for name, column in got.tags.items()} == {"cluster": "c", "node": "n", **tags}


def test_window_nodes_cluster_and_tags_select(store):
    """since is included, until left out; nodes, cluster and tags narrow."""
    store.write(batch(*(sample(t, n) for t in (10, 20, 30) for n in "ab")))
    got = store.samples("truechimer_kernel", ["offset_seconds"], 10, 30, nodes=["b"])
    assert list(zip(got.time_ns.tolist(), got.tags["node"].tolist(), strict=True)) == [(10, "b"), (20, "b")]
    assert store.count("truechimer_kernel", 0, 100) == 6
    assert store.count("truechimer_kernel", 0, 100, cluster="other") == 0
    assert store.count("truechimer_kernel", 0, 100, tags={"zone": ""}) == 6
    assert store.count("truechimer_kernel", 0, 100, nodes=[]) == 0
    assert store.count("truechimer_kernel", 0, 100, nodes=["a' OR 1=1 --"]) == 0


def test_unknown_names_are_refused_with_the_known_ones(store):
    """A measurement, field or tag that does not exist is the user's error and reaches no SQL."""
    for call in (
        lambda: store.samples("nope", [], 0, 1),
        lambda: store.samples("truechimer_kernel", ["x; DROP TABLE meta"], 0, 1),
        lambda: store.latest("truechimer_kernel", [], tags={"server": "s"}),
        lambda: store.distribution("truechimer_kernel", "leap", ["server"], 0, 1),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert "known: " in caught.value.hint


def test_latest_goes_by_arrival_not_by_stamp(store):
    """A node whose clock was set back is latest with what came last."""
    store.write(batch(sample(1000, offset_seconds=1.0)))
    store.write(batch(sample(10, offset_seconds=2.0), sample(11, offset_seconds=3.0)))
    store.write(batch(sample(5, "b", offset_seconds=4.0)))
    got = store.latest("truechimer_kernel", ["offset_seconds"])
    assert got.tags["node"].tolist() == ["a", "b"]
    assert got.fields["offset_seconds"].tolist() == [3.0, 4.0]
    assert len(store.latest("truechimer_kernel", [], received_since_ns=store.now_ns())) == 0
    assert got.received_ns[0] < got.received_ns[1]


def test_distribution_is_of_observed_values_by_group(store):
    """Quantiles are values that occurred; points without the field are counted apart."""
    rows = [
        sample(i, "a", "truechimer_rtt", {"peer": "p", "via": "tcp"}, outcome=0, rtt_seconds=i / 1000)
        for i in range(1, 101)
    ]
    lost = sample(500, "a", "truechimer_rtt", {"peer": "p", "via": "tcp"}, outcome=1)
    only_lost = sample(500, "b", "truechimer_rtt", {"peer": "p", "via": "tcp"}, outcome=1)
    store.write(batch(*rows, lost, only_lost))
    a, b = store.distribution(
        "truechimer_rtt", "rtt_seconds", ["node", "peer"], 0, FAR_NS, quantiles=(0.5, 0.99)
    )
    assert (a.group, a.count, a.missing, a.min, a.max) == (("a", "p"), 100, 1, 0.001, 0.1)
    assert a.quantiles == {0.5: 0.05, 0.99: 0.099}
    assert (b.count, b.missing) == (0, 1)
    assert np.isnan([b.min, b.mean, b.max, *b.quantiles.values()]).all()


def test_buckets_keep_extremes(store):
    """Thinning keeps the least of lower and the greatest of upper, per series."""
    store.write(
        batch(
            *(
                sample(t, n, "truechimer_bound", None, lower_seconds=-float(t), upper_seconds=float(t))
                for t in range(100)
                for n in "ab"
            )
        )
    )
    got = store.buckets(
        "truechimer_bound", {"lower_seconds": "min", "upper_seconds": "max"}, 0, 100, width_ns=50, nodes=["b"]
    )
    assert got.time_ns.tolist() == [49, 99]
    assert got.fields["lower_seconds"].tolist() == [-49, -99]
    assert got.fields["upper_seconds"].tolist() == [49, 99]
    assert len(store.buckets("truechimer_bound", {"lower_seconds": "avg"}, 0, 100, width_ns=1)) == 200


def test_nodes_are_listed_with_first_and_last_arrival(store):
    """Every node of any measurement, with its newest zone."""
    store.write(batch(sample(1, "b", tags={"zone": "z1"})))
    store.write(
        batch(sample(2, "b", tags={"zone": "z2"}), sample(2, "a", "truechimer_clock", wall_rate_ppm=0.0))
    )
    a, b = store.nodes()
    assert (a.cluster, a.node, a.zone) == ("c", "a", "")
    assert (b.node, b.zone) == ("b", "z2")
    assert b.first_received_ns < b.last_received_ns == a.last_received_ns


def test_known_batch_is_acknowledged_and_not_stored_again(store, tmp_path):
    """Also within one group commit, and after the store was opened anew."""
    one = batch(sample(1), sample(2))
    futures = [store.submit(one) for _ in range(20)]
    written = [future.result() for future in futures]
    assert [w.rows for w in written if not w.duplicate] == [2]
    assert store.count("truechimer_kernel", 0, 100) == 2
    store.close()
    again = open_store(f"embedded:{tmp_path}")
    assert again.write(one).duplicate
    assert again.count("truechimer_kernel", 0, 100) == 2
    again.close()


identities = st.builds(
    sample,
    st.integers(0, 3),
    st.sampled_from("ab"),
    st.just("truechimer_kernel"),
    st.sampled_from([None, {"zone": "z"}]),
    offset_seconds=st.floats(allow_nan=False, allow_infinity=False),
)


@given(st.lists(identities))
@settings(max_examples=100)
def test_one_identity_in_a_batch_is_one_row(samples):
    """Of equal (measurement, tags, time) the last given is kept, and nothing else is lost."""
    kept = distinct(samples)
    keys = [(s.time_ns, tuple(sorted(s.tags.items()))) for s in kept]
    last = {(s.time_ns, tuple(sorted(s.tags.items()))): s for s in samples}
    assert len(keys) == len(set(keys))
    assert dict(zip(keys, kept, strict=True)) == last


def test_retain_deletes_by_arrival_and_keeps_hashes(store):
    """Rows go by when they arrived; a hash outlives its rows, so that a late replay is still known."""
    old = batch(sample(FAR_NS - 1, "old"))
    store.write(old)
    boundary = store.now_ns() + 1
    while store.now_ns() < boundary:
        pass
    store.write(batch(sample(1, "new")))
    assert store.retain(boundary) == 1
    assert [n.node for n in store.nodes()] == ["new"]
    assert store.write(old).duplicate


def test_subscribers_hear_of_each_commit(store):
    """Who subscribed learns rows, nodes and duplicates of a transaction."""
    heard = []
    store.subscribe(heard.append)
    store.write(batch(sample(1, "a"), sample(1, "b")))
    store.write(batch(sample(1, "a"), sample(1, "b")))
    store.close()
    assert [(c.rows, c.batches, c.duplicates) for c in heard] == [(2, 1, 0), (0, 1, 1)]
    assert heard[0].nodes == {("c", "a"), ("c", "b")}


def test_concurrent_writers_and_readers(store):
    """Eight writers at once lose nothing, share transactions, and readers never see a part of a batch."""
    heard, torn = [], []
    store.subscribe(heard.append)
    done = threading.Event()

    def write(name):
        for i in range(25):
            store.write(batch(*(sample(i * 10 + k, name) for k in range(10))))

    def read():
        while not done.is_set():
            if store.count("truechimer_kernel", 0, FAR_NS) % 10:
                torn.append(True)

    writers = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(8)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert store.count("truechimer_kernel", 0, FAR_NS) == 2000
    assert not torn
    assert sum(c.rows for c in heard) == 2000
    assert len(heard) < 200


def test_too_much_waiting_is_refused(store, monkeypatch):
    """Beyond the queue's limit a writer is told to come back; nothing that was taken is lost."""
    monkeypatch.setattr(writing, "WAITING_BATCHES", 0)
    with pytest.raises(StoreBusy):
        store.submit(batch(sample()))
    monkeypatch.undo()
    assert store.write(batch(sample())).rows == 1


def test_a_failing_commit_stores_nothing_and_the_next_succeeds(store, monkeypatch):
    """When the engine refuses, each sender hears it, and the batch can be sent again."""
    real = writing.insert

    def refuse(connection, batches, received_ns):
        real(connection, batches, received_ns)
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(writing, "insert", refuse)
    with pytest.raises(StoreFailed, match="No space left"):
        store.write(batch(sample(1)))
    monkeypatch.setattr(writing, "insert", real)
    written = store.write(batch(sample(1)))
    assert (written.rows, written.duplicate) == (1, False)
    assert store.count("truechimer_kernel", 0, FAR_NS) == 1


def test_the_writer_opens_the_database_anew_when_the_engine_gave_it_up(store, monkeypatch):
    """A fatal error of the engine costs one answer, not the store."""
    real = writing.insert

    def fatal(connection, batches, received_ns):
        raise duckdb.FatalException("database has been invalidated")

    store.write(batch(sample(1)))
    monkeypatch.setattr(writing, "insert", fatal)
    with pytest.raises(StoreFailed):
        store.write(batch(sample(2)))
    monkeypatch.setattr(writing, "insert", real)
    assert store.write(batch(sample(2))).rows == 1
    assert store.count("truechimer_kernel", 0, FAR_NS) == 2
    store.check()


def test_the_writer_outlives_a_database_that_cannot_be_opened_again(store, monkeypatch):
    """While the file is held by another each sender hears it and health tells; then all goes on."""
    store.write(batch(sample(1)))
    real = database_module._connect

    def held(path, *, read_only):
        raise UserError("the store is in use by another process")

    def fatal(connection, batches, received_ns):
        raise duckdb.FatalException("database has been invalidated")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "insert", fatal)
        with pytest.raises(StoreFailed):
            store.write(batch(sample(2)))
    monkeypatch.setattr(database_module, "_connect", held)
    for _ in range(2):
        with pytest.raises(StoreFailed, match="in use by another process"):
            store.submit(batch(sample(2))).result(timeout=20)
    with pytest.raises(StoreFailed):
        store.check()
    with pytest.raises(StoreFailed, match="in use by another process"):
        store.retain(0)
    monkeypatch.setattr(database_module, "_connect", real)
    assert store.write(batch(sample(2))).rows == 1
    store.check()


def test_a_failing_listener_stops_neither_the_writer_nor_the_others(store, caplog):
    """What is stored is acknowledged; the failure is logged."""
    heard = []

    def broken(commit):
        raise RuntimeError("broken listener")

    store.subscribe(broken)
    store.subscribe(heard.append)
    for t in (1, 2):
        assert store.submit(batch(sample(t))).result(timeout=20).rows == 1
    store.close()
    assert len(heard) == 2
    assert "broken listener" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_ended_is_told_to_everybody(store, monkeypatch):
    """Should the thread end all the same: who waits, who comes, and health hear it; nobody waits for ever."""

    def end(self, group):
        raise SystemExit

    monkeypatch.setattr(writing.Writer, "_commit", end)
    future = store.submit(batch(sample(1)))
    with pytest.raises(StoreFailed):
        future.result(timeout=20)
    store._writer._thread.join(20)
    for ask in (lambda: store.submit(batch(sample(2))), store.check, lambda: store.retain(0)):
        with pytest.raises(StoreFailed, match="writer has ended"):
            ask()


def test_rows_that_wait_are_bounded_with_those_that_come(store, monkeypatch):
    """A batch that would exceed the bound is told to come back, unless nothing else waits."""
    monkeypatch.setattr(writing, "WAITING_ROWS", 3)
    hold, begun = threading.Event(), threading.Event()
    real = writing.insert

    def slow(connection, batches, received_ns):
        begun.set()
        assert hold.wait(20)
        return real(connection, batches, received_ns)

    monkeypatch.setattr(writing, "insert", slow)
    futures = [store.submit(batch(*(sample(t) for t in range(10))))]
    assert begun.wait(20)
    futures.append(store.submit(batch(sample(20), sample(21))))
    with pytest.raises(StoreBusy):
        store.submit(batch(sample(30), sample(31)))
    futures.append(store.submit(batch(sample(40))))
    hold.set()
    assert [future.result(timeout=20).rows for future in futures] == [10, 2, 1]


def test_known_nodes_are_the_same_after_opening_anew(tmp_path):
    """What the writer kept up to date is what the tables say."""
    store = open_store(f"embedded:{tmp_path}")
    store.write(batch(sample(1, "b", tags={"zone": "z1"}), sample(1, "a")))
    store.write(batch(sample(2, "b"), sample(3, "c", "truechimer_clock", wall_rate_ppm=0.0)))
    kept = store.nodes()
    store.close()
    store = open_store(f"embedded:{tmp_path}")
    assert store.nodes() == kept
    assert [(node.node, node.zone) for node in kept] == [("a", ""), ("b", "z1"), ("c", "")]
    store.close()


def test_a_closed_store_says_so(tmp_path):
    """After close nothing is accepted, and closing again is no error."""
    store = open_store(f"embedded:{tmp_path}")
    store.close()
    with pytest.raises(StoreFailed):
        store.write(batch(sample()))
    with pytest.raises(StoreFailed):
        store.check()
    store.close()


def test_second_opener_is_told_who_holds_it(store, tmp_path):
    """In this process and in another; for writing and for reading."""
    with pytest.raises(UserError, match=f"in use by another process .PID {os.getpid()}"):
        open_store(f"embedded:{tmp_path}")
    code = (
        "import sys; from truechimer_analyzer.stores import open_store\n"
        "from truechimer.errors import UserError\n"
        "for read_only in (False, True):\n"
        "    try: open_store(sys.argv[1], read_only=read_only)\n"
        "    except UserError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, f"embedded:{tmp_path}"], capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.count(f"in use by another process (PID {os.getpid()})") == 2, ran.stderr


def test_reading_only(tmp_path):
    """A store can be read without its analyzer; what is not there is said; writing is refused."""
    with pytest.raises(NothingThere):
        open_store(f"embedded:{tmp_path}/none", read_only=True)
    store = open_store(f"embedded:{tmp_path}")
    store.write(batch(sample()))
    store.close()
    reader = open_store(f"embedded:{tmp_path}", read_only=True)
    assert reader.count("truechimer_kernel", 0, FAR_NS) == 1
    with pytest.raises(StoreFailed):
        reader.write(batch(sample(2)))
    reader.close()


@pytest.mark.parametrize("damage", ["nonsense", "empty", "header"])
def test_damaged_file_is_kept_aside_and_a_new_one_begun(tmp_path, damage, caplog):
    """Whatever lies there: the analyzer goes on, nothing is deleted, and the log says it loudly."""
    store = open_store(f"embedded:{tmp_path}")
    store.write(batch(sample()))
    store.close()
    path = tmp_path / database_module.FILE
    data = bytearray(path.read_bytes())
    data = {"nonsense": b"nonsense" * 2000, "empty": b"", "header": data[:100] + bytes(12000) + data[12100:]}[
        damage
    ]
    path.write_bytes(data)
    store = open_store(f"embedded:{tmp_path}")
    assert store.write(batch(sample())).rows == 1
    store.close()
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == data
    assert "kept aside" in caplog.text


def test_newer_schema_is_refused_and_untouched(tmp_path):
    """A file of a newer program is not written to."""
    open_store(f"embedded:{tmp_path}").close()
    with duckdb.connect(str(tmp_path / database_module.FILE)) as connection:
        connection.execute("UPDATE meta SET value = '999'")
    with pytest.raises(UserError, match="schema version 999"):
        open_store(f"embedded:{tmp_path}")
    assert not list(tmp_path.glob("*.damaged-*"))


def test_older_schema_is_migrated_after_a_copy(tmp_path, monkeypatch):
    """Each step runs once; the file as it was stays beside it."""
    store = open_store(f"embedded:{tmp_path}")
    store.write(batch(sample()))
    store.close()
    monkeypatch.setattr(database_module, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(
        database_module, "MIGRATIONS", {1: lambda c: c.execute("CREATE TABLE added (x INTEGER)") and None}
    )
    store = open_store(f"embedded:{tmp_path}")
    assert store.count("truechimer_kernel", 0, FAR_NS) == 1
    store.close()
    with duckdb.connect(str(tmp_path / f"{database_module.FILE}.schema-1"), read_only=True) as copy:
        assert database_module.schema_version(copy) == 1
    with duckdb.connect(str(tmp_path / database_module.FILE), read_only=True) as migrated:
        assert database_module.schema_version(migrated) == 2
        assert "added" in database_module.present_columns(migrated)


def test_new_fields_and_tables_are_added_and_read_as_null_before(tmp_path):
    """A file from before a field or measurement was declared is read as it is, and completed when owned."""
    store = open_store(f"embedded:{tmp_path}")
    store.write(batch(sample(1, offset_seconds=1.0, leap=1)))
    store.close()
    with duckdb.connect(str(tmp_path / database_module.FILE)) as connection:
        connection.execute("ALTER TABLE truechimer_kernel DROP COLUMN leap")
        connection.execute("DROP TABLE truechimer_fsync")
    reader = open_store(f"embedded:{tmp_path}", read_only=True)
    assert np.isnan(reader.samples("truechimer_kernel", ["leap"], 0, 9).fields["leap"]).all()
    assert len(reader.samples("truechimer_fsync", ["outcome"], 0, 9)) == 0
    assert reader.distribution("truechimer_kernel", "leap", ["node"], 0, 9) == []
    reader.close()
    store = open_store(f"embedded:{tmp_path}")
    store.write(batch(sample(2, leap=2)))
    np.testing.assert_array_equal(
        store.samples("truechimer_kernel", ["leap"], 0, 9).fields["leap"], [np.nan, 2]
    )
    store.close()


def test_addresses(tmp_path):
    """What is no address, or not built, is the user's error with what to write instead."""
    for address in ("", "embedded:", "influxdb://x", "prometheus://x", "duckdb"):
        with pytest.raises(UserError) as caught:
            open_store(address)
        assert "embedded:DIR" in caught.value.hint
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot keep a store"):
        open_store(f"embedded:{tmp_path}/file")


def test_arrival_never_steps_back_whatever_the_wall_clock_does():
    """Setting the host's clock moves no stamp; equal instants get distinct stamps."""
    clocks = Clocks(wall_ns=1000 * NS, boot_ns=50)
    clock = ArrivalClock(clocks, None)
    assert clock.now_ns() == 1000 * NS
    clocks.wall_ns = 5
    assert clock.next_ns() == 1000 * NS + 1
    assert clock.next_ns() == 1000 * NS + 2
    clocks.boot_ns += NS
    assert clock.now_ns() == 1001 * NS


def test_arrival_bridges_a_small_step_between_runs_only():
    """Begun a little before the last arrival: go on after it; begun far before: trust this run's clock."""
    assert ArrivalClock(Clocks(1000 * NS), 1030 * NS).now_ns() == 1030 * NS + 1
    far = ArrivalClock(Clocks(1000 * NS), 5000 * NS)
    assert far.now_ns() == 1000 * NS
    assert far.set_back_ns == 4000 * NS


def test_rows_from_a_run_whose_clock_was_ahead_do_not_hide_the_newest(tmp_path):
    """What arrived in the future (a wrong wall clock, mended since) is not latest."""
    store = open_embedded(tmp_path, clocks=Clocks(9000 * NS))
    store.write(batch(sample(1, offset_seconds=1.0)))
    store.close()
    store = open_embedded(tmp_path, clocks=Clocks(1000 * NS))
    store.write(batch(sample(2, offset_seconds=2.0)))
    assert store.latest("truechimer_kernel", ["offset_seconds"]).fields["offset_seconds"].tolist() == [2.0]
    store.close()


KILLED = """
import hashlib, sys
from truechimer.samples import Sample
from truechimer_analyzer.stores import Batch, open_store
store = open_store(sys.argv[1])
first = int(sys.argv[2])
print("open", flush=True)
for i in range(first, first + 100000):
    tags = {"cluster": "c", "node": "a"}
    times = range(i * 100, i * 100 + 100)
    samples = [Sample("truechimer_kernel", tags, {"offset_seconds": 0.0}, t) for t in times]
    store.write(Batch(hashlib.sha256(b"%d" % i).digest(), samples))
    print(i, flush=True)
"""


def test_kill_loses_nothing_acknowledged(tmp_path):
    """Killed in mid-write three times: every acknowledged batch is there, once and whole."""
    acknowledged = set()
    for first in (0, 100_000, 200_000):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, f"embedded:{tmp_path}", str(first)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "open\n"
        for _ in range(30):
            acknowledged.add(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        acknowledged |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        process.wait()
        process.stdout.close()
    store = open_store(f"embedded:{tmp_path}")
    times = store.samples("truechimer_kernel", [], 0, FAR_NS).time_ns
    store.close()
    assert len(times) == len(np.unique(times))
    numbers, counts = np.unique(times // 100, return_counts=True)
    assert set(counts.tolist()) == {100}
    assert acknowledged <= set(numbers.tolist())


@st.composite
def told_apart(draw):
    """Samples of a few series in any order of time, some with a zone, a field left out, or a time twice."""
    count = draw(st.integers(0, 60))
    return [
        sample(
            draw(st.integers(0, 50)),
            draw(st.sampled_from(["a", "b", "ü"])),
            tags=draw(st.sampled_from([{}, {"zone": "z"}])),
            **draw(st.sampled_from([{"leap": 1}, {"offset_seconds": 0.25 + n}])),
        )
        for n in range(count)
    ]


@settings(max_examples=25)
@given(told_apart(), st.integers(1, 20), st.integers(0, 50), st.integers(0, 50))
def test_series_are_the_rows_told_apart_however_few_are_read_at_once(samples, at_once, since, until):
    """By node only: zones fall together; each in order of time; only the window's rows."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "ROWS_AT_ONCE", at_once)
        store = open_store(f"embedded:{folder}")
        for half in (samples[::2], samples[1::2]):
            store.write(batch(*half))
        fields = ("offset_seconds", "leap")
        rows = store.samples("truechimer_kernel", fields, since, until)
        found = store.tally("truechimer_kernel", ("cluster", "node"), since, until)
        assert [each.key for each in found] == sorted({("c", node) for node in rows.tags["node"]})
        got = list(store.series("truechimer_kernel", fields, ("cluster", "node"), found, since, until))
        assert [each.key for each in got] == [each.key for each in found]
        for tallied, each in zip(found, got, strict=True):
            own = rows.tags["node"] == each.key[1]
            assert each.time_ns.tolist() == rows.time_ns[own].tolist()
            assert (tallied.rows, tallied.first_ns, tallied.last_ns) == (
                own.sum(),
                each.time_ns[0],
                each.time_ns[-1],
            )
            for name in fields:
                assert sorted(each.fields[name], key=str) == pytest.approx(
                    sorted(rows.fields[name][own], key=str), nan_ok=True
                )
                assert each.fields[name].dtype == np.float64
        store.close()


def test_series_that_nobody_reads_to_the_end_let_the_store_close(store):
    """An answer that is given up leaves no query behind."""
    store.write(batch(*(sample(at, f"n{at % 7}") for at in range(70))))
    found = store.tally("truechimer_kernel", ("node",), 0, FAR_NS)
    reading = store.series("truechimer_kernel", ("leap",), ("node",), found, 0, FAR_NS)
    assert next(reading).key == ("n0",)
    reading.close()
    with pytest.raises(UserError, match="has no tag"):
        store.tally("truechimer_kernel", ("peer",), 0, 1)
