"""What one answered probe proves, held against two clocks that drift as they like within what is assumed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.packettimes.times import Times
from truechimer_agent.stamp.errors import Malformed
from truechimer_agent.stamp.exchange import drift_ns, measure
from truechimer_agent.stamp.packet import Reply
from truechimer_agent.stamp.stamps import stamp_down, stamp_up

T0 = 1_795_000_000 * 10**9
MAX_DRIFT_PPB = 500_000
DRIFTS = st.integers(-MAX_DRIFT_PPB, MAX_DRIFT_PPB)
SPANS = st.integers(0, 3 * 10**9)


def reply_of(t2_ns, t3_ns):
    return Reply(0, stamp_down(t3_ns), 1, stamp_up(t2_ns), 0, 0, 255, None)


def times_of(sent_ns, received_ns):
    return Times(sent_ns, received_ns, sent_ns, received_ns)


@given(
    there_ns=SPANS,
    inside_ns=SPANS,
    back_ns=SPANS,
    drift_ppb=DRIFTS,
    peer_drift_ppb=DRIFTS,
    ahead_ns=st.integers(-(10**18), 10**18),
)
def test_the_bounds_hold_whatever_the_delays_and_the_drifts(
    there_ns, inside_ns, back_ns, drift_ppb, peer_drift_ppb, ahead_ns
):
    """As of the probe's own time of sending; and they are no wider than the round trip and the drift."""

    def own(true_ns):
        return T0 + Fraction(true_ns * (10**9 + drift_ppb), 10**9)

    def peers(true_ns):
        return T0 + ahead_ns + Fraction(true_ns * (10**9 + peer_drift_ppb), 10**9)

    away_ns = there_ns + inside_ns + back_ns
    sent_ns, received_ns = int(own(0)), int(own(away_ns)) + 1
    t2_ns, t3_ns = int(peers(there_ns)) + 1, int(peers(there_ns + inside_ns))
    measured = measure(reply_of(t2_ns, t3_ns), times_of(sent_ns, received_ns), MAX_DRIFT_PPB)
    truth_ns = peers(0) - own(0)
    assert measured.lower_ns <= truth_ns <= measured.upper_ns
    width_ns = (received_ns - sent_ns) - (t3_ns - t2_ns) + drift_ns(received_ns - sent_ns, MAX_DRIFT_PPB)
    assert measured.upper_ns - measured.lower_ns <= width_ns + 4
    assert measured.residence_ns == pytest.approx(max(0, t3_ns - t2_ns), abs=2)


def test_the_round_trip_is_of_the_likely_times():
    """The bounds are of the certain ones."""
    times = Times(T0, T0 + 1000, T0 + 100, T0 + 800)
    measured = measure(reply_of(T0 + 300, T0 + 500), times, 0)
    assert measured.rtt_ns == pytest.approx(500, abs=2)
    assert measured.upper_ns - measured.lower_ns == pytest.approx(800, abs=4)


def test_a_peer_that_had_the_probe_for_longer_than_it_was_away_is_not_believed():
    """Its clock or its word is wrong."""
    with pytest.raises(Malformed, match="away for 1000000 ns"):
        measure(reply_of(T0, T0 + 1_010_000), times_of(T0, T0 + 1_000_000), MAX_DRIFT_PPB)


def test_drift_is_rounded_up():
    """500 ppm each are a little more than 1,000 ppm of one of them."""
    assert drift_ns(0, 500_000) == 0
    assert drift_ns(1, 500_000) == 1
    assert drift_ns(10**9, 500_000) == 1_000_501
