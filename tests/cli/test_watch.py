"""``clocks --watch`` as users run it: on a terminal, into a pipe, as JSON lines, and ended by Ctrl-C."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass

import pytest
from analyzer import synthetic as made

from truechimer_analyzer.stores import open_store
from truechimer_cli.main import run

PATIENCE_S = 30.0
# A session's leader gets the terminal that it opens: Ctrl-C then comes as a signal.
TAKE_TERMINAL = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.argv[1], sys.argv[1:])
"""


def document(node: str, offset_s: float = 6.4e-05) -> dict[str, object]:
    found = {
        "cluster": "prod",
        "node": node,
        "state": "ok",
        "judgement": "proven_within",
        "offset_s": offset_s,
        "lower_s": -0.000211,
        "upper_s": 0.00034,
        "status": "synchronized",
        "flags": [],
        "pending": [],
        "servers": [],
        "last_seen_s": 1.0,
    }
    return {"as_of": "2026-11-22T22:00:00Z", "nodes": [found], "summary": {"nodes": 1}}


@dataclass
class Watched:
    """A command that runs; ``text`` is what it has written so far, ``told`` what it said on stderr."""

    process: subprocess.Popen[bytes]
    out: int
    text: str = ""
    terminal: bool = False

    def wait_for(self, *words: str, after: int = 0) -> int:
        """Until all the words were written after a place; the place where the text ends now."""
        until = time.monotonic() + PATIENCE_S  # noqa: TID251 - a test's own deadline
        while not all(word in self.text[after:] for word in words):
            left_s = until - time.monotonic()  # noqa: TID251
            assert left_s > 0, f"waited for {words}: {self.text[-3000:]!r}"
            ready, _, _ = select.select([self.out], [], [], left_s)
            if ready:
                piece = os.read(self.out, 65536)
                assert piece, f"ended before it wrote {words}: {self.text[-3000:]!r}"
                self.text += piece.decode(errors="replace")
        return len(self.text)

    def interrupt(self) -> int:
        """Ctrl-C as a terminal sends it; the exit code."""
        if self.terminal:
            os.write(self.out, b"\x03")
        else:
            self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Read to the end; the exit code."""
        with contextlib.suppress(OSError):  # a terminal whose last user has gone
            while piece := os.read(self.out, 65536):
                self.text += piece.decode(errors="replace")
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def watch(tmp_path):
    """Start ``truechimer clocks --watch 0.2`` with more words, on a terminal or into a pipe."""
    begun: list[Watched] = []

    def start(*words: str, terminal: bool = False) -> Watched:
        command = [sys.executable, "-m", "truechimer_cli", "clocks", "--watch", "0.2", *words]
        errors = (tmp_path / "stderr").open("wb")
        if terminal:
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
            kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            process = subprocess.Popen(
                [sys.executable, "-c", TAKE_TERMINAL, *command],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={**kept, "TERM": "xterm"},
                start_new_session=True,
            )
            os.close(theirs)
        else:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
            ours = process.stdout.fileno()
        errors.close()
        begun.append(Watched(process, ours, terminal=terminal))
        return begun[-1]

    yield start
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        if each.terminal:
            os.close(each.out)
        else:
            each.process.stdout.close()


def answers(analyzer, found, status=200):
    analyzer.answers["/api/v1/clocks"] = (status, found)


DOWN = {"error": "the store is away", "hint": "wait"}


def test_on_a_terminal_it_is_drawn_anew_and_ctrl_c_is_no_failure(analyzer, watch):
    """The screen is left and the cursor shown again; a store that goes away is said above the last answer."""
    answers(analyzer, document("db-1[bold]"))
    watched = watch("--store", analyzer.url, terminal=True)
    at = watched.wait_for("db-1[bold]", "64.0 µs", "every 200 ms")
    assert "\x1b[?1049h" in watched.text
    answers(analyzer, document("db-1[bold]", 0.5))
    at = watched.wait_for("500 ms", after=at)
    answers(analyzer, DOWN, 503)
    at = watched.wait_for("No answer for", "the store is away. Wait.", "db-1[bold]", after=at)
    answers(analyzer, document("db-2"))
    watched.wait_for("db-2", after=at)
    assert watched.interrupt() == 0
    assert watched.text.rindex("\x1b[?1049l") > watched.text.rindex("db-2")
    assert watched.text.rindex("\x1b[?25h") > watched.text.rindex("\x1b[?25l")
    assert "Traceback" not in watched.text


def test_into_a_pipe_go_plain_tables_in_a_row(analyzer, watch, tmp_path):
    answers(analyzer, document("a"))
    watched = watch("--store", analyzer.url)
    at = watched.wait_for("as of")
    answers(analyzer, DOWN, 503)
    wait_for_text(tmp_path / "stderr", "the store is away. Wait.")
    answers(analyzer, document("b"))
    watched.wait_for("b ", "as of", after=at)
    assert watched.interrupt() == 0
    assert "\x1b" not in watched.text
    assert re.search(r"\n\nClocks: UTC − wall *\nnode", watched.text)
    errors = (tmp_path / "stderr").read_text()
    assert errors.count("the store is away") == 1
    assert "answers again" in errors
    assert "Traceback" not in errors


def test_json_is_a_document_a_line_also_while_the_store_is_away(analyzer, watch):
    answers(analyzer, document("a"))
    watched = watch("--store", analyzer.url, "--json")
    at = watched.wait_for('"a"', "\n")
    answers(analyzer, DOWN, 503)
    at = watched.wait_for("the store is away", "\n", after=at)
    at = watched.wait_for("the store is away", "\n", after=at)
    answers(analyzer, document("b"))
    watched.wait_for('"b"', "\n", after=at)
    assert watched.interrupt() == 0
    lines = [json.loads(line) for line in watched.text.splitlines()]
    away = [line for line in lines if "error" in line]
    assert [line["nodes"][0]["node"] for line in (lines[0], lines[-1])] == ["a", "b"]
    assert {line["hint"] for line in away} == {"wait"}
    assert [line["failing_s"] for line in away] == sorted(line["failing_s"] for line in away)
    assert away[0]["failing_s"] == 0


def test_it_waits_for_a_store_that_is_not_there_yet_and_reads_a_folder_too(watch, tmp_path):
    watched = watch("--store", f"embedded:{tmp_path / 'store'}", "--json")
    at = watched.wait_for("no such folder")
    store = open_store(f"embedded:{tmp_path / 'store'}")
    made.stored(store, [made.bound(0, -0.001, 0.001, node="n7")])
    store.close()
    watched.wait_for('"n7"', after=at)
    assert watched.interrupt() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--watch", "--check"], "--check goes without"), (["--watch", "0"], "not in the range")],
)
def test_what_makes_no_sense_is_refused(words, said, capsys):
    assert run(["clocks", "--store", "http://127.0.0.1:1", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_wrong_question_ends_it_at_once_but_not_once_it_was_answered(analyzer, watch, tmp_path):
    """A store that begins anew does not know a node for a while."""
    unknown = {"error": "no node 'x' is known", "hint": None}
    answers(analyzer, unknown, 400)
    watched = watch("--store", analyzer.url, "--node", "x", "--json")
    assert watched.ended() == 2
    answers(analyzer, document("x"))
    watched = watch("--store", analyzer.url, "--node", "x", "--json")
    at = watched.wait_for('"nodes"')
    answers(analyzer, unknown, 400)
    at = watched.wait_for("no node", after=at)
    answers(analyzer, document("x"))
    watched.wait_for('"nodes"', after=at)
    assert watched.interrupt() == 0


def test_sigterm_leaves_the_terminal_as_it_was(analyzer, watch):
    answers(analyzer, document("a"))
    watched = watch("--store", analyzer.url, terminal=True)
    watched.wait_for("64.0 µs")
    watched.process.terminate()
    assert watched.ended() == 128 + signal.SIGTERM
    assert watched.text.rindex("\x1b[?25h") > watched.text.rindex("\x1b[?25l")


def wait_for_text(path, words):
    until = time.monotonic() + PATIENCE_S  # noqa: TID251 - a test's own deadline
    while words not in path.read_text():
        assert time.monotonic() < until  # noqa: TID251
        time.sleep(0.02)
