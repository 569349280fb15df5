"""`truechimer import` and `--input`: files of measurements, whole and broken, and the exit codes."""

import gzip
import json
from pathlib import Path

import pytest

from truechimer_cli.main import run

TRACES = Path(__file__).parent.parent / "analyzer" / "traces"
CSV = ("--format", "csv", "--time-column", "epoch", "--value-column", "values", "--unit", "ms")


def asked(capsys, *words):
    code = run([*words, "--json"])
    out, err = capsys.readouterr()
    return code, (json.loads(out.splitlines()[0]) if out else None), err


def ping(path, count=400):
    lines = [
        f"64 bytes from b: icmp_seq={n} ttl=64 time={1 + n % 7} ms" for n in range(1, count + 1) if n != 50
    ]
    path.write_text("PING b (10.0.0.2) 56(84) bytes of data.\n" + "\n".join(lines) + "\n")
    return str(path)


def test_a_real_table_is_imported_once(tmp_path, capsys):
    """47163 round trips, rows of equal time apart; imported again, nothing is stored; rtt answers over it."""
    store = f"embedded:{tmp_path / 'store'}"
    words = (
        "import",
        str(TRACES / "rtt-15days.csv.gz"),
        *CSV,
        "--store",
        store,
        "--node",
        "a",
        "--peer",
        "b",
    )
    for _ in range(2):
        code, told, _ = asked(capsys, *words)
        assert code == 0
        assert (told["imported"], told["refused"]) == (47163, 0)
        assert told["from"] == "2017-12-01T16:00:10.000000Z"
    code, rtt, _ = asked(capsys, "rtt", "--store", store, "--from", told["from"], "--to", told["to"])
    assert code == 0
    (path,) = rtt["paths"]
    assert (path["node"], path["peer"], path["count"], path["lost"]) == ("a", "b", 47163, 0)
    assert path["p50_s"] == pytest.approx(0.01227)


def test_a_file_is_asked_as_if_it_were_a_store(tmp_path, capsys):
    """timeouts, rtt and pauses answer over the whole file, with what became of its lines."""
    file = ping(tmp_path / "ping.txt")
    code, found, _ = asked(capsys, "timeouts", "--input", file, "--format", "ping", "--detect-within", "3s")
    assert code == 0
    assert found["uses"][0]["timeout_s"] > 0
    assert found["import"]["imported"] == 400
    assert found["import"]["notes"]
    code, found, _ = asked(capsys, "rtt", "--input", file, "--format", "ping", "--node", "a", "--peer", "z")
    assert [(p["node"], p["peer"], p["count"], p["lost"]) for p in found["paths"]] == [("a", "z", 400, 1)]
    log = str(TRACES / "gc-wall-clock-rolls-back.log")
    code, found, _ = asked(capsys, "pauses", "--input", log, "--format", "jvm-gc-log")
    assert code == 0
    (source,) = found["sources"]
    assert (source["count"], source["state"], source["refused"]) == (3, "watched", None)
    assert source["per_hour"] == pytest.approx(3 * 3600 / 80.128, rel=1e-3)
    log = str(TRACES / "jhiccup-2.0.7.hlog")
    code, found, _ = asked(capsys, "pauses", "--input", log, "--format", "hlog")
    assert found["sources"][0]["max_s"] == pytest.approx(1.8, rel=0.01)
    assert found["sources"][0]["observed_s"] == pytest.approx(62.004)


def test_too_little_says_what_is_missing(tmp_path, capsys):
    """A refusal is an answer with exit code 4, and still tells what was read."""
    code, found, err = asked(capsys, "timeouts", "--input", ping(tmp_path / "p"), "--format", "ping")
    assert code == 4
    assert found["import"]["imported"] == 400
    assert "too little data" in err


def test_what_is_read_is_said(tmp_path, capsys):
    """Without --json the lines' fate is on stderr, the first refused one with its number."""
    file = tmp_path / "x.csv"
    file.write_text("time,rtt_s\n1,0.5\nhello\n2,0.5\n")
    assert run(["rtt", "--input", str(file), "--format", "csv"]) == 0
    assert "1 lines refused; the first, line 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        (None, 3, "no such file"),
        (b"", 2, "no line"),
        (bytes(range(256)) * 50, 2, "no text"),
        (b"time,other\n1,2\n", 2, "no column"),
        (b"\x1f\x8b", 2, "ends too early"),
        (b"time,rtt_s\nx,1\n", 2, "line 2"),
    ],
)
def test_files_that_hold_nothing(tmp_path, capsys, content, code, told):
    """Missing, empty, binary, of another format, a cut gzip: one message, and no store is left behind."""
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    store = tmp_path / "store"
    got, document, err = asked(capsys, "import", str(file), "--format", "csv", "--store", f"embedded:{store}")
    assert (got, told in err) == (code, True)
    assert told in document["error"]
    assert not store.exists()


def test_a_cut_gzip_gives_what_it_holds(tmp_path, capsys):
    """The rest counts as one refused line."""
    file = tmp_path / "cut.gz"
    file.write_bytes((TRACES / "rtt-15days.csv.gz").read_bytes()[:100_000])
    code, found, _ = asked(capsys, "rtt", "--input", str(file), *CSV)
    assert code == 0
    assert 10_000 < found["import"]["imported"] < 47_000
    assert "gzip" in found["import"]["first_refused"]["why"]


def test_a_line_without_an_end_is_not_kept_in_memory(tmp_path, capsys):
    """30 MB without a newline, packed to some kB: refused, and what follows is read."""
    file = tmp_path / "long.csv.gz"
    file.write_bytes(gzip.compress(b"time,rtt_s\n" + b"7" * 30_000_000 + b"\n5,1\n", 1))
    code, found, _ = asked(capsys, "rtt", "--input", str(file), "--format", "csv")
    assert code == 0
    assert (found["import"]["imported"], found["import"]["first_refused"]["line"]) == (1, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "csv", "--unit", "min"), "--unit 'min'"),
        (("--format", "ping", "--unit", "ms"), "--unit is for"),
        (("--format", "ping", "--begin", "then"), "begin='then'"),
        (("--format", "xml"), "xml"),
        ((), "--format"),
    ],
)
def test_wrong_options(tmp_path, capsys, words, told):
    """Exit 2, and the message names the option."""
    code, _, err = asked(capsys, "rtt", "--input", ping(tmp_path / "p"), *words)
    assert (code, told in err) == (2, True)


def test_places_that_take_nothing(tmp_path, capsys):
    """A directory as file, a store that cannot be, a store beside --input, a label that is none."""
    file = ping(tmp_path / "p")
    for words, told in [
        (
            ("import", str(tmp_path), "--format", "ping", "--store", f"embedded:{tmp_path}/s"),
            "is a directory",
        ),
        (("import", file, "--format", "ping", "--store", "embedded:/proc/none"), "cannot keep a store"),
        (("import", file, "--format", "ping", "--store", "ftp://x"), "takes no imports"),
        (
            ("import", file, "--format", "ping", "--node", "a\nb", "--store", f"embedded:{tmp_path}/s"),
            "--node",
        ),
        (("rtt", "--input", file, "--format", "ping", "--store", "embedded:x"), "both say"),
        (("rtt", "--format", "ping"), "go with --input"),
    ]:
        code, _, err = asked(capsys, *words)
        assert (code, told in err) == (2, True), words
