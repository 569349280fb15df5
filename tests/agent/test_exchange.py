"""One exchange: every rejection, and that a good one's interval contains the truth."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.readings import Reading, SteadyClock
from truechimer.samples import NtpOutcome, ServerReason
from truechimer_agent.ntp import packet
from truechimer_agent.ntp.exchange import Exchange, Failure, Request, arrival_ns, judge

T0 = 1_795_000_000 * 10**9
NONCE = 0x1234_5678_9ABC_DEF0


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
        reply(t2_ns=t2_ns, t3_ns=t3_ns, dispersion=dispersion), Request(NONCE, sent_ns), received_ns
    )
    assert isinstance(verdict, Exchange)
    assert verdict.lower_ns <= x_ns <= verdict.upper_ns
    assert verdict.delay_ns == pytest.approx(there_ns + back_ns, abs=2)


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
    verdict = judge(reply(**fields), Request(NONCE, T0), T0 + 2_000_000)
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
    verdict = judge(data, Request(NONCE, T0), T0 + 1000)
    assert isinstance(verdict, Failure)
    assert verdict.ignored
    assert verdict.reason is reason


@given(st.binary(max_size=120))
def test_garbage_is_a_failure(data):
    """Without the nonce nothing counts."""
    assert isinstance(judge(data, Request(NONCE, T0), T0 + 1000), Failure)


def _reading(raw_ns, *, wall_ahead_ns=0, slewed_ns=0, width_ns=200):
    mono_ns = raw_ns + slewed_ns
    return Reading(T0 + mono_ns + wall_ahead_ns, raw_ns, mono_ns, mono_ns, width_ns)


STEADY = SteadyClock(T0, 1)


def test_the_kernels_stamp_is_used_and_never_reads_early():
    """The stamp is in W, which may be slewed by a tenth: a tenth of the way to user space is the price."""
    before, after = _reading(0), _reading(1_000_000)
    sent_ns, true_ns = STEADY.at(50), STEADY.at(600_000)
    found_ns = arrival_ns(STEADY, before, after, sent_ns, T0 + 600_000)
    assert true_ns <= found_ns <= true_ns + 400 + 40_000


@given(
    early_ppm=st.integers(-100_000, 100_000), late_ppm=st.integers(-100_000, 100_000), at=st.integers(1, 999)
)
def test_a_slewed_wall_clock_does_not_make_the_stamp_early(early_ppm, late_ppm, at):
    """W is slewed by up to 10 % between the readings, also back and forth around the arrival."""
    true_raw_ns = at * 1000
    slewed_ns = true_raw_ns * early_ppm // 10**6
    total_ns = slewed_ns + (1_000_000 - true_raw_ns) * late_ppm // 10**6
    before, after = _reading(0), _reading(1_000_000, slewed_ns=total_ns)
    stamp_ns = T0 + true_raw_ns + slewed_ns
    assert arrival_ns(STEADY, before, after, STEADY.at(0), stamp_ns) >= STEADY.at(true_raw_ns)


@pytest.mark.parametrize("step_ns", [500_000_000, -500_000_000, 100_000])
def test_a_step_between_the_readings_falls_back_to_user_space(step_ns):
    """Nobody knows on which side of the step the packet was stamped."""
    before, after = _reading(0), _reading(1_000_000, wall_ahead_ns=step_ns)
    assert arrival_ns(STEADY, before, after, STEADY.at(0), T0 + 500_000) == STEADY.at(1_000_100)


def test_a_stamp_outside_of_the_exchange_is_not_believed():
    """Earlier than the sending it would be a lie, later than user space it is useless."""
    before, after = _reading(0), _reading(1_000_000)
    for stamp_ns in (T0 - 200_000, T0 + 2_000_000):
        assert arrival_ns(STEADY, before, after, STEADY.at(0), stamp_ns) == STEADY.at(1_000_100)
