"""`truechimer wait`: commit wait on the command line, and why it ended otherwise."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from cli.test_now import publish
from hypothesis import given
from hypothesis import strategies as st

from truechimer import clock
from truechimer.codes import BoundReason, BoundStatus
from truechimer.errors import UserError
from truechimer.readings import NS, SystemClocks
from truechimer_cli.amounts import iso
from truechimer_cli.commands.wait import unix_ns
from truechimer_cli.main import run


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", str(tmp_path))
    publish(tmp_path / "clock", lower_ns=-5_000_000, upper_ns=5_000_000)
    return tmp_path


@pytest.mark.parametrize("words", [[], ["--past", "now"]])
def test_it_waits_out_the_width_of_the_interval(runtime, capsys, words):
    before = clock.now()
    assert run(["wait", *words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert unix_ns(document["until"]) >= before.latest_ns
    assert document["earliest"] > document["until"]
    assert document["waited_s"] > 0.009
    assert (document["status"], document["reason"]) == ("synchronized", None)
    assert clock.now().after(before.latest_ns)


def test_a_time_that_is_past_already_needs_no_wait(runtime, capsys):
    assert run(["wait", "--until", "2026-01-01"]) == 0
    assert "past      2026-01-01T00:00:00.000000000Z" in capsys.readouterr().out


def test_a_time_ahead_is_waited_for(runtime, capsys):
    ahead_ns = SystemClocks().read().wall_ns + 50_000_000
    assert run(["wait", "--until", iso(ahead_ns), "--json"]) == 0
    assert unix_ns(json.loads(capsys.readouterr().out)["earliest"]) > ahead_ns


def test_the_timeout_ends_it_with_4_and_says_how_much_longer(runtime, capsys):
    assert run(["wait", "--until", "2100-01-01", "--timeout", "0.01", "--json"]) == 4
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["until"] == "2100-01-01T00:00:00.000000000Z"
    assert document["waited_s"] >= 0.01
    assert "more are needed" in document["error"]
    assert "more are needed" in told.err


def test_without_a_bound_it_is_refused_as_now_is(runtime, capsys):
    publish(runtime / "clock", status=BoundStatus.UNKNOWN, reason=BoundReason.NO_MAJORITY)
    assert run(["wait", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["reason"], document["until"]) == ("unknown", "no_majority", None)


@pytest.mark.parametrize(
    "words", [["--until", "soon"], ["--until", "-1"], ["--until", "2026-01-01", "--past", "now"]]
)
def test_wrong_usage_is_2_with_a_sentence(runtime, capsys, words):
    assert run(["wait", *words]) == 2
    assert "--until" in capsys.readouterr().err


@given(st.integers(0, 4_000_000_000 * NS))
def test_a_time_is_understood_to_the_nanosecond_however_it_is_written(time_ns):
    seconds, rest = divmod(time_ns, NS)
    offset = datetime.fromtimestamp(seconds + 7200, UTC).strftime("%Y-%m-%d %H:%M:%S")
    for text in (iso(time_ns), f"{seconds}.{rest:09d}", f"{offset}.{rest:09d}+02:00"):
        assert unix_ns(text) == time_ns
    assert unix_ns(f"{seconds}.{rest:09d}0001") == time_ns + 1
    if time_ns >= 10**17:
        assert unix_ns(str(time_ns)) == time_ns


@given(st.text())
def test_any_text_is_a_time_or_a_usage_error(text):
    with contextlib.suppress(UserError):
        assert unix_ns(text) >= 0
