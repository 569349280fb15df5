"""Readings come in tight sets, and the steady clock outlives restarts but not boots."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import TruechimerError
from truechimer.readings import (
    NS,
    Reading,
    SteadyClock,
    SystemClocks,
    boot_id,
    keep_steady_clock,
    mono_ns,
    monotonic_s,
    open_steady_clock,
    wall_ns,
)

READING = Reading(wall_ns=1_800_000_000 * NS, raw_ns=50 * NS, mono_ns=49 * NS, boot_ns=60 * NS, width_ns=300)


def test_a_reading_brackets_the_other_clocks():
    clocks = SystemClocks()
    before, reading, after = clocks.raw_ns(), clocks.read(), clocks.raw_ns()
    assert before <= reading.raw_ns <= after
    assert 0 <= reading.width_ns <= after - before
    assert reading.suspended_ns >= -reading.width_ns


def test_more_tries_never_give_a_wider_reading_than_each_could():
    assert SystemClocks(tries=1).read().width_ns >= 0
    assert min(SystemClocks(tries=20).read().width_ns for _ in range(5)) < NS


def test_the_single_clocks_advance():
    assert (monotonic_s(), mono_ns(), wall_ns()) <= (monotonic_s(), mono_ns(), wall_ns())


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**40))
def test_steady_time_is_raw_and_an_anchor(anchor, epoch):
    steady = SteadyClock(anchor, epoch)
    assert steady.at(READING.raw_ns) == READING.raw_ns + anchor
    assert steady.wall_minus_steady_ns(READING) == READING.wall_ns - READING.raw_ns - anchor
    assert steady.next_epoch() == SteadyClock(anchor, epoch + 1)


def test_a_new_steady_clock_begins_at_the_wall_clock(tmp_path):
    steady = open_steady_clock(tmp_path / "steady", READING, "boot-a")
    assert steady.at(READING.raw_ns) == READING.wall_ns
    assert steady.epoch == READING.wall_ns // NS


def test_a_restart_in_the_same_boot_goes_on(tmp_path):
    first = open_steady_clock(tmp_path / "steady", READING, "boot-a")
    stepped = replace(READING, wall_ns=READING.wall_ns + 3600 * NS, raw_ns=READING.raw_ns + NS)
    assert open_steady_clock(tmp_path / "steady", stepped, "boot-a") == first


def test_another_boot_is_another_epoch_with_its_own_anchor(tmp_path):
    first = open_steady_clock(tmp_path / "steady", READING, "boot-a")
    later = Reading(READING.wall_ns + 60 * NS, NS, 0, 0, 1)
    second = open_steady_clock(tmp_path / "steady", later, "boot-b")
    assert second.epoch == first.epoch + 1
    assert second.at(NS) == later.wall_ns


def test_epochs_begun_while_running_are_kept(tmp_path):
    path = tmp_path / "steady"
    steady = open_steady_clock(path, READING, "boot-a").next_epoch()
    keep_steady_clock(path, steady, "boot-a", READING.suspended_ns)
    assert open_steady_clock(path, READING, "boot-a") == steady


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"boot_id": "boot-a"}', json.dumps({"boot_id": 1, "epoch": "x"})]
)
def test_a_damaged_file_begins_an_epoch_that_never_was(tmp_path, damage):
    path = tmp_path / "steady"
    path.write_text(damage)
    steady = open_steady_clock(path, READING, "boot-a")
    assert steady.epoch == READING.wall_ns // NS
    assert open_steady_clock(path, READING, "boot-a") == steady


def test_bytes_that_are_no_text_are_damage_too(tmp_path):
    path = tmp_path / "steady"
    path.write_bytes(b"\xff\xfe\x00")
    assert open_steady_clock(path, READING, "boot-a").epoch == READING.wall_ns // NS


def test_a_folder_that_refuses_is_an_error_with_a_hint(tmp_path):
    with pytest.raises(TruechimerError) as caught:
        open_steady_clock(tmp_path / "missing" / "steady", READING, "boot-a")
    assert "state_dir" in (caught.value.hint or "")


def test_the_boot_has_a_name():
    assert boot_id() == boot_id() != ""
