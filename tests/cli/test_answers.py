"""The answering commands: which store is asked, how, what is printed, and the exit code."""

import io
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from rich.console import Console

from truechimer_cli import asking, nearest
from truechimer_cli.main import run
from truechimer_cli.tables.delays import rtt_tables
from truechimer_cli.upping.folder import Folder

CLOCKS = {
    "as_of": "2026-11-22T22:00:00Z",
    "window_s": 3600,
    "nodes": [
        {
            "cluster": "prod",
            "node": "db-1[bold]",
            "state": "ok",
            "judgement": "proven_within",
            "offset_s": 6.4e-05,
            "lower_s": -0.000211,
            "upper_s": 0.00034,
            "frequency_ppm": 12.1,
            "frequency_lower_ppm": 11.8,
            "frequency_upper_ppm": 12.5,
            "status": "synchronized",
            "flags": [{"flag": "stepped", "since": "2026-11-22T21:59:00Z", "evidence": {"size_s": -0.5}}],
            "servers": [{"server": "10.0.0.1", "verdict": "selected", "lower_s": None, "upper_s": 0.001}],
            "last_seen_s": 2.1,
        }
    ],
    "summary": {"nodes": 1, "proven_within": 1, "unproven": 0, "proven_beyond": 0},
}
DAEMON = {
    "name": "chrony",
    "agrees": False,
    "lower_s": -0.0370117,
    "upper_s": -0.0369804,
    "stratum": 2,
    "reachable_sources": 1,
    "leap": "none",
}
DISAGREES = {
    "daemon": "chrony",
    "daemon_s": -0.036996,
    "daemon_lower_s": -0.0370117,
    "daemon_upper_s": -0.0369804,
    "lower_s": -0.000105,
    "upper_s": 0.000119,
    "apart_s": -0.0368754,
    "stratum": 2,
    "reachable_sources": 1,
}
DISAGREEING = CLOCKS | {
    "nodes": [
        CLOCKS["nodes"][0]
        | {"flags": [{"flag": "daemon_disagrees", "since": None, "evidence": DISAGREES}], "daemon": DAEMON}
    ]
}
BAD_CLOCKS = CLOCKS | {"nodes": [CLOCKS["nodes"][0] | {"state": "offset", "judgement": "proven_beyond"}]}
RTT = {
    "paths": [
        {
            "node": "a",
            "peer": "b",
            "via": "tcp",
            "count": 10,
            "lost": 1,
            "refused": 0,
            "min_s": 0.001,
            "p50_s": 0.002,
            "p90_s": 0.003,
            "p99_s": 0.0301,
            "p999_s": None,
            "max_s": 1.5,
            "span_s": 3600.0,
        }
    ]
}
MESH = {
    "paths": [
        RTT["paths"][0]
        | {
            "node": "db-1.prod",
            "peer": "db-2.prod",
            "via": "stamp",
            "dscp": 46,
            "count": 86400,
            "sent": 86402,
            "lost": 75,
            "lost_forward": 61,
            "lost_backward": 3,
            "lost_undetermined": 11,
            "lost_unknown": 0,
            "reordered": 2,
            "loss_upper": 0.00105,
            "span_s": 86399.0,
            "hours": [
                {
                    "from": "2026-11-22T20:00:00.000000Z",
                    "count": 3600,
                    "lost": 64,
                    "lost_forward": 61,
                    "lost_backward": None,
                    "p50_s": 0.000412,
                    "p99_s": 0.00123,
                    "max_s": 0.0311,
                }
            ],
        },
        RTT["paths"][0] | {"via": "kernel"},
    ]
}
PAUSES = {
    "sources": [
        {
            "node": "a",
            "source": "host",
            "runtime": "host",
            "observed_s": 3600.0,
            "count": 2,
            "total_s": 0.1,
            "per_hour": 2.0,
            "p50_s": 0.05,
            "p99_s": None,
            "max_s": 0.06,
            "residual_p999_s": None,
            "causes": {"stopped": 2},
            "longest": [
                {
                    "at": "2026-11-22T21:00:00Z",
                    "duration_s": 0.06,
                    "cause": "stopped",
                    "confidence": 0.98,
                    "evidence": {"steal_s": 0.0},
                }
            ],
        }
    ]
}
WATCHED = {
    "asked": {"source": None, "stay_s": 1.0, "heartbeat_s": 1.0},
    "sources": [
        {
            "node": "a",
            "source": "cassandra[x]",
            "runtime": "jvm",
            "state": "unknown",
            "last_watched_s": 300.0,
            "observed_s": 100.0,
            "unwatched_s": 3500.0,
            "refused": None,
            "count": 2,
            "not_seen_singly": 2,
            "per_hour": 72.0,
            "max_s": 0.015,
            "max_upper_s": 0.03,
            "residual_p999_s": 0.0,
            "residual_p999_upper_s": 0.0,
            "causes": {"gc": 2},
            "felt": [
                {
                    "limit_s": 0.01,
                    "arrival": 0.0001,
                    "arrival_upper": 0.0002,
                    "staying": 0.02,
                    "staying_upper": 0.04,
                    "false_suspicions_hz": None,
                    "false_suspicions_upper_hz": None,
                }
            ],
            "longest": [
                {
                    "at": "2026-11-22T21:00:00Z",
                    "duration_s": 0.015,
                    "upper_s": 0.03,
                    "pauses": 2,
                    "sum_s": 0.03,
                    "cause": "gc",
                    "confidence": 0.9,
                    "evidence": {"sync_seconds": 0.002},
                }
            ],
        }
    ],
    "processes": [
        {
            "node": "a",
            "source": "cassandra[x]",
            "runtime": "jvm",
            "state": "watched",
            "processes": 0,
            "run_delay_ratio": 0.75,
        }
    ],
    "heaps": [
        {"node": "a", "source": "cassandra[x]", "state": "watched", "warning": "nearly_full"},
        {"node": "b", "source": "x", "state": "watched", "warning": "collecting", "collecting_s": 1.5},
    ],
    "disks": [
        {
            "node": "a",
            "disk": "/var/lib/etcd",
            "probes": 3,
            "outcomes": {"done": 2, "failed": 1},
            "max_s": 1.25,
        }
    ],
}
RECORD = {
    "series": "wall_minus_steady",
    "points": 360,
    "stretches": 2,
    "span_s": 3580.0,
    "longest_s": 1790.0,
    "used_share": 0.994,
    "breaks": {"step": 1},
    "half_width_s": 1e-7,
    "adev": [{"tau_s": 10.0, "value": 2.9e-9, "lower": 2.2e-9, "upper": 4.2e-9, "terms": 356}],
    "tdev": [{"tau_s": 10.0, "value": 1.67e-8, "lower": 1.3e-8, "upper": 2.4e-8, "terms": 356}],
    "mtie": [{"tau_s": 600.0, "value": 6.5e-5, "lower": 0.0, "upper": 7e-5, "terms": 240}],
    "refused": None,
}
REFUSED_RECORD = RECORD | {
    "series": "utc_minus_wall",
    "adev": [],
    "tdev": [],
    "mtie": [],
    "refused": {"reason": "no bound of UTC", "needed_s": 300.0},
}
STABILITY = {"nodes": [{"cluster": "prod", "node": "db-1[x]", "series": [RECORD, REFUSED_RECORD]}]}
USE = {
    "use": "request",
    "timeout_s": 1.2,
    "false_per_month": {"estimate": 0.4, "upper": 1.0},
    "detection_s": {"min": 1.2, "mean": 1.2, "max": 1.2},
    "binding": "path:a>b",
    "basis": "empirical",
    "refused": None,
}
REFUSED = USE | {
    "timeout_s": None,
    "refused": {"reason": "too few samples", "needed_s": 111600},
    "strictest_supported": {"timeout_s": 0.9, "false_per_month": 150},
}
TIMEOUTS = {
    "evidence": {"paths": 6, "samples": 518400, "span_s": 86400},
    "uses": [USE, REFUSED],
    "frontier": [],
}


def answer(analyzer, command, document, *options, status=200):
    analyzer.answers[f"/api/v1/{command}"] = (status, document)
    return run([command, "--store", analyzer.url, *options])


@pytest.mark.parametrize(
    ("command", "document", "words"),
    [
        ("clocks", CLOCKS, ["db-1[bold]", "64.0 µs", "−211 µs", "stepped", "size_s −500 ms", "10.0.0.1"]),
        (
            "clocks",
            DISAGREEING,
            ["believes", "proven", "Time daemons", "agrees", "none"],
        ),
        ("rtt", RTT, ["a", "b", "30.1 ms", "1.50 s", "–"]),
        (
            "rtt",
            MESH,
            [
                "stamp/46",
                "Lost by direction",
                "61",
                "0.1 %",
                "11-22 20h",
                "412 µs",
                "no probes",
            ],
        ),
        ("pauses", PAUSES, ["2× stopped", "60.0 ms", "98%"]),
        (
            "pauses",
            WATCHED,
            [
                "cassandra[x] (jvm)",
                "unknown for 5.00 min",
                "15.0 ms … 30.0 ms",
                "2 in 30.0 ms, mean 15.0 ms",
                "sync 2.00 ms",
                "0.02 … 0.04",
                "Watched processes",
                "75 %",
                "nearly full: a full collection is near",
                "/var/lib/etcd",
                "1.25 s",
            ],
        ),
        (
            "stability",
            STABILITY,
            [
                "db-1[x]",
                "2.9e−9",
                "16.7 ns",
                "65.0 µs",
                "10.0 min",
                "1× step",
                "no bound of UTC; 5.00 min more",
            ],
        ),
        ("timeouts", TIMEOUTS, ["1.20 s", "refused", "too few samples", "31.0 h", "518 400"]),
    ],
)
def test_tables_are_for_people_and_json_is_the_document(analyzer, capsys, command, document, words):
    assert answer(analyzer, command, document) == 0
    told = capsys.readouterr().out
    for word in words:
        assert word in told
    assert answer(analyzer, command, document, "--json") == 0
    assert json.loads(capsys.readouterr().out) == document


def test_pauses_that_nobody_watched_are_told_and_refused(analyzer, capsys):
    unwatched = {**PAUSES["sources"][0], "observed_s": 0, "refused": {"reason": "nobody was looking"}}
    assert answer(analyzer, "pauses", {"sources": [unwatched]}) == 4
    told = capsys.readouterr()
    assert "a/host: refused: nobody was looking" in told.out
    assert "Nobody was looking." in told.err
    assert answer(analyzer, "pauses", {"sources": [], "disks": WATCHED["disks"]}) == 0


def test_a_disagreement_is_one_sentence_with_both_figures(analyzer, capsys, monkeypatch):
    """Centre and half width of what the daemon believes, and of what is proven."""
    monkeypatch.setenv("COLUMNS", "250")
    assert answer(analyzer, "clocks", DISAGREEING) == 0
    assert (
        "chrony believes −37.0 ms ± 15.7 µs, proven is +7.00 µs ± 112 µs; "
        "its stratum 2, sources that it reaches 1"
    ) in capsys.readouterr().out


def test_options_become_the_query_and_the_token_a_header(analyzer, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("TRUECHIMER_TOKEN_FILE", str(tmp_path / "token"))
    options = ["--from", "2026-11-22T00:00:00Z", "--to", "2026-11-23", "--cluster", "a b", "--node", "n&m"]
    more = ["--false-per-month", "1", "--detect-within", "5s", "--rate", "2"]
    assert answer(analyzer, "timeouts", TIMEOUTS, *options, *more) == 0
    path, header = analyzer.asked[-1]
    assert header == "Bearer s3cret"
    assert dict(parse_qsl(urlsplit(path).query)) == {
        "from": "2026-11-22T00:00:00Z", "to": "2026-11-23", "cluster": "a b", "node": "n&m",
        "false_per_month": "1", "detect_within": "5s", "rate": "2",
    }  # fmt: skip


def test_check_turns_bad_news_into_exit_1(analyzer, capsys):
    assert answer(analyzer, "clocks", BAD_CLOCKS) == 0
    assert answer(analyzer, "clocks", BAD_CLOCKS, "--check", "--json") == 1
    assert answer(analyzer, "clocks", CLOCKS, "--check") == 0
    dead = {"paths": [RTT["paths"][0] | {"p50_s": None}]}
    assert answer(analyzer, "rtt", dead, "--check") == 1
    assert answer(analyzer, "rtt", RTT, "--check") == 0


def test_an_empty_answer_is_exit_4_and_says_so(analyzer, capsys):
    assert answer(analyzer, "clocks", CLOCKS | {"nodes": []}, "--json") == 4
    told = capsys.readouterr()
    assert json.loads(told.out)["nodes"] == []
    assert "too little data" in told.err


def test_timeouts_that_are_all_refused_are_exit_4_with_the_reasons_printed(analyzer, capsys):
    refused = {"error": "all of it", "hint": None, "document": TIMEOUTS | {"uses": [REFUSED]}}
    assert answer(analyzer, "timeouts", refused, status=422) == 4
    told = capsys.readouterr()
    assert "too few samples" in told.out
    assert "31.0 h more" in told.err


@pytest.mark.parametrize(
    ("needed_s", "said"), [(300.0, "Measure for about 5.00 min more"), (None, "No bound of UTC.")]
)
def test_stability_that_is_all_refused_is_exit_4_with_the_reasons_printed(analyzer, capsys, needed_s, said):
    refused = REFUSED_RECORD | {"refused": {"reason": "no bound of UTC", "needed_s": needed_s}}
    document = {"nodes": [STABILITY["nodes"][0] | {"series": [refused, refused]}]}
    assert answer(analyzer, "stability", document) == 4
    told = capsys.readouterr()
    assert "no bound of UTC" in told.out
    assert said in told.err
    assert answer(analyzer, "stability", {"nodes": []}) == 4


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (400, {"error": "no cluster 'x'", "hint": "there is prod"}, 2, "There is prod."),
        (401, {"error": "a token is needed", "hint": None}, 2, "TRUECHIMER_TOKEN_FILE"),
        (422, {"error": "3 samples", "hint": "wait 60 s"}, 4, "Wait 60 s."),
        (429, {"error": "busy", "hint": "try again"}, 3, "Try again."),
        (500, {"error": "the store failed", "hint": None}, 3, "the store failed"),
        (200, b"<html>", 3, "is that a truechimer analyzer"),
        (404, b"nothing", 3, "404"),
        (200, b"[1]", 3, "truechimer"),
    ],
)
def test_what_the_analyzer_refuses_keeps_its_words_and_gets_an_exit_code(
    analyzer, capsys, status, body, code, said
):
    assert answer(analyzer, "clocks", body, status=status) == code
    told = capsys.readouterr()
    assert said.lower() in told.err.lower()
    assert told.out == ""


@pytest.mark.parametrize(
    ("store", "code", "said"),
    [
        ("http://127.0.0.1:1", 3, "refused"),
        ("http://", 2, "no address"),
        ("http://me:hunter2@127.0.0.1:1", 2, "TRUECHIMER_TOKEN_FILE"),
        ("influxdb://h/db", 2, "not built yet"),
        ("prometheus+https://h", 2, "not built yet"),
        ("embedded:/no/such/folder", 3, "no such folder"),
        ("/var/lib", 2, "is no store"),
    ],
)
def test_stores_that_cannot_be_asked(capsys, store, code, said):
    assert run(["clocks", "--store", store]) == code
    told = capsys.readouterr().err
    assert said in told
    assert "hunter2" not in told


def test_the_default_store_is_an_analyzer_then_ups_folder_then_the_systems(analyzer, monkeypatch, tmp_path):
    monkeypatch.setattr(nearest, "LOCAL_ANALYZER", analyzer.url)
    monkeypatch.setattr(nearest, "SYSTEM_STORE", tmp_path / "system")
    monkeypatch.setenv("TRUECHIMER_DATA_DIR", str(tmp_path / "data"))
    assert nearest.default_store() == analyzer.url
    monkeypatch.setattr(nearest, "LOCAL_ANALYZER", "http://127.0.0.1:1")
    folder = Folder(tmp_path / "data")
    folder.hold()
    folder.tell("http://127.0.0.1:4711")
    assert nearest.default_store() == "http://127.0.0.1:4711"
    folder.release()
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "store").write_text("")
    assert nearest.default_store() == f"embedded:{tmp_path}/system"
    (folder.analyzer / "store").write_text("")
    assert nearest.default_store() == f"embedded:{folder.analyzer}"


def test_no_store_at_all_is_exit_3_with_what_was_tried(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(nearest, "LOCAL_ANALYZER", "http://127.0.0.1:1")
    monkeypatch.setattr(nearest, "SYSTEM_STORE", tmp_path / "system")
    monkeypatch.setenv("TRUECHIMER_DATA_DIR", str(tmp_path / "data"))
    assert run(["pauses"]) == 3
    told = capsys.readouterr().err
    assert "http://127.0.0.1:1" in told
    assert "truechimer up" in told


def test_without_the_analyzer_extra_a_folder_cannot_be_read(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(asking, "ANALYZER_MODULES", ("no_such_module_of_ours",))
    assert run(["clocks", "--store", f"embedded:{tmp_path}"]) == 2
    assert "pip install 'truechimer[analyzer]'" in capsys.readouterr().err


def test_since_and_from_exclude_each_other(capsys):
    assert run(["clocks", "--since", "1h", "--from", "2026-01-01"]) == 2


def test_a_token_file_that_cannot_be_read_is_said_without_its_content(
    analyzer, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("TRUECHIMER_TOKEN_FILE", str(tmp_path / "none"))
    assert answer(analyzer, "clocks", CLOCKS) == 2
    (tmp_path / "token").write_text("two\nlines of hunter2")
    monkeypatch.setenv("TRUECHIMER_TOKEN_FILE", str(tmp_path / "token"))
    assert answer(analyzer, "clocks", CLOCKS) == 2
    assert "hunter2" not in capsys.readouterr().err


def test_what_is_asked_of_round_trips_reaches_the_analyzer(analyzer, capsys):
    """The hours, the kind of probe, the peer and the curve are the analyzer's to give."""
    options = ("--by", "hour", "--via", "stamp", "--peer", "b", "--histogram", "--json")
    assert answer(analyzer, "rtt", RTT, *options) == 0
    asked = dict(parse_qsl(urlsplit(analyzer.asked[-1][0]).query))
    assert asked == {"by": "hour", "via": "stamp", "peer": "b", "histogram": "1"}


def test_tables_of_round_trips_fit_a_hundred_columns(capsys):
    """Names of nine letters, a day of probes: nothing is folded or cut."""
    parts = rtt_tables(MESH)
    screen = Console(width=100, record=True, file=io.StringIO())
    for part in parts:
        screen.print(part)
    drawn = screen.export_text()
    assert "…" not in drawn
    assert len([line for line in drawn.splitlines() if "db-1.prod" in line]) == 3
    assert len(drawn.splitlines()) == 14


def test_without_directions_no_table_of_them_is_drawn(analyzer, capsys):
    assert answer(analyzer, "rtt", RTT) == 0
    told = capsys.readouterr().out
    assert "direction" not in told
    assert "refused" not in told
