"""Cgroups of a watched process, v1 and v2, as trees of files."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.processes.cgroups import (
    Cgroup,
    CgroupGrowth,
    Places,
    parse_v1_frozen,
    parse_v2_frozen,
    places_of,
)
from truechimer_agent.processes.openfiles import OpenFiles
from truechimer_agent.processes.procfiles import parse_membership


def folder(root, path, **files):
    """A cgroup of files; ``__`` in a name is a dot."""
    made = root / path
    made.mkdir(parents=True, exist_ok=True)
    (made / "cgroup.procs").touch()
    for name, text in files.items():
        (made / name.replace("__", ".")).write_text(text)
    return made


def test_the_unified_hierarchy_is_found_at_the_root_or_beside_the_controllers_of_v1(tmp_path):
    """systemd's unified and hybrid layouts."""
    folder(tmp_path / "v2", "a/b")
    assert places_of({"": "/a/b"}, tmp_path / "v2").unified == (tmp_path / "v2/a/b", tmp_path / "v2/a")
    folder(tmp_path / "hybrid", "unified/a")
    assert places_of({"": "/a"}, tmp_path / "hybrid").unified == (tmp_path / "hybrid/unified/a",)


def test_controllers_of_v1_are_found_by_their_own_folder_or_the_joined_one(tmp_path):
    """cpu,cpuacct is one mount, with a link for each."""
    folder(tmp_path, "cpu,cpuacct/a")
    folder(tmp_path, "freezer/b")
    places = places_of({"cpu,cpuacct": "/a", "freezer": "/b", "cpuset": "/c"}, tmp_path)
    assert places == Places(cpu=(tmp_path / "cpu,cpuacct/a",), freezer=(tmp_path / "freezer/b",))


@pytest.mark.parametrize("path", ["/../other", "/a/../..", "/gone"])
def test_a_path_outside_this_namespace_or_gone_has_no_place(tmp_path, path):
    """It must not lead to another cgroup."""
    folder(tmp_path, "")
    folder(tmp_path, "a")
    assert places_of({"": path}, tmp_path) == Places()


def test_throttling_of_v1_is_that_of_the_cgroup_and_of_those_above(tmp_path):
    """In ns; a quota above throttles as well."""
    below = folder(tmp_path, "cpu/a/b", cpu__stat="throttled_time 100\n")
    above = folder(tmp_path, "cpu/a", cpu__stat="throttled_time 1000\n")
    cgroup = Cgroup(OpenFiles(10), places_of({"cpu": "/a/b"}, tmp_path))
    (below / "cpu.stat").write_text("throttled_time 150\n")
    (above / "cpu.stat").write_text("nr_periods 7\nthrottled_time 4000\n")
    assert cgroup.look() == CgroupGrowth(throttled_ns=3000)
    assert cgroup.look() == CgroupGrowth(throttled_ns=0, throttled_before_ns=3000)
    cgroup.close()


@pytest.mark.parametrize("name", ["cpu.stat", "cpu.stat.local"])
def test_throttling_of_v2_is_in_microseconds(tmp_path, name):
    """The local file counts what those above did, too."""
    made = folder(tmp_path, "a")
    (made / name).write_text("usage_usec 1\nthrottled_usec 5\n")
    cgroup = Cgroup(OpenFiles(0), places_of({"": "/a"}, tmp_path))
    (made / name).write_text("usage_usec 1\nthrottled_usec 12\n")
    assert cgroup.look().throttled_ns == 7000
    cgroup.close()


def test_freezing_and_pressure_of_v2(tmp_path):
    """frozen as it stands now; the counters by what they grew."""
    some = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 total=0\n"
    made = folder(
        tmp_path,
        "a",
        cgroup__events="populated 1\nfrozen 0\n",
        cgroup__stat__local="frozen_usec 3\n",
        memory__pressure=some.format(10),
        io__pressure=some.format(20),
    )
    cgroup = Cgroup(OpenFiles(10), places_of({"": "/a"}, tmp_path))
    assert cgroup.look() == CgroupGrowth(frozen_ns=0, memory_stall_ns=0, io_stall_ns=0)
    (made / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    (made / "cgroup.stat.local").write_text("frozen_usec 10\n")
    (made / "memory.pressure").write_text(some.format(11))
    (made / "io.pressure").write_text(some.format(25))
    assert cgroup.look() == CgroupGrowth(
        is_frozen=True, frozen_ns=7000, memory_stall_ns=1000, io_stall_ns=5000
    )
    cgroup.close()


def test_a_cgroup_that_is_removed_tells_nothing(tmp_path):
    """The process was moved, or ends; None is not 0."""
    made = folder(tmp_path, "a", cgroup__events="frozen 1\n", cgroup__stat__local="frozen_usec 3\n")
    files = OpenFiles(0)
    cgroup = Cgroup(files, places_of({"": "/a"}, tmp_path))
    shutil.rmtree(made)
    assert cgroup.look() == CgroupGrowth()
    cgroup.close()
    assert files.kept == 0


@given(st.binary(max_size=100))
def test_any_bytes_are_a_state_and_a_membership_or_refused(text):
    """Whatever a kernel of tomorrow writes."""
    assert parse_v1_frozen(text) in (True, False)
    assert parse_v2_frozen(text) in (True, False)
    with contextlib.suppress(ValueError):
        places_of(parse_membership(text.decode("utf-8", "replace")))


def test_freezing_is_not_frozen():
    """v1 says FREEZING while some task still runs."""
    assert parse_v1_frozen(b"FROZEN\n")
    assert not parse_v1_frozen(b"FREEZING\n")
