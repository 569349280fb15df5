"""`truechimer skew`: figures, who is wrong and by which samples, what is missing, and the exit code."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from truechimer_cli.main import run

CLUSTER = {
    "cluster": "prod[x]",
    "at": "2026-11-22T21:59:48Z",
    "at_by": "UTC",
    "age_s": 12.0,
    "epsilon_s": 0.0012,
    "epsilon_k_s": 0.0019,
    "k": 1,
    "worst_pair": ["a", "b"],
    "worst_pair_k": ["a", "b"],
    "why_unproven": None,
    "why_k_unproven": None,
    "commit_wait_s": 0.0012,
    "lww_gap_s": 0.0013,
    "max_offset": {"configured_s": 0.25, "judgement": "proven_within", "judgement_k": "proven_within"},
    "inconsistent": {"certain": [], "one_of": [], "cycle": [], "excess_s": None, "evidence": []},
    "nodes": [
        {"node": "a", "utc_lower_s": -0.001, "utc_upper_s": 0.0002, "utc_by": "ntp"},
        {"node": "b", "utc_lower_s": None, "utc_upper_s": None, "utc_by": None},
    ],
    "left_out": [],
    "pairs": [
        {"a": "a", "b": "b", "lower_s": -0.0012, "upper_s": 0.0004, "lower_k_s": -0.0019, "upper_k_s": None}
    ],
    "of_pairs": 3,
    "unproven": [],
    "of_unproven": 0,
}
EXCHANGE = {
    "from": "a",
    "to": "c",
    "at_most_s": 3.25,
    "by": "exchange",
    "node": "a",
    "peer": "c",
    "at": "2026-11-22T21:59:40Z",
    "rtt_s": 0.00025,
    "aged_s": 3e-6,
}
BOUND = EXCHANGE | {"from": "c", "to": "UTC", "by": "ntp", "node": "c", "peer": None, "rtt_s": None}
LIAR = {
    "certain": ["c"],
    "one_of": [],
    "cycle": ["UTC", "a", "c"],
    "excess_s": 0.02,
    "evidence": [EXCHANGE, BOUND],
}


def changed(**fields):
    return {"as_of": "2026-11-22T22:00:00Z", "clusters": [CLUSTER | fields]}


@pytest.fixture
def asked(analyzer, monkeypatch):
    """The command's exit code for a document of the analyzer's."""
    monkeypatch.setenv("COLUMNS", "250")

    def ask(document, *options, status=200):
        analyzer.answers["/api/v1/skew"] = (status, document)
        return run(["skew", "--store", analyzer.url, *options])

    return ask


def test_the_tables_have_the_figures_the_pairs_and_who_proves_utc(asked, capsys):
    assert asked(changed()) == 0
    told = capsys.readouterr().out
    for words in (
        "prod[x]",
        "proven within",
        "250 ms",
        "1.20 ms",
        "1.90 ms",
        "1.30 ms",
        "12.0 s ago",
        "the worst 1 of 3 pairs",
        "if 1 is wrong",
        "−1.90 ms",
        "its own servers",
        "no bound of UTC is proven",
    ):
        assert words in told


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (LIAR, "c must be wrong, if no more than 1 are"),
        (LIAR | {"certain": [], "one_of": ["a", "c"]}, "one of a, c must be wrong; which one cannot be told"),
        (
            LIAR | {"certain": [], "suspects": ["b", "c"]},
            "more than 1 must be wrong; most speaks against b, c",
        ),
    ],
)
def test_a_contradiction_is_told_in_words_with_its_samples(asked, capsys, found, words):
    document = changed(inconsistent=found, epsilon_s=None, why_unproven="the evidence contradicts itself")
    assert asked(document) == 0
    told = capsys.readouterr().out
    assert words in told
    assert "ε is not proven: the evidence contradicts itself" in told
    assert (
        "S of c − S of a is at most +3.250000 s: a asked c at 2026-11-22T21:59:40Z, round trip 250 µs, "
        "aged by 3.00 µs"
    ) in told
    assert "UTC − S of c is at most +3.250000 s: by the servers of c at 2026-11-22T21:59:40Z" in told
    assert "20.0 ms too little" in told


def test_whoever_is_left_out_or_unconnected_is_named(asked, capsys):
    document = changed(
        left_out=[{"node": "d", "why": "silent", "missing": "it is silent", "last_told_s": 90.0}],
        unproven=[{"a": "b", "b": "c", "missing": "nothing connects b with c"}],
        of_unproven=7,
        why_k_unproven="nothing connects b with c but through a",
    )
    assert asked(document) == 0
    told = capsys.readouterr().out
    for words in ("it is silent", "90.0 s ago", "1 of 7 pairs", "nothing connects b with c", "but through a"):
        assert words in told


def test_options_become_the_query(asked, analyzer):
    assert asked(changed(), "--max-offset", "500ms", "--k", "2", "--pairs", "5", "--node", "a", "--json") == 0
    path, _ = analyzer.asked[-1]
    assert dict(parse_qsl(urlsplit(path).query)) == {
        "max_offset": "500ms",
        "k": "2",
        "pairs": "5",
        "node": "a",
    }


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (changed(), 0),
        (changed(inconsistent=LIAR), 1),
        (changed(max_offset={"configured_s": 0.25, "judgement": "unproven"}), 1),
        (changed(max_offset={"configured_s": 0.25, "judgement": "proven_beyond"}), 1),
    ],
)
def test_check_is_exit_1_unless_all_is_proven_within_and_nothing_contradicts(asked, capsys, document, code):
    assert asked(document, "--check", "--json") == code
    assert json.loads(capsys.readouterr().out) == document
    assert asked(document) == 0


def test_without_a_mesh_it_is_exit_4_and_says_what_to_configure(asked, capsys):
    refused = {"error": "no agent has exchanged packets", "hint": "give each a [mesh] section"}
    assert asked(refused, status=422) == 4
    assert "Give each a [mesh] section." in capsys.readouterr().err


def test_check_goes_without_watch(asked, capsys):
    assert asked(changed(), "--watch", "--check") == 2
    assert "--check goes without --watch" in capsys.readouterr().err
