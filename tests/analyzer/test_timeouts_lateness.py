"""Lateness: what probes tell of heartbeats that are sent more often than they were."""

import numpy as np
import pytest
from analyzer import synthetic as made
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.timeouts.collecting import operations
from truechimer_analyzer.timeouts.lateness import lateness
from truechimer_analyzer.timeouts.use import MONTH_S

RTT = 0.002


def late(samples, heartbeat_s=0.1):
    return lateness(operations(made.columns("truechimer_rtt", samples)), heartbeat_s)


def probes(delays, step_s=1.0):
    return [made.probe(at * step_s, delay, via="stamp") for at, delay in enumerate(delays)]


def test_a_probe_is_late_until_one_sent_then_or_later_arrives():
    """0.5 s late; lost ones until the next that came; one that was overtaken until the overtaker."""
    found = late(probes([RTT, RTT + 0.5, None, None, RTT, RTT + 3.0, RTT, RTT]))
    assert found.each.rtt_s.tolist() == pytest.approx([0.0, 0.5, 2.0, 1.0, 0.0, 1.0, 0.0, 0.0])


def test_losses_before_nobody_looked_are_late_until_then_and_those_at_the_end_left_out():
    samples = [
        *probes([RTT] * 10 + [None, None]),
        *(made.probe(500.0 + at, RTT, via="stamp") for at in range(9)),
    ]
    samples.append(made.probe(509.0, None, via="stamp"))
    found = late(samples)
    assert found.each.rtt_s.max() == pytest.approx(2.0)
    assert found.each.count == 12 + 9


def test_without_replies_there_is_nothing():
    assert late(probes([None] * 5)) is None


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.1, 0.25]), st.sampled_from([0.3, 1.0, 3.0]))
def test_the_bound_is_above_what_frequent_heartbeats_met(seed, heartbeat_s, typical_s):
    """Outages at random: heartbeats each 50 to 250 ms against the bound from probes each second, over 3 h."""
    rng = np.random.default_rng(seed)
    span_s = 10_800.0
    begins = np.sort(rng.uniform(0, span_s, 60))
    ends = begins + rng.exponential(typical_s, 60)

    def arrival(sent):
        held = (begins[None, :] <= sent[:, None]) & (sent[:, None] < ends[None, :])
        return np.where(held.any(axis=1), np.where(held, ends[None, :], 0).max(axis=1), sent) + RTT

    sent = np.arange(0, span_s) + rng.uniform(0, 0.1)
    found = late(
        [
            made.probe(float(at), float(to - at), via="stamp")
            for at, to in zip(sent, arrival(sent), strict=True)
        ],
        heartbeat_s,
    )
    beats = np.arange(0, span_s, heartbeat_s)
    arrived = np.sort(arrival(beats))
    for timeout_s in (0.6, 1.2, 2.5, 5.0):
        mistakes = np.count_nonzero(np.diff(arrived) > timeout_s)
        told = found.false_per_month(timeout_s)
        if told is not None:
            assert told >= 0.5 * mistakes * MONTH_S / span_s


def test_candidates_are_where_the_bound_comes_to_meet_a_rate():
    found = late(probes((0.001 + np.random.default_rng(1).exponential(0.002, 20_000)).tolist()))
    fitting = [
        timeout_s
        for timeout_s in found.candidates_s(2000.0)
        if found.false_per_month(timeout_s) <= 2000.0 * 1.000001
    ]
    assert fitting
    shortest_s = min(fitting)
    assert found.false_per_month(0.9 * shortest_s) > 2000.0


def test_a_timeout_no_longer_than_the_interval_has_no_bound():
    """Replies that all took as long are late by nothing: nothing is divided by nothing."""
    found = late(probes([RTT] * 50))
    for timeout_s in (0.05, 0.1):
        assert found.false_per_month(timeout_s) is None
    assert found.false_per_month(0.2) is not None


def test_none_seen_is_worth_the_time_that_was_watched_however_unequal_the_paths_are():
    """An hour of probes every 0.1 s, and one of every 10 s: a silence of 4 s is seen 40 times or not."""
    samples = [made.probe(0.1 * at, RTT, via="stamp") for at in range(36_000)]
    samples += [made.probe(10.0 * at, RTT, node="c", via="stamp") for at in range(360)]
    none_seen = 3 / (36_000 * 0.1 + 360 * 2.0)
    assert late(samples).false_per_month(4.1) == pytest.approx(none_seen * MONTH_S)


def test_probes_more_frequent_than_heartbeats_count_as_often_as_these_only():
    """Of single losses every hundredth probe, a heartbeat every third probe is late until the next one."""
    samples = probes([None if at % 100 == 99 else RTT for at in range(3000)])
    found = late(samples, 3.0)
    assert found.each.count == 1000
    assert found.each.rtt_s.max() == pytest.approx(3.0)
