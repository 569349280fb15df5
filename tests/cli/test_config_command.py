"""`truechimer config`: both files recognized, every problem named, the effective one printed."""

import json

from truechimer.config import parse_agent, parse_analyzer
from truechimer_cli.main import run


def test_check_says_fine_and_warns_of_what_is_not_built(tmp_path, capsys):
    path = tmp_path / "any.toml"
    path.write_text('node = "a"\n[[sink]]\nkind = "otlp"\nurl = "http://127.0.0.1"\n')
    assert run(["config", "check", str(path)]) == 0
    told = capsys.readouterr()
    assert "fine (agent.toml)" in told.out
    assert '[[sink]] kind = "otlp" is not built yet' in told.err


def test_check_recognizes_the_analyzers_file(tmp_path, capsys):
    path = tmp_path / "any.toml"
    path.write_text('[store]\nretention = "7d"\n')
    assert run(["config", "check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "kind": "analyzer", "warnings": []}


def test_check_names_every_problem_with_exit_2(tmp_path, capsys):
    path = tmp_path / "agent.toml"
    path.write_text("[ntp]\nserverz = []\nburst = 0\n")
    assert run(["config", "check", str(path)]) == 2
    told = capsys.readouterr().err
    assert "did you mean ntp.servers?" in told
    assert "ntp.burst" in told


def test_show_prints_what_loads_to_the_same(tmp_path, capsys):
    path = tmp_path / "agent.toml"
    path.write_text(
        'node = "ä \\"b\\""\n[ntp]\nservers = ["10.0.0.1"]\n[[sink]]\nkind = "influx"\nurl = "http://h"\n'
    )
    assert run(["config", "show", str(path)]) == 0
    assert parse_agent(capsys.readouterr().out).config == parse_agent(path.read_text()).config
    assert run(["config", "show", "--kind", "analyzer"]) == 0
    assert parse_analyzer(capsys.readouterr().out) == parse_analyzer("")


def test_a_missing_file_is_exit_2(tmp_path, capsys):
    assert run(["config", "check", str(tmp_path / "none.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
