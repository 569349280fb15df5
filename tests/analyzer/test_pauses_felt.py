"""What others feel: the three formulas against simulated arrivals, stays, heartbeats, and a meter's view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from truechimer_analyzer.pauses import felt
from truechimer_analyzer.pauses.lengths import Lengths

OBSERVED_S = 20_000.0
INTERVAL_S = 0.01
THRESHOLD_S = 0.005


def world(seed: int, count: int = 600) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beginnings and lengths of pauses that never overlap: most short, a few of seconds."""
    rng = np.random.default_rng(seed)
    begins = np.sort(rng.uniform(0, OBSERVED_S - 50, count))
    lengths = np.minimum(rng.exponential(0.03, count) + 0.02 * rng.pareto(1.5, count), 5.0)
    apart = np.append(np.diff(begins), 50.0)
    return begins, np.minimum(lengths, 0.9 * apart)


def waits(begins: NDArray[np.float64], lengths: NDArray[np.float64], at: NDArray[np.float64]):
    """How much of a pause is left at each moment."""
    row = np.searchsorted(begins, at, side="right") - 1
    left = begins[np.maximum(row, 0)] + lengths[np.maximum(row, 0)] - at
    return np.where(row >= 0, np.maximum(0.0, left), 0.0)


def metered(begins: NDArray[np.float64], lengths: NDArray[np.float64], phase_s: float) -> Lengths:
    """As the meter records it: lateness, above the threshold, past the first deadline in each pause."""
    first = phase_s + np.ceil((begins - phase_s) / INTERVAL_S) * INTERVAL_S
    late = begins + lengths - first
    return Lengths.of(late[late > THRESHOLD_S], interval_s=INTERVAL_S)


@pytest.mark.parametrize("limit_s", [0.01, 0.05, 0.3, 1.0])
def test_arrivals_at_random_moments_wait_as_often_as_told(limit_s: float) -> None:
    begins, lengths = world(1)
    at = np.random.default_rng(2).uniform(0, OBSERVED_S, 4_000_000)
    met = np.count_nonzero(waits(begins, lengths, at) > limit_s) / len(at)
    least, most = felt.arrival(Lengths.of(lengths), OBSERVED_S, limit_s)
    assert least == most == pytest.approx(met, rel=0.15)


def test_what_a_meter_sees_is_made_up_for_without_bias() -> None:
    """Averaged over the meter's phase: the share of late deadlines is the truth, plain lengths read low."""
    begins, lengths = world(3, 4000)
    truth = Lengths.of(lengths)
    phases = np.linspace(0, INTERVAL_S, 24, endpoint=False)
    for limit_s in (0.01, 0.03, 0.1):
        seen = [metered(begins, lengths, phase) for phase in phases]
        mean = np.mean([felt.arrival(one, OBSERVED_S, limit_s)[0] for one in seen])
        plain = np.mean([np.maximum(0, one.total_s - limit_s).sum() / OBSERVED_S for one in seen])
        real = felt.arrival(truth, OBSERVED_S, limit_s)[0]
        assert mean == pytest.approx(real, rel=0.01)
        assert plain < mean


def test_requests_that_stay_meet_what_begins_meanwhile() -> None:
    begins, lengths = world(4)
    limit_s, stay_s = 0.1, 2.0
    at = np.random.default_rng(5).uniform(0, OBSERVED_S - stay_s, 400_000)
    long_begins = begins[lengths > limit_s]
    inside = np.searchsorted(long_begins, at + stay_s) - np.searchsorted(long_begins, at, side="right")
    held = (waits(begins, lengths, at) > limit_s) | (inside > 0)
    told = felt.staying(Lengths.of(lengths), OBSERVED_S, limit_s, stay_s)[0]
    assert held.mean() == pytest.approx(told, rel=0.1)
    assert held.mean() <= told * 1.02


@pytest.mark.parametrize(("every_s", "timeout_s"), [(0.1, 0.15), (0.5, 0.6), (1.0, 1.2)])
def test_heartbeats_are_missed_as_often_as_told(every_s: float, timeout_s: float) -> None:
    """Beats of a paused process wait for its end; a suspicion is a silence that lasts beyond the timeout."""
    begins, lengths = world(6, 2000)
    rates = []
    for phase in np.linspace(0, every_s, 40, endpoint=False):
        beats = np.arange(phase, OBSERVED_S, every_s)
        sent = beats + waits(begins, lengths, beats)
        rates.append(np.count_nonzero(np.diff(np.unique(sent)) > timeout_s) / OBSERVED_S)
    told = felt.suspicions_hz(Lengths.of(lengths), OBSERVED_S, timeout_s, every_s)
    assert told is not None
    # Two pauses between the same two beats add up, which the formula leaves out: so a little room.
    assert np.mean(rates) == pytest.approx(told[0], rel=0.1)
    q_hz = felt.arrival(Lengths.of(lengths), OBSERVED_S, timeout_s - every_s)[0] / every_s
    assert told[0] <= q_hz


def test_the_three_formulas_by_hand() -> None:
    """One pause of 3 s in 1000 s."""
    one = Lengths.of(np.array([3.0]))
    assert felt.arrival(one, 1000, 1.0) == (0.002, 0.002)
    assert felt.staying(one, 1000, 1.0, 5.0) == (pytest.approx(0.007), pytest.approx(0.007))
    # T = 2.5, η = 1: any phase of the beat leaves 1.5 to 2.5 s of silence or more: always missed, once.
    assert felt.suspicions_hz(one, 1000, 2.5, 1.0) == pytest.approx((0.001, 0.001))
    # T = 3.5: only half of the phases.
    assert felt.suspicions_hz(one, 1000, 3.5, 1.0) == pytest.approx((0.0005, 0.0005))
    assert felt.suspicions_hz(one, 1000, 0.5, 1.0) is None
    assert felt.residual_s(one, 1000) == pytest.approx((2.0, 2.0))
    left = felt.residual(one, 1000)
    assert (left["met_ratio"], left["p50_s"], left["p90_s"]) == pytest.approx((0.003, 1.5, 2.7))


def test_no_pauses_are_felt_by_nobody() -> None:
    none = Lengths.of(np.zeros(0))
    assert felt.residual_s(none, 1000) == (0, 0)
    assert felt.residual(none, 1000)["met_ratio"] == 0
    (first, *_) = felt.felt(none, 1000, 0.005, felt.Wish())
    assert (first["limit_s"], first["arrival"], first["staying_upper"]) == (0.01, 0, 0)


def test_nothing_is_said_of_what_is_below_the_threshold() -> None:
    rows = felt.felt(Lengths.of(np.array([3.0])), 1000, 0.05, felt.Wish(heartbeat_s=1.0))
    assert rows[0]["limit_s"] == 0.05
    # T − η = 0 is below it too; the rows end where nothing reaches.
    assert {row["limit_s"]: row["false_suspicions_hz"] for row in rows}[1.0] is None
    assert rows[-1]["false_suspicions_upper_hz"] == 0


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=50), st.floats(10, 1000), st.floats(0.0001, 0.1))
def test_the_residual_solves_its_own_definition(
    durations: list[float], observed_s: float, share: float
) -> None:
    """The share of the observed time with more than x of a pause left is ``share`` at x."""
    values = np.array(durations)
    found, upper = felt.residual_s(Lengths.of(values), observed_s, share)
    assert found == upper
    left = np.maximum(0, values - found).sum() / observed_s
    if found > 0:
        assert left == pytest.approx(share, rel=1e-6)
    else:
        assert left <= share + 1e-12


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.floats(0.001, 5), min_size=1, max_size=5), min_size=1, max_size=6),
    st.floats(0.05, 3),
    st.floats(0.05, 3),
)
def test_what_sums_hide_is_felt_within_the_figures(
    hidden: list[list[float]], from_s: float, every_s: float
) -> None:
    truth = Lengths.of(np.array([length for one in hidden for length in one]))
    known = Lengths.of(np.array([sum(one) for one in hidden]), np.array([float(len(one)) for one in hidden]))
    told = felt.suspicions_hz(known, 1000, from_s + every_s, every_s)
    real = felt.suspicions_hz(truth, 1000, from_s + every_s, every_s)
    assert told is not None
    assert real is not None
    assert told[0] <= real[0] + 1e-9 <= told[1] + 2e-9
    for limit_s in (0.0, from_s):
        least, most = felt.staying(known, 1000, limit_s, every_s)
        assert least - 1e-9 <= felt.staying(truth, 1000, limit_s, every_s)[0] <= most + 1e-9
