"""Answers from probes of which only the slowest are listed are those from all of them, in odd records too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from analyzer import synthetic as made

from truechimer.errors import NotEnough
from truechimer_analyzer.answers import answer
from truechimer_analyzer.timeouts import gathering, streams
from truechimer_analyzer.timeouts.clusters import run_length_s
from truechimer_analyzer.timeouts.listing import Listing

if TYPE_CHECKING:
    from truechimer.samples import Sample

# Half of a part and more in all of these records: the tail is looked at no deeper.
LISTED = 700


def path(
    count: int, gap_s: float = 1.0, peer: str = "b", start_s: float = 0.0, node: str = "a"
) -> list[Sample]:
    """Jittered probes, of which some are lost and some slow."""
    rng = np.random.default_rng([count, ord(peer), ord(node)])
    found = []
    for at in range(count):
        rtt_s = 0.001 * np.exp(rng.normal()) + (0.5 if rng.random() < 3e-3 else 0.0)
        lost = rng.random() < 3e-3
        sent_s = start_s + (at + rng.uniform(0, 0.05)) * gap_s
        found.append(made.probe(sent_s, None if lost else rtt_s, peer, "stamp", node))
    return found


def asked(samples: list[Sample], **options: str) -> dict[str, Any]:
    """The document, also of a refusal."""
    told = {"from": "2026-11-22T19:00:00Z", "false_per_month": "9000", **options}
    told = {key: value for key, value in told.items() if value}
    try:
        return answer("timeouts", told, made.ArrayStore(samples, 200_000))
    except NotEnough as refused:
        return getattr(refused, "document", {"refused": str(refused)})


def both(
    monkeypatch: pytest.MonkeyPatch, samples: list[Sample], listed: int = LISTED, **options: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """From probes kept whole, and from the slowest ``listed`` of each part."""
    whole = asked(samples, **options)
    with monkeypatch.context() as patched:
        patched.setattr(gathering, "MOST_WHOLE", 0)
        patched.setattr(gathering, "LISTED", listed)
        return whole, asked(samples, **options)


# What is told by where those that are only counted stood, and by buckets of 1 %.
_ROUGH = ("predicted_upper_per_month", "mean")


def figures(document: object, at: str = "") -> dict[str, object]:
    """Every figure of a document by where it stands, but for the rough ones."""
    if isinstance(document, dict):
        parts = document.items()
        if document.get("use") == "hedge":
            return {}
    elif isinstance(document, list):
        parts = enumerate(document)
    else:
        return {at: document}
    found: dict[str, object] = {}
    for key, value in parts:
        if key not in _ROUGH:
            found |= figures(value, f"{at}.{key}")
    return found


def assert_alike(whole: dict[str, Any], large: dict[str, Any]) -> None:
    """The answers are the same but for what is rough; hedge is by a hundredth."""
    one, other = figures(whole), figures(large)
    apart = {key: (one.get(key), other.get(key)) for key in one.keys() ^ other.keys()}
    assert not apart
    differ = {
        key: (value, other[key])
        for key, value in one.items()
        if other[key] != (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)
    }
    assert not differ
    if "uses" in whole:
        hedges = [document["uses"][-1]["timeout_s"] for document in (whole, large)]
        assert hedges[0] == (None if hedges[1] is None else pytest.approx(hedges[1], rel=0.02))


def folds(document: dict[str, Any]) -> list[tuple[str, list[tuple[int, int]]]]:
    """Each detector's operations and mistakes; what is set by many mistakes is at a shallower tail."""
    return [
        (trial["detector"], [(fold["operations"], fold["mistakes"]) for fold in trial["folds"]])
        for trial in document["backtest"]
    ]


@pytest.mark.parametrize("outcome", [1, 3], ids=["lost", "unreachable"])
def test_a_first_part_without_replies_is_no_past(monkeypatch: pytest.MonkeyPatch, outcome: int) -> None:
    """Nothing came back in the first fifth: that is no past to judge by, and no error."""
    silent = [made.probe(at, None, "b", "stamp", outcome=outcome) for at in range(1000)]
    whole, large = both(monkeypatch, [*silent, *path(4000, start_s=1000.0)])
    assert large["evidence"] == pytest.approx(whole["evidence"])
    if outcome == 1:
        assert folds(large)[0] == folds(whole)[0]
    assert len(large["backtest"][0]["folds"]) == 3


def test_a_reply_before_its_request_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round trip below 0 that somebody sent spoils nobody's answer."""
    whole, large = both(monkeypatch, [*path(4000), made.probe(4000.0, -0.001, "b", "stamp")])
    assert whole["evidence"]["samples"] == large["evidence"]["samples"] == 4000
    assert whole["uses"][0]["timeout_s"] == large["uses"][0]["timeout_s"]


def test_paths_probed_at_different_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow replies are together by how far apart most operations are, not most paths."""
    samples = path(4000) + path(100, 60.0, "c") + path(100, 60.0, "d")
    assert_alike(*both(monkeypatch, samples))


@pytest.mark.parametrize("heartbeat", ["5s", "10s"])
def test_heartbeats_rarer_than_probes(monkeypatch: pytest.MonkeyPatch, heartbeat: str) -> None:
    """Silences of several phases are as far apart as probes are."""
    samples = path(4000) + path(4000, peer="a", node="b")
    assert_alike(*both(monkeypatch, samples, 1500, heartbeat=heartbeat))


def test_detectors_are_replayed_on_the_paths_with_the_most_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that refuses all, probed the most, is no stream; and the longest of many paths are chosen."""
    monkeypatch.setattr(streams, "MOST_PATHS", 2)
    refused = [made.probe(5.0 + 0.9 * at, None, "x", "stamp", outcome=2) for at in range(4700)]
    assert_alike(*both(monkeypatch, path(3000) + path(600, 4.0, "c") + path(4300, peer="d") + refused, 1200))


@pytest.mark.parametrize("options", [{}, {"heartbeat": "10s"}])
def test_how_often_was_probed_is_told_by_all_probes(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    """Nobody probed in the middle, where it is guessed: what was guessed wrong is read again."""
    monkeypatch.setattr(gathering, "_SAMPLE", 500)
    samples = path(1000, 10.0) + path(1000, 10.0, start_s=30_000.0)
    whole, large = both(monkeypatch, samples, 900, **options)
    assert whole["uses"][1]["interval_s"] == pytest.approx(10.0, rel=0.01)
    assert_alike(whole, large)


@pytest.mark.parametrize("last", [0, 1], ids=["reply first", "loss first"])
def test_a_reply_and_a_loss_at_one_time(monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """The reply stands for the heartbeat, in whatever order the two were stored."""
    twice = [made.probe(at // 2, None if at % 2 == last else 0.1, "c", "stamp") for at in range(4000)]
    whole, large = both(monkeypatch, [*twice, *path(3000)], 1500)
    assert large["uses"][1]["left_out_paths"] == 0
    assert_alike(whole, large)


def test_sooner_than_heartbeats_come_notices_nothing() -> None:
    """Where nobody probed, every heartbeat outlasts such a timeout: fewer of them would not help."""
    samples = [made.pause(100.0 * at, 1.0 + at / 10, node="b") for at in range(10)]
    samples += [made.pause_window(10.0 * at, node=node) for at in range(2000) for node in ("a", "b")]
    uses = {use["use"]: use for use in asked(samples, false_per_month="", detect_within="400ms")["uses"]}
    assert "every heartbeat comes 1 s after the one before" in uses["heartbeat"]["refused"]["reason"]


def test_jitter_decides_no_run() -> None:
    """Probes 6 s apart, give or take: replies that are three gaps apart are so in every record of them."""
    rng = np.random.default_rng(2)
    found = set()
    for _ in range(20):
        time_s = 6.0 * np.arange(500) + rng.uniform(0, 0.3, 500)
        found.add(run_length_s(time_s, np.zeros(500, dtype=np.intp)))
    assert found == {18.0}


def test_a_past_ends_with_its_own_last_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody probed for most of the window: what was before an edge lasted as long as it did."""
    whole, large = both(monkeypatch, path(600) + path(3000, 0.5, "c", 4000.0) + path(2, 5000.0, "d"), 2600)
    assert_alike(whole, large)
    listing = Listing(np.array([0.0, 10.0, 20.0, 30.0]), 1)
    listing.add(np.array([1.0, 2.0, 25.0]), np.array([3.0, 2.0, 1.0]))
    unlisted = listing.listed().unlisted
    assert unlisted is not None
    assert unlisted.before(20.0).last_s.tolist() == [2.0]
