"""Which processes a section means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.config.model import ProcessConfig
from truechimer_agent.processes.selecting import PID_FILE_SLACK_NS, Facts, is_stale, selector_of

SERVICE = Facts({"": "/system.slice/db.service/worker"}, "db", ("/usr/bin/db", "--data", "/var/lib/db"))


@pytest.mark.parametrize(
    ("section", "is_meant"),
    [
        ({"unit": "db.service"}, True),
        ({"unit": "db"}, True),
        ({"unit": "d.service"}, False),
        ({"unit": "system.slice"}, True),
        ({"cgroup": "/system.slice/db.service"}, True),
        ({"cgroup": "system.slice/db.service/"}, True),
        ({"cgroup": "/sys/fs/cgroup/unified/system.slice"}, True),
        ({"cgroup": "/sys/fs/cgroup/system.slice"}, True),
        ({"cgroup": "/system.slice/db"}, False),
        ({"command": "db"}, True),
        ({"command": "d"}, False),
        ({"command": ".*--data /var/lib/db"}, True),
        ({"command": "--data"}, False),
    ],
)
def test_a_section_means_the_processes_that_it_names(section, is_meant):
    """By unit with or without suffix, cgroup and below, name, program and whole command line."""
    selector = selector_of(ProcessConfig(name="x", **section))
    assert selector(SERVICE) is is_meant


def test_a_unit_is_looked_for_where_systemd_keeps_units():
    """Under cgroup v1 that is its own hierarchy, not those of the controllers."""
    selector = selector_of(ProcessConfig(name="x", unit="db"))
    assert selector(Facts({"name=systemd": "/system.slice/db.service"}))
    assert not selector(Facts({"cpu,cpuacct": "/system.slice/db.service"}))


def test_a_cgroup_of_v1_is_found_by_its_folder_too():
    """As it is seen below /sys/fs/cgroup."""
    selector = selector_of(ProcessConfig(name="x", cgroup="/sys/fs/cgroup/freezer/jobs"))
    assert selector(Facts({"freezer": "/jobs/7"}))
    assert not selector(Facts({"cpu": "/jobs/7"}))


def test_a_pid_file_needs_no_selector():
    """It names its process itself."""
    assert selector_of(ProcessConfig(name="x", pid_file="/run/x.pid")) is None


DAYS = st.integers(0, 10**6 * 86_400_000_000)


@given(DAYS, DAYS, DAYS)
def test_a_pid_file_written_after_its_process_began_is_never_stale(process_ns, younger_ns, uptime_ns):
    """However long ago that was."""
    assert not is_stale(process_ns, max(0, process_ns - younger_ns), uptime_ns)


def test_a_pid_file_older_than_its_process_is_stale_unless_the_wall_clock_was_set_since():
    """A file that seems older than the boot was written under another wall clock."""
    old_ns = PID_FILE_SLACK_NS + 2
    assert is_stale(1, old_ns, old_ns)
    assert not is_stale(1, old_ns, old_ns - 1)
