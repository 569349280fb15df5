"""Texts of /proc: real ones are understood, others raise what callers expect and nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.processes.procfiles import (
    PID_LIMIT,
    parse_membership,
    parse_pid,
    parse_schedule,
    parse_stat,
)


def test_this_process_reads_itself():
    """Fields are where this kernel writes them."""
    stat = parse_stat(Path("/proc/self/stat").read_bytes())
    assert stat.state == "R"
    assert stat.threads >= 1
    assert stat.start_ticks > 0
    assert not stat.is_stopped
    assert not stat.is_ended
    assert parse_schedule(Path("/proc/self/schedstat").read_bytes()).run_ns > 0
    assert parse_membership(Path("/proc/self/cgroup").read_text())


def test_a_command_with_brackets_and_spaces_does_not_shift_the_fields():
    """A program may call itself anything."""
    fields = [b"T", *[str(number).encode() for number in range(4, 53)]]
    stat = parse_stat(b"7 (a) S 1 (b)) " + b" ".join(fields))
    assert stat.is_stopped
    assert (stat.major_faults, stat.threads, stat.start_ticks) == (12, 20, 22)


@pytest.mark.parametrize(("state", "threads", "ended"), [("Z", 1, True), ("Z", 2, False), ("X", 0, True)])
def test_a_zombie_leader_with_living_threads_has_not_ended(state, threads, ended):
    """The process goes on after its main thread."""
    fields = [b"0"] * 50
    fields[0], fields[17] = state.encode(), str(threads).encode()
    assert parse_stat(b"7 (x) " + b" ".join(fields)).is_ended is ended


@given(st.binary(max_size=300))
def test_any_bytes_are_understood_or_refused(text):
    """What a dying process leaves, or another kernel writes."""
    for parse in (parse_stat, parse_schedule, parse_pid):
        with contextlib.suppress(ValueError, IndexError):
            parse(text)
    with contextlib.suppress(ValueError):
        parse_membership(text.decode("utf-8", "replace"))


@given(st.integers(-(10**12), 10**12), st.sampled_from([b"", b"\n", b" trailing words"]))
def test_a_pid_file_holds_a_pid_that_linux_can_give(number, rest):
    """Others are refused: 0 and negative numbers mean groups to kill(2)."""
    text = str(number).encode() + rest
    if 0 < number <= PID_LIMIT:
        assert parse_pid(text) == number
    else:
        with pytest.raises(ValueError):
            parse_pid(text)
