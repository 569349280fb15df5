"""The walk-forward backtest: what is fitted where, judged where, and predicted against realised."""

import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made

from truechimer.samples import Sample
from truechimer_analyzer.timeouts import streams as streaming
from truechimer_analyzer.timeouts.backtest import SPANS, backtest
from truechimer_analyzer.timeouts.collecting import operations
from truechimer_analyzer.timeouts.streams import streams

MONTH = 30 * 86_400.0
COUNT = 2000


def trials(samples: list[Sample], target: float = 0.01) -> dict[str, dict[str, Any]]:
    every = operations(made.columns("truechimer_rtt", samples))
    found = backtest(every, streams(every), target, MONTH)
    json.dumps(found, allow_nan=False)
    return {str(each["detector"]): each for each in found}


def steady(count: int = COUNT, peer: str = "b", seed: int = 1) -> list[Sample]:
    delays = np.random.default_rng(seed).exponential(0.002, count) + 0.001
    return [made.probe(float(at), float(delay), peer=peer) for at, delay in enumerate(delays)]


def test_each_span_is_judged_by_what_was_advised_before_it() -> None:
    """Delays double from span to span: each fold's timeout is what the one before took."""
    samples = [made.probe(float(at), 0.01 * 2 ** (at * SPANS // COUNT)) for at in range(COUNT)]
    advised = next(each for name, each in trials(samples).items() if each["fitted"])
    assert advised["form"] == "request"
    assert [fold["detection_mean_s"] for fold in advised["folds"]] == pytest.approx([0.01, 0.02, 0.04, 0.08])
    assert [fold["mistakes"] for fold in advised["folds"]] == [COUNT // SPANS] * (SPANS - 1)
    assert advised["operations"] == advised["mistakes"] == COUNT // SPANS * (SPANS - 1)
    assert advised["mistakes_per_month"] == pytest.approx(MONTH)
    assert all(fold["predicted_upper_per_month"] < MONTH for fold in advised["folds"])


def test_every_detector_is_replayed_and_realised_is_within_predicted_in_a_steady_network() -> None:
    found = trials(steady())
    fitted = [each for each in found.values() if each["fitted"] and each["form"] == "request"]
    assert fitted
    for each in fitted:
        assert each["mistakes_per_month"] <= each["predicted_upper_per_month"]
    kinds = {name.partition("(")[0]: each for name, each in found.items()}
    for kind in (
        "fixed",
        "p99.9×2",
        "jacobson",
        "nfd-e",
        "2w-fd",
        "silence",
        "akka-φ",
        "cassandra-φ",
        "bertier",
    ):
        assert kinds[kind]["operations"] == COUNT // SPANS * (SPANS - 1)
    assert found["akka-φ(8, pause 3s)"]["mistakes"] == 0
    assert found["akka-φ(8, pause 3s)"]["detection_mean_s"] == pytest.approx(4.02, abs=0.01)
    assert found["cassandra-φ(8)"]["detection_mean_s"] == pytest.approx(17.92, abs=0.05)
    # A heartbeat's margin is of the last ones' spread, a few milliseconds; half an interval is the mean wait.
    assert kinds["nfd-e"]["detection_mean_s"] == pytest.approx(0.51, abs=0.01)


def test_losses_are_true_timeouts_of_requests_and_mistakes_of_heartbeats() -> None:
    """Six replies are lost in a row: a silence of 7 s is longer than Akka's 4.5 s, for a live peer."""
    samples = [made.probe(float(at), None if 1500 <= at < 1506 else 0.002) for at in range(COUNT)]
    found = trials(samples)
    assert found["fixed(1s)"]["mistakes"] == 0
    assert found["akka-φ(8, pause 3s)"]["mistakes"] == 1
    assert found["akka-φ(8, pause 3s)"]["worst_window"] == found["bertier(γ=0.1, β=1, φ=4)"]["worst_window"]
    assert found["cassandra-φ(8)"]["mistakes"] == 0


def test_a_time_without_probes_is_nobodys_mistake() -> None:
    """The prober was off for a thousand seconds: heartbeats go on where they stopped."""
    samples = [made.probe(at + (1000.0 if at >= 900 else 0.0), 0.002) for at in range(COUNT)]
    assert trials(samples)["akka-φ(8, pause 3s)"]["mistakes"] == 0


def test_the_worst_window_is_the_hour_of_the_mistakes() -> None:
    """Also for heartbeats, whose own time runs evenly: three bad probes five hours after the beginning."""
    samples = [made.probe(20.0 * at, 90.0 if at in (900, 903, 906) else 0.002) for at in range(COUNT)]
    found = trials(samples)
    hour = found["fixed(5s)"]["worst_window"]
    assert hour is not None
    assert found["fixed(5s)"]["mistakes"] == 3
    assert found["akka-φ(8, pause 3s)"]["worst_window"] == hour


def test_without_a_past_or_a_future_there_is_nothing_to_judge() -> None:
    assert trials([]) == {}
    assert trials([made.probe(0.0, 0.001)]) == {}
    assert trials([made.probe(float(at), None) for at in range(50)]) == {}


def test_a_first_span_without_replies_is_no_past() -> None:
    """Everything is lost at first: folds begin where there is a past with replies."""
    samples = [made.probe(float(at), None if at < 700 else 0.002) for at in range(COUNT)]
    advised = next(each for each in trials(samples).values() if each["fitted"])
    assert [fold["operations"] for fold in advised["folds"]] == [400, 400, 400]


def test_streams_are_the_most_probed_paths_each_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses stand where they were sent; a single probe is no stream."""
    monkeypatch.setattr(streaming, "MOST_PATHS", 2)
    samples = [
        *(made.probe(float(at), None if at == 3 else 0.01 * (at + 1), peer="b") for at in range(6)),
        *(made.probe(at + 0.5, 0.5, peer="c") for at in range(9)),
        made.probe(2.0, 0.1, peer="d"),
        *(made.probe(at + 0.2, 0.5, peer="e") for at in range(3)),
    ]
    longest, other = streams(operations(made.columns("truechimer_rtt", samples)))
    assert len(longest.time_s) == 9
    np.testing.assert_allclose(other.rtt_s, [0.01, 0.02, 0.03, np.nan, 0.05, 0.06])
    assert np.diff(other.time_s).tolist() == [1.0] * 5
    assert other.interval_s == 1.0
    monkeypatch.undo()
    assert len(streams(operations(made.columns("truechimer_rtt", samples)))) == 3


def test_probes_sent_by_threes_are_heartbeats_at_their_mean_interval() -> None:
    """Three probes within 2 ms every 30 s, as recordings of ping have them, and a night without any."""
    samples = [
        made.probe(at * 30.0 + (50_000.0 if at > 500 else 0.0) + third * 0.001, 0.01)
        for at in range(1000)
        for third in range(3)
    ]
    (stream,) = streams(operations(made.columns("truechimer_rtt", samples)))
    assert stream.interval_s == pytest.approx(10.0, rel=0.02)
