"""The meter's parsing and records: captured /proc texts, and any bytes at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.collectors.stalls import PACKAGES
from truechimer_agent.pauses import counters, meter
from truechimer_agent.pauses.records import MeterPause, MeterWindow, decode
from truechimer_agent.pauses.stalllog import StallLog

STAT = b"cpu  5227 0 2933 215858 331 0 48 8 0 0\ncpu0 1443 0 1136 109551 18 0 8 2 0 0\n"
OWN_STAT = (
    b"7949 (a) b (c) R 7937 7937 4747 0 -1 4194304 101 0 23 0 0 0 0 0 20 0 1 0 112456 3133440 394 1 2 3 4 0"
    b" 0 0 0 0 0 0 0 0 17 0 0 0 6 0 0 1 2 3 4 5 6 7 0\n"
)
PSI = (
    b"some avg10=0.10 avg60=0.09 avg300=0.09 total=2968208\nfull avg10=0.07 avg60=0 avg300=0 total=2805066\n"
)


def test_captured_texts_are_read_right():
    """Each with the unit that the kernel documents."""
    assert counters.parse_schedstat(b"20422778 179448 3\n") == (20422778, 179448)
    assert counters.parse_steal(STAT) == (8 * counters.TICK_NS,)
    assert counters.parse_io_wait(OWN_STAT) == (6 * counters.TICK_NS,)
    assert counters.parse_some(PSI) == (2_968_208_000,)
    assert counters.parse_throttled(b"usage_usec 5\nnr_throttled 2\nthrottled_usec 7\n") == (7000,)
    assert counters.parse_throttled(b"nr_periods 0\nthrottled_time 7\n") == (7,)
    assert counters.parse_frozen(b"frozen_usec 12\n") == (12000,)


def test_the_cgroup_is_sought_where_each_hierarchy_mounts_it():
    """The CPU controller's own (v1) before the unified one; a container's root last."""
    assert counters.cgroup_folders("2:cpuacct,cpu:/x\n0::/a/b\n") == [
        "/sys/fs/cgroup/cpuacct,cpu/x",
        "/sys/fs/cgroup/cpu/x",
        "/sys/fs/cgroup/cpu,cpuacct/x",
        "/sys/fs/cgroup/a/b",
        "/sys/fs/cgroup/unified/a/b",
        "/sys/fs/cgroup",
    ]


def test_quotas_of_groups_above_are_read_too_where_a_group_counts_only_its_own(tmp_path, monkeypatch):
    """cpu.stat up to the true root; where that is unseen, nothing, unless there is cpu.stat.local."""
    monkeypatch.setattr(counters, "MOUNTS", str(tmp_path))
    monkeypatch.setattr(counters.os.path, "ismount", lambda path: path == f"{tmp_path}/cpu")
    folder = tmp_path / "cpu" / "a" / "b"
    folder.mkdir(parents=True)
    groups = [folder, folder.parent, folder.parent.parent]
    for group in groups:
        (group / "cpu.stat").touch()
        (group / "cgroup.type").touch()
    absent = f"{tmp_path}/nowhere"
    assert counters.throttle_texts([absent]) == []
    assert counters.throttle_texts([absent, str(folder)]) == []
    (groups[-1] / "release_agent").touch()
    own = [f"{group}/cpu.stat" for group in groups]
    assert counters.throttle_texts([absent, str(folder)]) == own
    (groups[-1] / "release_agent").unlink()
    (folder / "cpu.stat.local").touch()
    assert counters.throttle_texts([str(folder)]) == [f"{folder}/cpu.stat.local", *own]


@given(st.binary(max_size=300))
def test_no_text_breaks_a_counter(text: bytes):
    """What cannot be parsed is absent, as is a file that is not there."""
    for parse, width in (
        (counters.parse_schedstat, 2),
        (counters.parse_steal, 1),
        (counters.parse_io_wait, 1),
        (counters.parse_some, 1),
        (counters.parse_throttled, 1),
        (counters.parse_frozen, 1),
    ):
        counter = counters.Counter(["/nonexistent"], parse, width)
        assert counter.read() == b""
        assert len(counter.parse(text)) == width


@given(st.one_of(st.binary(max_size=500), st.from_regex(rb"\A[PW]( (-?[0-9]{1,22}|-)){3,17}\Z")))
def test_any_line_is_a_record_or_a_decode_error(line: bytes):
    """Nothing else comes out of the decoder."""
    try:
        record = decode(line)
    except DecodeError:
        return
    assert isinstance(record, MeterPause | MeterWindow)


def test_records_come_back_as_they_were_written():
    """The meter's own writer and the agent's reader agree on every place."""
    reading, writing = os.pipe()
    output = meter.Output(writing)
    output.line("P", 1, 2, 3, 4, 5, 6, None, 8, 9, 20, 21, 10, 11, 12, 13, 1)
    output.line("W", 1, 2, 3, 4, 5)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        pause, window = [decode(line.rstrip(b"\n")) for line in file]
    assert window == MeterWindow(1, 2, 3, 4, 5)
    evidence = pause.evidence
    assert (pause.start_mono_ns, evidence.duration_ns, evidence.span_ns) == (1, 2, 3)
    assert (evidence.run_ns, evidence.run_delay_ns, evidence.throttled_ns) == (4, 5, 6)
    assert (evidence.frozen_ns, evidence.steal_ns, evidence.major_faults) == (None, 8, 9)
    assert (evidence.io_wait_ns, evidence.memory_stall_ns, evidence.io_stall_ns) == (10, 11, 12)
    assert (evidence.blocked, evidence.preempted) == (20, 21)
    assert (evidence.asleep_ns, evidence.continued) == (13, True)


def test_a_full_pipe_never_blocks_the_meter():
    """Records wait in memory up to a limit; what fits goes out when there is room again."""
    reading, writing = os.pipe()
    output = meter.Output(writing)
    for _ in range(200_000):
        output.line("W", 1, 2, 3, 4, 5)
    os.set_blocking(reading, False)
    written = os.read(reading, 1 << 20)
    output.flush()
    output.flush()
    written += os.read(reading, 1 << 20)
    written = written[: written.rindex(b"\n")]
    assert set(written.rstrip(b"\n").split(b"\n")) == {b"W 1 2 3 4 5"}
    os.close(reading)
    os.close(writing)


def test_an_unknown_option_is_refused():
    """With a message and a status, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", meter.COMMAND, PACKAGES, "--colour", "red"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "meter: unknown option --colour\n"


def test_the_meter_imports_nothing_heavy():
    """Neither typing nor the library: that is what keeps it small."""
    code = meter.COMMAND.replace("main(sys.argv[2:])", "print(*sys.modules)")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, PACKAGES], capture_output=True, text=True, check=True
    )
    assert not {"typing", "dataclasses", "asyncio", "re", "json", "truechimer"} & set(done.stdout.split())


class TestStallLog:
    def test_overlap_counts_and_touching_does_not(self):
        """A stall that ended when the probe began is not the probe's."""
        stalls = StallLog()
        stalls.add(100, 200)
        assert stalls.was_stalled(150, 160)
        assert stalls.was_stalled(0, 101)
        assert not stalls.was_stalled(200, 300)
        assert not stalls.was_stalled(0, 100)

    @given(
        st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100))),
        st.integers(0, 100),
        st.integers(0, 100),
    )
    def test_stalled_time_is_the_length_of_the_union(self, stretches, start, end):
        """Against counting every instant; what two observers noted counts once."""
        stalls = StallLog()
        for one, other in stretches:
            stalls.add(one, other)
        truth = sum(any(a <= t < b for a, b in stretches) for t in range(start, end))
        assert stalls.stalled_ns(start, end) == truth
        assert stalls.was_stalled(start, end) == (truth > 0) or start >= end


def test_the_written_limit_holds():
    """A reader that never reads costs the meter a megabyte at most."""
    reading, writing = os.pipe()
    output = meter.Output(writing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "PENDING_LIMIT_BYTES", 1000)
        for _ in range(10_000):
            output.line("W", 1, 2, 3, 4, 5)
    assert len(output._pending) < 1100
    os.close(reading)
    os.close(writing)
