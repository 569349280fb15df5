"""`truechimer now`: the contract's document, and exit 3 with status and reason without a bound."""

import json

import pytest

from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.readings import SystemClocks
from truechimer.segment import Published, SegmentWriter
from truechimer_cli.main import run
from truechimer_cli.upping.folder import Folder

KEYS = {"earliest", "latest", "wall", "lower_s", "upper_s", "status", "as_of_age_s", "reason"}


def publish(path, **changes):
    reading = SystemClocks().read()
    values = {
        "as_of_steady_ns": reading.wall_ns,
        "anchor_ns": reading.wall_ns - reading.raw_ns,
        "epoch": 1,
        "lower_ns": -1_000_000,
        "upper_ns": 2_000_000,
        "frequency_lower_ppb": -500_000,
        "frequency_upper_ppb": 500_000,
        "suspended_ns": reading.suspended_ns,
        "status": BoundStatus.SYNCHRONIZED,
        "reason": BoundReason.NONE,
        "leap": Leap.NONE,
    }
    with SegmentWriter(path) as writer:
        writer.write(Published(**(values | changes)))


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_document_is_the_contracts(runtime, capsys):
    publish(runtime / "clock")
    assert run(["now", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == KEYS
    assert document["earliest"] < document["wall"] < document["latest"]
    assert len(document["wall"]) == len("2026-11-22T20:00:00.000123456Z")
    assert document["lower_s"] < 0 < document["upper_s"]
    assert (document["status"], document["reason"]) == ("synchronized", None)


def test_a_bound_on_one_servers_word_says_so(runtime, capsys):
    publish(runtime / "clock", reason=BoundReason.SINGLE_SERVER)
    assert run(["now"]) == 0
    assert "single_server" in capsys.readouterr().out


@pytest.mark.parametrize("status", [BoundStatus.UNKNOWN, BoundStatus.DISRUPTED])
def test_without_a_trustworthy_bound_status_and_reason_are_still_printed(runtime, capsys, status):
    publish(runtime / "clock", status=status, reason=BoundReason.NO_MAJORITY)
    assert run(["now", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= KEYS
    assert (document["status"], document["reason"]) == (status.name.lower(), "no_majority")
    assert document["earliest"] is None
    assert document["wall"].endswith("Z")


def test_without_an_agent_it_says_how_to_start_one(runtime, capsys):
    assert run(["now"]) == 3
    told = capsys.readouterr()
    assert "no_agent" in told.out
    assert "truechimer up" in told.err


def test_config_names_the_runtime_folder_before_the_environment(runtime, tmp_path, capsys):
    publish(tmp_path / "elsewhere" / "clock")
    (tmp_path / "agent.toml").write_text(f'runtime_dir = "{tmp_path}/elsewhere"')
    assert run(["now", "--json", "--config", str(tmp_path / "agent.toml")]) == 0


def test_a_running_ups_segment_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TRUECHIMER_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TRUECHIMER_DATA_DIR", str(tmp_path / "data"))
    folder = Folder(tmp_path / "data")
    folder.hold()
    publish(folder.run / "clock")
    try:
        assert run(["now", "--json"]) == 0
    finally:
        folder.release()
    assert run(["now", "--json"]) == 3
