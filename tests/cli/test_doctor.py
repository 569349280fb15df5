"""`truechimer doctor`: every check says why it matters, and what fails says what to do."""

import json
import socket

import pytest

from truechimer_cli.doctor import host, installation
from truechimer_cli.main import run


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUECHIMER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


def test_the_document_is_the_contracts(quiet, capsys):
    assert run(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {"kernel_timestamps", "agent", "icmp", "python"} <= {check["check"] for check in checks}
    for check in checks:
        assert set(check) == {"check", "ok", "why", "fix"}
        assert check["why"]
        assert check["ok"] or check["fix"], check


def test_check_is_exit_1_while_no_agent_runs(quiet, capsys):
    assert run(["doctor", "--check"]) == 1
    assert "truechimer up" in capsys.readouterr().out


def test_the_kernels_stamps_come_over_loopback():
    assert host.kernel_timestamps().ok
    assert host.adjtimex().why
    assert host.steady_clock().why


def test_a_vm_clock_that_cannot_be_read_is_a_finding_with_its_fix(tmp_path):
    device = tmp_path / "vmclock0"
    assert host.vm_restores(device).ok
    device.write_bytes(b"no such page")
    check = host.vm_restores(device)
    assert not check.ok
    assert check.fix


@pytest.mark.parametrize(("name", "ok"), [("tsc", True), ("kvm-clock", True), ("hpet", False)])
def test_slow_clocksources_are_named(tmp_path, name, ok):
    path = tmp_path / "sys/devices/system/clocksource/clocksource0/current_clocksource"
    path.parent.mkdir(parents=True)
    path.write_text(name + "\n")
    found = host.clocksource(tmp_path)
    assert (found.ok, name in found.why) == (ok, True)


def test_what_the_kernel_lacks_is_said_with_a_fix(tmp_path):
    for look in (host.pressure, host.schedstat):
        found = look(tmp_path)
        assert not found.ok
        assert found.fix
    assert host.clocksource(tmp_path).ok


def test_a_port_is_free_or_says_who_has_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        taken.listen()
        found = installation.port("analyzer_port", "127.0.0.1", number, "truechimer-analyzer")
        assert not found.ok
        assert "another program" in found.why
    assert installation.port("analyzer_port", "127.0.0.1", number, "truechimer-analyzer").ok


def test_folders_that_cannot_be_written_are_named(tmp_path):
    assert installation.folder("state_dir", tmp_path / "a" / "b").ok
    (tmp_path / "file").write_text("")
    assert not installation.folder("state_dir", tmp_path / "file" / "b").ok


def test_a_wrong_configuration_is_exit_2(quiet, tmp_path, capsys):
    (tmp_path / "agent.toml").write_text("frob = 1")
    assert run(["doctor", "--config", str(tmp_path / "agent.toml")]) == 2
