"""One exchange: every rejection, and that a good one's interval contains the truth."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import NtpOutcome, ServerReason
from truechimer_agent.ntp import packet
from truechimer_agent.ntp.exchange import Exchange, Failure, Request, judge
from truechimer_agent.packettimes.times import Times

T0 = 1_795_000_000 * 10**9
NONCE = 0x1234_5678_9ABC_DEF0


def between(sent_ns, received_ns):
    """Times without kernel stamps."""
    return Times(sent_ns, received_ns, sent_ns, received_ns)


def reply(
    *,
    t2_ns,
    t3_ns,
    leap=0,
    version=4,
    mode=4,
    stratum=1,
    precision=-24,
    delay=0,
    dispersion=0,
    reference=b"GPS\0",
    origin=NONCE,
    receive=None,
    transmit=None,
):
    """A server's packet."""
    return struct.pack(
        "!BBbbii4s4Q",
        leap << 6 | version << 3 | mode,
        stratum,
        4,
        precision,
        delay,
        dispersion,
        reference,
        0,
        origin,
        packet.from_unix_ns(t2_ns) if receive is None else receive,
        packet.from_unix_ns(t3_ns) if transmit is None else transmit,
    )


@given(
    x_ns=st.integers(-(10**15), 10**15),
    there_ns=st.integers(0, 10**9),
    inside_ns=st.integers(0, 10**6),
    back_ns=st.integers(0, 10**9),
    error_ns=st.integers(0, 10**7),
    share=st.integers(-100, 100),
)
def test_the_interval_contains_the_truth_for_any_asymmetry(
    x_ns, there_ns, inside_ns, back_ns, error_ns, share
):
    """UTC − S is known by construction; the server is wrong by any part of the error that it admits."""
    server_error_ns = error_ns * share // 100
    sent_ns = T0
    t2_ns = sent_ns + there_ns + x_ns + server_error_ns
    t3_ns = t2_ns + inside_ns
    received_ns = sent_ns + there_ns + inside_ns + back_ns
    dispersion = -(-error_ns * 2**16 // 10**9)
    verdict = judge(
        reply(t2_ns=t2_ns, t3_ns=t3_ns, dispersion=dispersion),
        Request(NONCE, sent_ns),
        between(sent_ns, received_ns),
    )
    assert isinstance(verdict, Exchange)
    assert verdict.lower_ns <= x_ns <= verdict.upper_ns
    assert verdict.delay_ns == pytest.approx(there_ns + back_ns, abs=2)


def test_certain_times_bound_and_likely_ones_estimate():
    """The offset is the midpoint's of the likely times; the bounds know nothing of them."""
    data = reply(t2_ns=T0 + 400, t3_ns=T0 + 600)
    known = judge(data, Request(NONCE, T0), between(T0, T0 + 1000))
    better = judge(data, Request(NONCE, T0), Times(T0, T0 + 1000, T0 + 100, T0 + 700))
    assert (known.lower_ns, known.upper_ns, known.delay_ns) == (
        better.lower_ns,
        better.upper_ns,
        better.delay_ns,
    )
    assert known.offset_ns == pytest.approx(0, abs=1)
    assert better.offset_ns == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"mode": 3}, ServerReason.BOGUS_MODE),
        ({"version": 1}, ServerReason.BOGUS_VERSION),
        ({"stratum": 0, "reference": b"RATE"}, ServerReason.KISS_RATE),
        ({"stratum": 0, "reference": b"DENY"}, ServerReason.KISS_DENY),
        ({"stratum": 0, "reference": b"RSTR"}, ServerReason.KISS_DENY),
        ({"stratum": 0, "reference": b"INIT"}, ServerReason.KISS_OTHER),
        ({"stratum": 16}, ServerReason.UNSYNCHRONISED),
        ({"leap": 3}, ServerReason.UNSYNCHRONISED),
        ({"transmit": 0}, ServerReason.BOGUS_TIMES),
        ({"receive": 0}, ServerReason.BOGUS_TIMES),
        ({"t2_ns": T0 + 3_000_000, "t3_ns": T0 + 2_000_000}, ServerReason.BOGUS_TIMES),
        ({"t2_ns": T0, "t3_ns": T0 + 40_000_000}, ServerReason.NEGATIVE_DELAY),
        ({"dispersion": 10 << 16}, ServerReason.ROOT_DISTANCE_TOO_LARGE),
    ],
)
def test_a_flawed_reply_ends_the_exchange_with_its_reason(flaw, reason):
    """Each check of RFC 5905 section 9.2 and RFC 8633, one by one."""
    fields = {"t2_ns": T0 + 1_000_000, "t3_ns": T0 + 1_100_000} | flaw
    verdict = judge(reply(**fields), Request(NONCE, T0), between(T0, T0 + 2_000_000))
    assert isinstance(verdict, Failure)
    assert (verdict.outcome, verdict.reason, verdict.ignored) == (NtpOutcome.BAD_REPLY, reason, False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (reply(t2_ns=T0, t3_ns=T0, origin=NONCE + 1), ServerReason.BOGUS_ORIGIN),
        (b"short", ServerReason.TRUNCATED),
    ],
)
def test_what_may_be_forged_does_not_end_the_wait(data, reason):
    """An attacker who cannot see the nonce cannot make the exchange fail."""
    verdict = judge(data, Request(NONCE, T0), between(T0, T0 + 1000))
    assert isinstance(verdict, Failure)
    assert verdict.ignored
    assert verdict.reason is reason


@given(st.binary(max_size=120))
def test_garbage_is_a_failure(data):
    """Without the nonce nothing counts."""
    assert isinstance(judge(data, Request(NONCE, T0), between(T0, T0 + 1000)), Failure)
