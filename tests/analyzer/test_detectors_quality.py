"""Mistakes, their lengths and recurrence, accuracy, detection: against event by event and single crashes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from analyzer import detectors_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer import detectors as d

INTERVAL_S = 1.0
DETECTORS: tuple[d.Detector, ...] = (
    d.Fixed(1.5),
    d.NfdE(0.1, 5),
    d.NfdS(0.02),
    d.Bertier(window=5),
    d.Akka(1.0, 0.0),
)
delays = st.lists(
    st.one_of(st.floats(0.001, 0.05), st.floats(0.001, 6.0), st.just(math.nan)), min_size=1, max_size=50
)


@given(delays, st.sampled_from(DETECTORS))
@settings(max_examples=200, deadline=None)
def test_mistakes_are_those_of_events_one_by_one(some: list[float], detector: d.Detector) -> None:
    """A suspicion that an arrival does not end, since its own deadline is over already, is one mistake."""
    heard = d.every_interval(np.array(some), INTERVAL_S)
    deadline_s = detector.deadlines_s(heard)
    found = d.judge(heard, deadline_s)
    arrivals = [(at, 0, 0.0) for at in heard.arrived_s.tolist()]
    expected = reference.mistakes(arrivals, deadline_s.tolist(), heard.until_s)
    assert found.begins_s.tolist() == [begin for begin, _ in expected]
    assert d.quality.suspicions_s(heard, deadline_s, heard.until_s).tolist() == found.begins_s.tolist()
    assert found.lengths_s == pytest.approx([end - begin for begin, end in expected], abs=1e-12)
    if expected:
        wrong = sum(end - begin for begin, end in expected)
        assert found.mistake_mean_s == pytest.approx(wrong / len(expected))
        if found.observed_s:
            assert found.accuracy == pytest.approx(1 - wrong / found.observed_s)
    if len(expected) > 1:
        gaps = [after[0] - before[0] for before, after in pairwise(expected)]
        assert found.recurrence_mean_s == pytest.approx(sum(gaps) / len(gaps))


@given(st.lists(st.floats(0.001, 0.9), min_size=1, max_size=12), st.sampled_from(DETECTORS), st.data())
@settings(max_examples=25, deadline=None)
def test_detection_is_what_crashes_at_many_moments_take(
    some: list[float], detector: d.Detector, data: st.DataObject
) -> None:
    """Each crash replays the detector on the heartbeats sent before it, and waits for its deadline."""
    lost = data.draw(st.sets(st.integers(0, len(some) - 1), max_size=len(some) - 1))
    delay_s = np.array([math.nan if number in lost else each for number, each in enumerate(some)])
    heard = d.every_interval(delay_s, INTERVAL_S)
    found = d.judge(heard, detector.deadlines_s(heard))
    begin_s, end_s = heard.sent_s[0], heard.sent_s[-1] + INTERVAL_S
    steps = 300
    times = []
    for crash_s in begin_s + (end_s - begin_s) * (np.arange(steps) + 0.5) / steps:
        before = d.every_interval(delay_s[: int(crash_s / INTERVAL_S) + 1], INTERVAL_S)
        times.append(max(0.0, float(detector.deadlines_s(before)[-1]) - crash_s))
    # A crash is at most half a step from the nearest that was tried.
    step_s = (end_s - begin_s) / steps
    assert found.detection_mean_s == pytest.approx(np.mean(times), abs=step_s)
    assert found.detection_min_s == pytest.approx(min(times), abs=1.01 * step_s)
    assert found.detection_max_s == pytest.approx(max(times), abs=1.01 * step_s)


def test_detection_with_overtaking_goes_by_what_was_sent_before_the_crash() -> None:
    """The second heartbeat arrives after the third: a crash after the second still waits for it."""
    heard = d.every_interval(np.array([0.1, 2.4, 0.1]), 1.0)
    assert heard.sequence.tolist() == [0, 2, 1]
    found = d.judge(heard, d.Fixed(3.0).deadlines_s(heard))
    # Heartbeats 0 and 2 are fresh; after 2, the one that it overtook keeps the peer alive until 3.4 + 3.
    assert found.detection_max_s == pytest.approx(6.4 - 2.0)


def test_a_steady_peer_is_detected_between_timeout_and_timeout_less_an_interval() -> None:
    heard = d.every_interval(np.full(100, 0.25), 1.0)
    found = d.judge(heard, d.Fixed(4.0).deadlines_s(heard))
    assert (found.detection_min_s, found.detection_max_s) == pytest.approx((3.25, 4.25))
    assert found.detection_mean_s == pytest.approx(3.75)
    assert (found.mistakes, found.accuracy, found.recurrence_mean_s) == (0, 1.0, None)


def test_the_end_censors() -> None:
    """Silence until the end is a suspicion that is still open, not one that did not happen."""
    heard = d.every_interval(np.array([0.1, math.nan, math.nan, math.nan]), 1.0)
    found = d.judge(heard, d.Fixed(2.0).deadlines_s(heard))
    assert found.open
    assert found.lengths_s.tolist() == pytest.approx([4.0 - 2.1])


@given(delays, st.sampled_from(DETECTORS), st.floats(0.5, 20.0))
@settings(deadline=None)
def test_windows_have_all_mistakes_between_them(
    some: list[float], detector: d.Detector, window_s: float
) -> None:
    heard = d.every_interval(np.array(some), INTERVAL_S)
    deadline_s = detector.deadlines_s(heard)
    whole = d.judge(heard, deadline_s)
    windows = d.quality.by_window(heard, deadline_s, window_s)
    together = [begin for each in windows for begin in each.begins_s.tolist()]
    # One at the very last moment belongs to no window.
    assert together == [begin for begin in whole.begins_s.tolist() if begin < heard.until_s]


def test_requests_that_were_lost_are_no_mistakes() -> None:
    asked = d.Requests(np.arange(4.0), np.array([0.1, math.nan, 0.5, 0.2]))
    found = d.judge_requests(asked, np.array([0.2, 0.2, 0.2, 0.4]))
    assert (found.operations, found.lost, found.mistakes) == (4, 1, 1)
    assert found.late.tolist() == [False, False, True, False]
    assert found.timeout_mean_s == pytest.approx(0.25)
