"""Probes of a store: read whole, or too many to be: the answers are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from analyzer import synthetic as made

from truechimer_analyzer import timeouts
from truechimer_analyzer.answers import answer
from truechimer_analyzer.reading import Reader
from truechimer_analyzer.stores import open_store
from truechimer_analyzer.timeouts import gathering
from truechimer_analyzer.timeouts.gathering import Probes
from truechimer_analyzer.timeouts.holder import SOURCE, WINDOW_FIELDS, holder_of
from truechimer_analyzer.window import parse_question

if TYPE_CHECKING:
    from pathlib import Path

    from truechimer.samples import Sample

PAUSES = [made.pause(300.0 * at + 0.4, 0.8, node="b") for at in range(1, 9)]
WINDOWS = [made.pause_window(10.0 * at, node=node) for at in range(300) for node in ("a", "b")]


def fleet(seed: int = 1, seconds: int = 3000) -> list[Sample]:
    """Four paths probed every second by jittered clocks, one of them over TCP; losses, slow ones, no way."""
    rng = np.random.default_rng(seed)
    found = []
    for node, peer, via in (("a", "b", "stamp"), ("b", "a", "stamp"), ("a", "c", "tcp"), ("c", "a", "icmp")):
        for at in range(seconds):
            rtt_s = 0.001 * np.exp(rng.normal()) + (0.5 if rng.random() < 2e-3 else 0.0)
            lost = rng.random() < 3e-3 or (peer == "c" and 1000 <= at < 1004)
            outcome = 3 if node == "c" and at in {700, 701} else None
            got_s = None if lost or outcome else rtt_s
            found.append(made.probe(at + rng.uniform(0, 0.05), got_s, peer, via, node, outcome))
    return found


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("store")
    store = open_store(f"embedded:{folder}")
    made.stored(store, [*fleet(), *PAUSES, *WINDOWS])
    store.close()
    store = open_store(f"embedded:{folder}", read_only=True)
    told = {"from": str(made.T0 // made.NS - 10), "to": str(made.T0 // made.NS + 4000)}
    yield Reader(store, parse_question("timeouts", told, made.T0))
    store.close()


def answered(reader: Reader, **options: str) -> dict[str, Any]:
    told = {"from": "2026-11-22T19:00:00Z", "false_per_month": "9000", **options}
    question = parse_question("timeouts", told, made.T0 + 5000 * made.NS)
    pauses = reader.rows("truechimer_pause", ("duration_seconds", "pauses"))
    holder = holder_of(pauses, reader.every_series("truechimer_pause_window", WINDOW_FIELDS, SOURCE))
    record = Probes.of(reader).record(pauses, question.heartbeat_s)
    assert (record.every.unlisted is None) == (gathering.MOST_WHOLE > 0)
    try:
        return timeouts.advise(record, pauses, holder, question)
    except timeouts.TimeoutsRefused as refused:
        return refused.document


@pytest.mark.parametrize("heartbeat", [None, "1s", "5s"])
def test_too_many_probes_are_answered_like_those_that_are_kept_whole(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, heartbeat: str | None
) -> None:
    """Every figure but those of buckets (hedge, the mean trip), which are a hundredth off at most."""
    options = {} if heartbeat is None else {"heartbeat": heartbeat}
    whole = answered(reader, **options)
    # More than half of each part: the tail is looked at no deeper.
    monkeypatch.setattr(gathering, "LISTED", 2000)
    monkeypatch.setattr(gathering, "_SAMPLE", 2000)
    monkeypatch.setattr(gathering, "MOST_WHOLE", 0)
    large = answered(reader, **options)
    assert {key: whole["evidence"][key] for key in whole["evidence"]} == pytest.approx(large["evidence"])
    assert [use["use"] for use in whole["uses"]] == [use["use"] for use in large["uses"]]
    for one, other in zip(whole["uses"], large["uses"], strict=True):
        rough = one["use"] == "hedge"
        assert one["timeout_s"] == pytest.approx(other["timeout_s"], rel=0.011 if rough else 1e-9)
        if rough:
            continue
        for key in ("refused", "binding", "strictest_supported", "by_time", "paths"):
            assert one[key] == other[key], (one["use"], key)
        if one["false_per_month"] is not None:
            assert one["false_per_month"] == pytest.approx(other["false_per_month"])
    for one, other in zip(whole["backtest"], large["backtest"], strict=True):
        assert (one["detector"], one["mistakes"], one["operations"]) == (
            other["detector"],
            other["mistakes"],
            other["operations"],
        )


def test_what_is_listed_is_enough_for_the_tail_and_the_rest_is_counted(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 200 listed of each fifth of the time, all 12000 are counted, by path, part, hour and delay."""
    monkeypatch.setattr(gathering, "LISTED", 200)
    pauses = reader.rows("truechimer_pause", ("duration_seconds", "pauses"))
    whole = Probes.of(reader).record(pauses, None).every
    monkeypatch.setattr(gathering, "MOST_WHOLE", 0)
    every = Probes.of(reader).record(pauses, None).every
    assert every.unlisted is not None
    assert len(every.rtt_s) == 5 * 200
    assert (every.count, every.replies) == (whole.count, whole.replies)
    assert every.by_path.tolist() == whole.by_path.tolist()
    assert every.span_s == pytest.approx(whole.span_s)
    assert every.rate_hz == pytest.approx(whole.rate_hz)
    assert every.median_s == pytest.approx(whole.median_s, rel=0.011)
    assert every.rtt_s.max() == whole.rtt_s.max()
    slower = whole.rtt_s > every.unlisted.quick_s
    assert np.isin(whole.rtt_s[slower], every.rtt_s).all()
    assert every.unlisted.by_hour is not None
    assert every.unlisted.by_hour.sum() == every.unlisted.count
    for edge_s in every.unlisted.edges_s[1:]:
        assert every.before(edge_s).count == whole.before(edge_s).count


def test_a_timeout_that_too_many_outlast_is_refused_and_says_so(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What notices within a millisecond is exceeded by half of all: not counted one by one."""
    monkeypatch.setattr(gathering, "LISTED", 200)
    told = {"from": "2026-11-22T19:00:00Z", "detect_within": "1ms"}
    question = parse_question("timeouts", told, made.T0 + 5000 * made.NS)
    pauses = reader.rows("truechimer_pause", ("duration_seconds", "pauses"))
    holder = holder_of(pauses, reader.every_series("truechimer_pause_window", WINDOW_FIELDS, SOURCE))
    monkeypatch.setattr(gathering, "MOST_WHOLE", 0)
    record = Probes.of(reader).record(pauses, None)
    with pytest.raises(timeouts.TimeoutsRefused) as refused:
        timeouts.advise(record, pauses, holder, question)
    assert "took longer than 0.001 s" in refused.value.document["uses"][0]["refused"]["reason"]


def test_products_ask_for_other_heartbeats_and_those_are_read_together(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same advice as from probes that are kept whole, in three readings at most."""
    told = {
        "from": "2026-11-22T19:00:00Z",
        "false_per_month": "9000",
        "product": "etcd,zookeeper,kafka-consumer,patroni,tikv",
    }
    whole = answer("timeouts", told, reader._store)["products"]
    monkeypatch.setattr(gathering, "MOST_WHOLE", 0)
    monkeypatch.setattr(gathering, "LISTED", 2000)
    readings: list[int] = []

    def count(done: int, rows: int) -> None:
        readings.append(done == rows)

    large = answer("timeouts", told, reader._store, progress=count)["products"]
    assert 1 < sum(readings) <= 3
    assert isinstance(whole, list)
    assert isinstance(large, list)
    for one, other in zip(whole, large, strict=True):
        assert one["verdict"] == other["verdict"]
        advised = {setting["setting"]: setting["advised"] for setting in one["settings"]}
        assert advised == pytest.approx(
            {setting["setting"]: setting["advised"] for setting in other["settings"]}, rel=0.011
        )


def test_progress_tells_all_rows(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last that is told is that all are read."""
    told: list[tuple[int, int]] = []
    watched = Reader(reader._store, reader.question, lambda done, rows: told.append((done, rows)))
    pauses = reader.rows("truechimer_pause", ("duration_seconds", "pauses"))
    monkeypatch.setattr(gathering, "MOST_WHOLE", 0)
    Probes.of(watched).record(pauses, None)
    assert told[-1] == (12_000, 12_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
