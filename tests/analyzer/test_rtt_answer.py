"""`rtt`: percentiles of replies only where supported; everything else counted apart."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore
from hypothesis import given
from hypothesis import strategies as st

from truechimer.samples import ProbeOutcome, Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.rtt import curve, percentiles


def paths(samples: list[Sample], **options: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = answer("rtt", options, ArrayStore(samples, 3600))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document["paths"]


def test_no_probes_are_no_paths() -> None:
    assert paths([]) == []


def test_outcomes_are_counted_apart_and_no_loss_is_in_a_percentile() -> None:
    samples = [made.probe(float(i), 0.001 * (i + 1)) for i in range(10)]
    samples += [made.probe(20.0 + o, None, outcome=o) for o in ProbeOutcome if o]
    (path,) = paths(samples)
    assert (path["node"], path["peer"], path["via"]) == ("a", "b", "tcp")
    assert (path["count"], path["replies"]) == (18, 10)
    assert path["lost"] == path["refused"] == path["host_unreachable"] == path["own_stall"] == 1
    assert (path["min_s"], path["max_s"]) == (0.001, 0.01)
    assert (path["p50_s"], path["p90_s"]) == pytest.approx((0.005, 0.009))
    assert path["p99_s"] is None
    assert path["p999_s"] is None
    assert path["lost_forward"] is None
    assert path["span_s"] == pytest.approx(28)


def test_a_path_that_only_lost_has_no_delay() -> None:
    (path,) = paths([made.probe(float(i), None) for i in range(5)])
    assert (path["lost"], path["min_s"], path["p50_s"], path["max_s"]) == (5, None, None, None)


def test_losses_by_direction_come_from_the_path_counters() -> None:
    counters = {"sent": 10, "received": 8, "lost_forward": 1, "lost_backward": 1}
    samples = [made.probe(1.0, 0.001, via="stamp"), made.probe(1.0, 0.001)]
    samples += [made.sample("truechimer_path", float(at), counters, peer="b") for at in (10, 20)]
    by_via = {path["via"]: path for path in paths(samples)}
    assert (by_via["stamp"]["lost_forward"], by_via["stamp"]["lost_backward"]) == (2, 2)
    assert by_via["tcp"]["lost_forward"] is None


def test_a_direction_that_no_row_tells_is_unknown_and_not_without_loss() -> None:
    untold = made.sample("truechimer_path", 5.0, {"sent": 10, "received": 9}, peer="b")
    (path,) = paths([untold, made.probe(1.0, 0.001, via="stamp")])
    assert (path["lost_forward"], path["lost_backward"]) == (None, None)


@given(st.lists(st.floats(0.0001, 10), min_size=1, max_size=3000))
def test_a_percentile_is_an_observed_value_that_so_many_do_not_exceed(values: list[float]) -> None:
    ordered = np.sort(values)
    found = percentiles(ordered)
    for name, share, least in (("p50_s", 0.5, 2), ("p90_s", 0.9, 10), ("p99_s", 0.99, 100)):
        value = found[name]
        assert (value is None) == (len(values) < least)
        if value is not None:
            assert value in values
            assert np.count_nonzero(ordered <= value) >= share * len(values) - 1e-6


@given(st.lists(st.floats(0.0001, 10), min_size=1, max_size=500))
def test_the_curve_is_short_falls_and_ends_at_the_longest(values: list[float]) -> None:
    ordered = np.sort(values)
    points = curve(ordered)
    assert len(points) <= 60
    assert points[-1]["rtt_s"] == ordered[-1]
    assert all(a["exceedance"] > b["exceedance"] for a, b in itertools.pairwise(points))
    for point in points[:-1]:
        assert np.mean(ordered > point["rtt_s"]) <= point["exceedance"] + 1e-9


def test_the_curve_is_given_when_asked_for() -> None:
    samples = [made.probe(float(i), 0.001 * (i + 1)) for i in range(100)]
    assert "curve" not in paths(samples)[0]
    assert len(paths(samples, histogram="1")[0]["curve"]) <= 60
