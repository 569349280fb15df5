"""Every detector over whole arrays against the same detector one arrival at a time, and its known figures."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from analyzer import detectors_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer import detectors as d
from truechimer_analyzer.detectors import akka, cassandra

TABLE = json.loads(Path(__file__).with_name("akka_phi_table.json").read_text())
INTERVAL_S = 1.0
MUCH = settings(max_examples=120, deadline=None)

# Quick, overtaken (more than an interval), stalled for long, lost.
delays = st.lists(
    st.one_of(
        st.floats(0.001, 0.05),
        st.floats(0.001, 0.05),
        st.floats(0.5, 3.0),
        st.floats(0.5, 20.0),
        st.just(math.nan),
    ),
    min_size=1,
    max_size=60,
)


def heard_of(some: list[float]) -> tuple[d.Heartbeats, list[reference.Arrival]]:
    """As the detectors are given it and as the references are: each made by itself."""
    heard = d.every_interval(np.array(some), INTERVAL_S)
    arrivals = [
        (number * INTERVAL_S + delay, number, number * INTERVAL_S)
        for number, delay in enumerate(some)
        if math.isfinite(delay)
    ]
    return heard, sorted(arrivals)


def same(detector: d.Detector, some: list[float], expected: object) -> None:
    heard, arrivals = heard_of(some)
    found = detector.deadlines_s(heard)
    np.testing.assert_allclose(found, list(expected(arrivals)), rtol=1e-11)  # type: ignore[operator]


@given(delays, st.integers(1, 12))
@MUCH
def test_detectors_by_sequence_numbers_are_those_of_their_papers(some: list[float], window: int) -> None:
    """NFD-S, NFD-E, 2W-FD and Bertier, with losses and heartbeats that overtake each other."""
    same(d.NfdS(0.3), some, lambda a: reference.nfd_s(a, INTERVAL_S, 0.3))
    same(d.NfdE(0.2, window), some, lambda a: reference.nfd_e(a, INTERVAL_S, 0.2, [window]))
    same(d.TwoWindow(0.1, 2, window), some, lambda a: reference.nfd_e(a, INTERVAL_S, 0.1, [2, window]))
    same(
        d.Bertier(3.0, 1.5, 0.2, window),
        some,
        lambda a: reference.bertier(a, INTERVAL_S, window, 0.2, 1.5, 3.0),
    )


@given(delays, st.integers(1, 12), st.floats(0.3, 12.0), st.sampled_from([0.0, 0.5, 3.0]))
@MUCH
def test_akka_is_akkas_whatever_it_does_not_learn(
    some: list[float], window: int, threshold: float, pause: float
) -> None:
    """The intervals that ended a suspicion are not learned, which changes what ends the next."""
    y = akka.deviations_for(threshold)
    same(
        d.Akka(threshold, pause, 1.0, window, 0.1),
        some,
        lambda a: reference.akka(a, threshold, pause, 1.0, window, 0.1, y),
    )


def test_akka_over_many_chunks_is_akkas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, a small window, and enough mistakes that the chunks grow smaller and larger."""
    monkeypatch.setattr(akka, "_AT_ONCE", 400)
    monkeypatch.setattr(akka, "_LEAST_AT_ONCE", 7)
    rng = np.random.default_rng(3)
    some = (rng.exponential(0.3, 4000) * np.where(rng.random(4000) < 0.1, 8, 1)).tolist()
    y = akka.deviations_for(2.0)
    same(
        d.Akka(2.0, 0.0, 1.0, 50, 0.1),
        some,
        lambda a: reference.akka(a, 2.0, 0.0, 1.0, 50, 0.1, y),
    )


@given(delays, st.integers(1, 12), st.floats(0.5, 12.0), st.floats(0.5, 5.0))
@MUCH
def test_cassandra_is_cassandras(some: list[float], window: int, threshold: float, longest: float) -> None:
    """What is longer than the longest interval is not learned; the first counts as if it had been 2 s."""
    same(
        d.Cassandra(threshold, window, 2.0, longest),
        some,
        lambda a: reference.cassandra(a, threshold, window, 2.0, longest),
    )


@given(delays, st.floats(0.5, 8.0))
@MUCH
def test_jacobson_is_rfc_6298_and_knows_only_what_has_arrived(some: list[float], k: float) -> None:
    """Equal to the bit; a reply is not learned from before it arrived, be that after later requests."""
    asked = d.Requests(np.arange(len(some)) * INTERVAL_S, np.array(some))
    replies = sorted((n * INTERVAL_S + x, n, x) for n, x in enumerate(some) if math.isfinite(x))
    known = [sum(at <= n * INTERVAL_S for at, of, _ in replies if of < n) for n in range(len(some))]
    expected = list(reference.jacobson([x for _, _, x in replies], known, k, 0.001))
    assert d.Jacobson(k).timeouts_s(asked).tolist() == expected
    floored = d.Jacobson(k, least_s=1.0).timeouts_s(asked).tolist()
    assert floored == [max(1.0, each) for each in expected]


def test_rfc_6298_by_hand() -> None:
    """100 ms, then 200 ms: 100 + 4·50, then SRTT 112.5 and RTTVAR 62.5."""
    asked = d.Requests(np.arange(3.0), np.array([0.1, 0.2, 0.1]))
    assert d.Jacobson().timeouts_s(asked).tolist() == pytest.approx([1.0, 0.3, 0.1125 + 4 * 0.0625])


@given(delays, st.integers(1, 9), st.integers(1, 9))
@MUCH
def test_the_percentile_is_of_replies_that_had_arrived(some: list[float], window: int, every: int) -> None:
    asked = d.Requests(np.arange(len(some)) * INTERVAL_S, np.array(some))
    found = d.Percentile(2.0, 0.75, window, every).timeouts_s(asked).tolist()
    arrived = sorted((n * INTERVAL_S + x, n, x) for n, x in enumerate(some) if math.isfinite(x))
    replies = [x for *_, x in arrived]
    for number, timeout in enumerate(found):
        known = sum(n + x <= number for n, x in enumerate(some) if n < number and math.isfinite(x))
        last = sorted(replies[: known // every * every][-window:])
        assert timeout == (2 * last[math.ceil(0.75 * len(last)) - 1] if last else 1.0)


@pytest.mark.parametrize(("since", "mean", "deviation", "expected"), TABLE["phi"])
def test_akkas_phi_is_its_formula_to_twelve_digits(
    since: float, mean: float, deviation: float, expected: str
) -> None:
    """Against the formula in decimals of 60 digits (akka_phi_table.py)."""
    assert akka.phi(since, mean, deviation) == pytest.approx(float(expected), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("threshold", "mean", "deviation", "expected"), TABLE["reaches"])
def test_akkas_threshold_is_reached_when_the_formula_reaches_it(
    threshold: str, mean: float, deviation: float, expected: str
) -> None:
    found = mean + akka.deviations_for(float(threshold)) * deviation
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_akkas_defaults_are_about_four_and_a_half_seconds() -> None:
    """Whatever the network: with intervals of 1 s ± 10 ms the least deviation decides."""
    rng = np.random.default_rng(1)
    heard = d.every_interval(rng.normal(0.05, 0.005, 3000), 1.0)
    timeout_s = d.Akka().deadlines_s(heard) - heard.arrived_s
    assert timeout_s[-1] == pytest.approx(4.52, abs=0.01)


def test_cassandras_thresholds_are_so_many_means() -> None:
    assert cassandra.intervals_for(8) == pytest.approx(18.42, abs=0.005)
    assert cassandra.intervals_for(12) == pytest.approx(27.63, abs=0.005)
    heard = d.every_interval(np.full(3000, 0.01), 1.0)
    silence_s = d.Cassandra().deadlines_s(heard) - heard.arrived_s
    assert silence_s[0] == pytest.approx(2 * 18.42, abs=0.01)
    assert silence_s[-1] == pytest.approx(18.42, abs=0.01)


def test_cassandra_cannot_learn_long_pauses() -> None:
    """Every tenth interval of 15 s does not change the mean of the others."""
    gaps = np.where(np.arange(500) % 10 == 9, 15.0, 1.0)
    heard = d.heartbeats(np.cumsum(gaps), np.cumsum(gaps), 1.0)
    assert (d.Cassandra(first_s=2.0).deadlines_s(heard) - heard.arrived_s)[-1] < 18.6


def test_cassandra_spares_everybody_after_its_own_stall() -> None:
    """Of 30 s without arrivals, a stall of 6 s covers the deadline: it moves to 5 s after its end."""
    heard = d.heartbeats(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 1.0, until_s=90.0)
    plain_s = float(d.Cassandra().deadlines_s(heard)[-1])
    stalled = d.Cassandra(stalls_s=np.array([[plain_s - 3, plain_s + 3]])).deadlines_s(heard)
    assert stalled[-1] == pytest.approx(plain_s + 8)
    short = d.Cassandra(stalls_s=np.array([[plain_s - 2, plain_s + 2]])).deadlines_s(heard)
    assert short[-1] == plain_s


def test_nothing_heard_is_no_error() -> None:
    """All lost, or nothing sent: no deadlines, and first timeouts only."""
    for some in ([], [math.nan] * 5):
        heard = d.every_interval(np.array(some, dtype=np.float64), 1.0)
        asked = d.Requests(np.arange(len(some), dtype=np.float64), np.array(some, dtype=np.float64))
        for detector in (
            d.Fixed(1.0),
            d.Akka(),
            d.Cassandra(),
            d.NfdS(1.0),
            d.NfdE(1.0),
            d.Bertier(),
            d.TwoWindow(1.0),
        ):
            assert len(detector.deadlines_s(heard)) == 0
            assert d.judge(heard, detector.deadlines_s(heard)).detection_mean_s is None
        for request in (d.Fixed(1.0), d.Percentile(2.0), d.Jacobson()):
            assert request.timeouts_s(asked).tolist() == [1.0] * len(some)
