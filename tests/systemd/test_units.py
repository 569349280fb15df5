"""The units as shipped: systemd takes every key, and the hardening holds what it promises."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None, reason="needs Debian's systemd (systemd-analyze)"
    ),
]

SHIPPED = Path(__file__).parents[2] / "systemd"
UNITS = sorted(path.name for path in SHIPPED.glob("*.service"))
GREATEST_EXPOSURE = 2.5


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0", "LC_ALL": "C"}
    return subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=60, check=False)


def copied(unit: str, directory: Path) -> Path:
    """The unit with an executable that exists here; nothing else changed."""
    text = (SHIPPED / unit).read_text()
    changed = text.replace("ExecStart=/usr/bin/truechimer ", "ExecStart=/bin/true ")
    assert changed != text
    copy = directory / unit
    copy.write_text(changed)
    return copy


def keys(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (SHIPPED / unit).read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def test_both_daemons_have_a_unit():
    assert UNITS == ["truechimer-agent.service", "truechimer-analyzer.service"]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_knows_every_key(unit: str, tmp_path: Path):
    """`verify` tells unknown keys on stderr only, with status 0: stderr must be empty."""
    done = run("systemd-analyze", "verify", "--man=no", str(copied(unit, tmp_path)))
    assert (done.returncode, done.stderr) == (0, "")


def test_verify_would_have_told_of_a_mistyped_key(tmp_path: Path):
    """The test above can fail."""
    copy = copied(UNITS[0], tmp_path)
    copy.write_text(copy.read_text().replace("WatchdogSec=", "WatchDogSeconds="))
    assert "WatchDogSeconds" in run("systemd-analyze", "verify", "--man=no", str(copy)).stderr


def test_the_drop_in_example_is_a_drop_in_that_systemd_takes(tmp_path: Path):
    copy = copied("truechimer-agent.service", tmp_path)
    folder = tmp_path / f"{copy.name}.d"
    folder.mkdir()
    for example in (SHIPPED / folder.name).glob("*.conf.example"):
        shutil.copy(example, folder / example.stem)
    assert sorted(path.name for path in folder.iterdir()) == [
        "clockbound.conf",
        "icmp.conf",
        "processes.conf",
    ]
    done = run("systemd-analyze", "verify", "--man=no", str(copy))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_low(unit: str):
    """The hardening as shipped scores at most 2.5 (of 10; unhardened daemons have 9.2)."""
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(SHIPPED / unit))
    assert done.returncode == 0, done.stderr
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert match, done.stdout
    print(f"{unit}: exposure {match[1]}")
    assert float(match[1]) <= GREATEST_EXPOSURE


def test_the_agent_may_read_adjtimex_and_set_no_clock():
    """ProtectClock would forbid the reading too, so the missing capability is what keeps the clock safe."""
    agent = keys("truechimer-agent.service")
    assert "ProtectClock" not in agent
    assert {"adjtimex", "clock_adjtime"} <= set(agent["SystemCallFilter"][-1].split())
    assert agent["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"]


def test_the_agent_may_ask_the_time_daemon():
    """Control messages need IP on loopback, busctl a Unix socket, chronyc and busctl a child."""
    agent = keys("truechimer-agent.service")
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(agent["RestrictAddressFamilies"][0].split())
    assert agent["SystemCallFilter"][0] == "@system-service"
    allowed = run("systemd-analyze", "syscall-filter", "@system-service").stdout.split()
    assert "@process" in allowed
    calls = set(run("systemd-analyze", "syscall-filter", "@process").stdout.split())
    assert {"vfork", "wait4", "pidfd_open"} <= calls


@pytest.mark.parametrize("unit", UNITS)
def test_a_wrong_configuration_is_not_tried_again_and_crashes_are_with_a_limit(unit: str):
    found = keys(unit)
    assert found["Type"] == ["notify"]
    assert found["Restart"] == ["on-failure"]
    assert found["RestartPreventExitStatus"] == ["2"]
    assert {"WatchdogSec", "StartLimitIntervalSec", "StartLimitBurst"} <= set(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give folders to other users")
def test_users_and_folders_come_into_being(tmp_path: Path):
    """sysusers and tmpfiles, run on an empty tree: the units' users and folders, each with its owner."""
    (tmp_path / "etc").mkdir()
    assert (
        run("systemd-sysusers", f"--root={tmp_path}", str(SHIPPED / "truechimer.sysusers.conf")).returncode
        == 0
    )
    passwd = (tmp_path / "etc/passwd").read_text().splitlines()
    users = {line.split(":")[0]: int(line.split(":")[2]) for line in passwd}
    assert {found for unit in UNITS for found in keys(unit)["User"]} <= set(users)
    done = run(
        "systemd-tmpfiles", f"--root={tmp_path}", "--create", str(SHIPPED / "truechimer.tmpfiles.conf")
    )
    assert (done.returncode, done.stderr) == (0, "")
    state = (tmp_path / "var/lib/truechimer/agent").stat()
    assert (state.st_uid, state.st_mode & 0o777) == (users["truechimer-agent"], 0o750)
    runtime = (tmp_path / "run/truechimer").stat()
    assert (runtime.st_uid, runtime.st_mode & 0o777) == (users["truechimer-agent"], 0o755)
