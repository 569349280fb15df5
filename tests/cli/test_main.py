"""The command line itself: quick, documented, exit codes of its own, one message for every error."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from truechimer_cli.documenting import document
from truechimer_cli.main import COMMANDS, LazyGroup, as_sentences, cli, run

LEAVES = [
    *([name] for name in COMMANDS if name not in {"config", "agent", "analyzer"}),
    *(["config", name] for name in ("check", "show")),
    *(["agent", name] for name in ("run", "once")),
    ["analyzer", "run"],
]


def test_help_imports_no_command():
    """What makes it quick: neither rich nor any command module is loaded."""
    program = (
        "import sys; from truechimer_cli.main import run; code = run(['--help']);"
        "print(code, [m for m in sys.modules if m.split('.')[0] in ('rich', 'psutil', 'numpy', 'duckdb')"
        " or m.startswith('truechimer_cli.commands')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_the_base_install_is_enough_for_help_of_every_command():
    program = (
        "import sys; from truechimer_cli.main import run\n"
        f"for words in {LEAVES!r}: run([*words, '--help'])\n"
        "print([m for m in ('numpy', 'duckdb', 'starlette', 'scipy', 'apscheduler') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_help_with_an_example(words, capsys):
    assert run([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Example" in told
    assert f"truechimer {words[0]}" in told


def test_the_table_names_real_commands():
    context = click.Context(cli)
    assert isinstance(cli, LazyGroup)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clokcs"], "did you mean 'clocks'"),
        (["nothing-like-it"], "nothing-like-it"),
        (["clocks", "--sinse", "1h"], "--sinse"),
        (["config", "check"], "FILE"),
        (["up", "--for", "soon"], "soon"),
    ],
)
def test_wrong_usage_is_exit_2_and_one_message(words, said, capsys):
    assert run(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("truechimer: ")
    assert said in told.err


def test_errors_are_json_too_where_json_was_asked_for(capsys):
    assert run(["clocks", "--store", "prometheus://h", "--json"]) == 2
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert set(document) == {"error", "hint"}
    assert "not built yet" in document["error"]
    assert document["error"] in told.err


def test_version(capsys):
    assert run(["--version"]) == 0
    assert "0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("message", "hint", "said"),
    [
        ("it broke", None, "it broke."),
        ("it broke?", "mend it", "it broke? Mend it."),
        ("a", "`b` helps", "a. `b` helps."),
    ],
)
def test_messages_are_sentences(message, hint, said):
    assert as_sentences(message, hint) == said


def test_a_reader_that_has_seen_enough_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m truechimer_cli config show | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == 'cluster = "default"\n'
    assert done.stderr == ""


def test_the_generated_page_documents_every_command_and_is_up_to_date():
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    assert page == document(), "run make generate"
    for words in LEAVES:
        assert f"\n## truechimer {' '.join(words)}\n" in page
