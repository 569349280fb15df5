"""`pauses`: exposure, rates, causes and evidence; the residual wait against a Monte Carlo."""

import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import T0, ArrayStore
from hypothesis import given
from hypothesis import strategies as st

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.pauses import residual_s
from truechimer_analyzer.window import iso


def sources(samples: list[Sample], **options: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = answer("pauses", options, ArrayStore(samples, 3600))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document["sources"]


def test_nobody_looking_is_no_source() -> None:
    assert sources([]) == []


def test_a_quiet_window_is_not_the_same_as_nothing_observed() -> None:
    (quiet,) = sources([made.pause_window(float(at)) for at in range(0, 3600, 10)])
    assert (quiet["observed_s"], quiet["count"], quiet["per_hour"]) == (3600, 0, 0)
    assert (quiet["max_s"], quiet["residual_p999_s"], quiet["threshold_s"]) == (None, 0, 0.005)
    (blind,) = sources([made.pause(5.0, 0.1)])
    assert (blind["observed_s"], blind["count"], blind["per_hour"]) == (0, 1, None)
    assert blind["residual_p999_s"] is None


def test_pauses_are_counted_by_cause_and_the_longest_keep_their_evidence() -> None:
    samples = [made.pause_window(float(at)) for at in range(0, 360, 10)]
    samples += [made.pause(10.0 * i, 0.01 * (i + 1), "stopped" if i % 3 else "run_queue") for i in range(12)]
    (found,) = sources(samples)
    assert (found["source"], found["runtime"]) == ("host", "host")
    assert found["causes"] == {"stopped": 8, "run_queue": 4}
    assert found["per_hour"] == pytest.approx(120)
    assert found["total_s"] == pytest.approx(0.78)
    assert len(found["longest"]) == 10
    longest = found["longest"][0]
    assert longest["at"] == iso(T0 + 110 * made.NS)
    assert longest["duration_s"] == pytest.approx(0.12)
    assert (longest["cause"], longest["confidence"]) == ("stopped", 0.9)
    assert longest["evidence"] == {"run_delay_seconds": 0.0}
    assert [pause["at"] for pause in found["timeline"]] == sorted(pause["at"] for pause in found["timeline"])
    assert (found["p50_s"], found["p99_s"]) == (pytest.approx(0.06), None)


def test_the_timeline_keeps_the_newest_500() -> None:
    (found,) = sources([made.pause(float(i), 0.01) for i in range(700)])
    assert len(found["timeline"]) == 500
    assert found["timeline"][-1]["at"] == iso(T0 + 699 * made.NS)


@given(st.lists(st.floats(0.001, 5), max_size=50), st.floats(10, 1000), st.floats(0.0001, 0.1))
def test_the_residual_solves_its_own_definition(
    durations: list[float], observed: float, share: float
) -> None:
    """The share of the observed time with more than x of a pause left is ``share`` at x."""
    values = np.array(durations)
    found = residual_s(values, observed, share)
    left = np.maximum(0, values - found).sum() / observed
    if found > 0:
        assert left == pytest.approx(share, rel=1e-6)
    else:
        assert left <= share + 1e-12


def test_the_residual_is_what_requests_at_random_moments_wait() -> None:
    """Monte Carlo: 2 million arrivals in an hour with 60 pauses; the 99.9th percentile of their waits."""
    rng = np.random.default_rng(7)
    observed = 3600.0
    starts = np.arange(60) * 60.0
    durations = rng.exponential(0.3, 60) + 0.02
    arrivals = rng.uniform(0, observed, 2_000_000)
    index = np.searchsorted(starts, arrivals, side="right") - 1
    waits = np.maximum(0, starts[index] + durations[index] - arrivals)
    assert residual_s(durations, observed, 0.001) == pytest.approx(np.quantile(waits, 0.999), rel=0.03)
