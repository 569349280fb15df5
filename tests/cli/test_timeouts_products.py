"""`truechimer timeouts --product --current`: what is sent, what is printed, and the exit code."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from truechimer_cli.main import run

FORECAST = {
    "false_per_month": 22.0,
    "failover_s": 1.53,
    "failover": {
        "detect": {"min": 0.9, "mean": 1.45, "max": 2.0},
        "elect": None,
        "reconnect": None,
        "total": {"min": 0.94, "mean": 1.53, "max": 4.08},
    },
}
ETCD = {
    "product": "etcd",
    "title": "etcd",
    "version": "3.5",
    "verdict": "tune",
    "settings": [
        {
            "setting": "election-timeout",
            "unit": "ms",
            "default": 1000,
            "current": 300,
            "given": True,
            "advised": 2500,
            "reason": "no silence [of a live leader]",
        }
    ],
    "constraints": [
        {
            "rule": "election-timeout >= 5 * heartbeat-interval",
            "current": "violated",
            "advised": "holds",
            "message": "etcd refuses to start",
        }
    ],
    "clamps": [
        {
            "setting": "election-timeout",
            "unit": "ms",
            "current": {"given": 350, "becomes": 300},
            "advised": None,
            "message": "etcd counts whole heartbeats",
        }
    ],
    "figures": [{"figure": "longest takeover", "unit": "s", "current": 163, "advised": None}],
    "snippet": "election-timeout: 2500\n",
    "snippet_file": "etcd.conf.yml",
    "predicted": {"current": FORECAST, "advised": FORECAST | {"false_per_month": 0.4}},
    "binding": "pause:gc@db-2",
    "fix": None,
    "missing": [],
    "notes": None,
}
REFUSED_USE = {
    "use": "request",
    "timeout_s": None,
    "refused": {"reason": "too few", "needed_s": 100},
    "strictest_supported": {"timeout_s": 0.9, "false_per_month": 150},
}


def answer(analyzer, document, *options, status=200):
    analyzer.answers["/api/v1/timeouts"] = (status, document)
    return run(["timeouts", "--store", analyzer.url, *options])


def sent(analyzer):
    return dict(parse_qsl(urlsplit(analyzer.asked[-1][0]).query))


def test_a_product_is_told_as_tables(analyzer, capsys):
    document = {"evidence": {}, "uses": [REFUSED_USE], "products": [ETCD]}
    assert answer(analyzer, document, "--product", "etcd@3.5", "--product", "zookeeper") == 0
    assert sent(analyzer) == {"product": "etcd@3.5,zookeeper"}
    told = capsys.readouterr().out
    for word in (
        "etcd 3.5: change these settings",
        "2500 ms",
        "no silence [of a live leader]",
        "violated",
        "etcd refuses to start",
        "350 ms becomes 300 ms",
        "2.72 min",
        "1.53 s",
        "pause:gc@db-2",
        "For etcd.conf.yml:",
        "election-timeout: 2500",
    ):
        assert word in told


def test_a_file_is_read_here_and_only_its_settings_are_sent(analyzer, tmp_path, capsys):
    """The password of the file stays in it, and the product is told from the settings."""
    file = tmp_path / "patroni.yml"
    file.write_text("name: a\npassword: zalando\nbootstrap:\n  dcs:\n    ttl: 45\n    loop_wait: 5\n")
    assert answer(analyzer, {"uses": [], "products": [ETCD]}, "--current", str(file)) == 0
    assert sent(analyzer)["product"] == "patroni"
    assert json.loads(sent(analyzer)["current"]) == {"patroni": {"ttl": 45, "loop_wait": 5}}
    assert "zalando" not in analyzer.asked[-1][0]
    assert str(file) not in analyzer.asked[-1][0]
    assert (
        answer(analyzer, {"uses": [], "products": [ETCD]}, "--product", "etcd", "--current", str(file)) == 2
    )
    assert "no setting of etcd" in capsys.readouterr().err


def test_check_holds_present_and_advised_settings_against_the_rules(analyzer):
    document = {"evidence": {}, "uses": [], "products": [ETCD]}
    assert answer(analyzer, document, "--check") == 1
    assert answer(analyzer, document) == 0
    defaults = ETCD | {"settings": [ETCD["settings"][0] | {"given": False}]}
    assert answer(analyzer, {"uses": [], "products": [defaults]}, "--check") == 0


def test_too_little_for_every_product_and_use_is_exit_4(analyzer, capsys):
    poor = ETCD | {
        "verdict": "insufficient_data",
        "missing": ["the disk: name the product's folder ([[disk]])"],
        "predicted": {"current": {}, "advised": None},
        "snippet": None,
    }
    document = {"evidence": None, "uses": [REFUSED_USE], "products": [poor]}
    assert answer(analyzer, {"error": "too few", "document": document}, status=422) == 4
    told = capsys.readouterr()
    assert "too little was measured" in told.out
    assert "Missing: the disk" in told.out
    assert "too little data" in told.err
    assert answer(analyzer, {"evidence": {}, "uses": [REFUSED_USE], "products": [poor, ETCD]}) == 0


def test_fix_first_says_what(analyzer, capsys):
    broken = ETCD | {
        "verdict": "fix_first",
        "fix": "collections of kafka-2",
        "snippet": None,
        "checked": False,
        "versions_checked": ["3.4", "3.5"],
    }
    assert answer(analyzer, {"evidence": {}, "uses": [], "products": [broken]}) == 0
    told = capsys.readouterr().out
    assert "don't tune, fix this first" in told
    assert "Fix: collections of kafka-2" in told
    assert "Nobody checked these figures for this version, but for 3.4, 3.5" in told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"heartbeat-interval: fast\n", "line 1: heartbeat-interval"),
        (b"colour: green\n", "no setting of a known product"),
        (b"\xff\xfe", "no UTF-8"),
        (None, "No such file"),
    ],
)
def test_files_that_cannot_be_audited_are_refused_before_anybody_is_asked(
    analyzer, tmp_path, capsys, content, message
):
    file = tmp_path / "etcd.yml"
    if content is not None:
        file.write_bytes(content)
    assert answer(analyzer, {}, "--current", str(file)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert str(file) in told
    assert not analyzer.asked


def test_an_unknown_product_with_a_file_names_the_nearest(analyzer, tmp_path, capsys):
    file = tmp_path / "etcd.yml"
    file.write_text("heartbeat-interval: 100\n")
    assert answer(analyzer, {}, "--product", "etdc", "--current", str(file)) == 2
    assert "'etcd'" in capsys.readouterr().err
