"""Whether a slow probe was the disk's fault."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Cause
from truechimer_agent.disks.reasons import attribute

QUIET = {"run_delay_ns": 0, "others_ns": 0, "stalled_ns": 0, "blocked": False}


def test_nothing_else_explains_it():
    """It is the disk; more surely when the kernel was seen to hold the probe."""
    assert attribute(50_000_000, **QUIET) == (Cause.IO, 0.8)
    assert attribute(50_000_000, **QUIET | {"blocked": True}) == (Cause.IO, 0.95)


def test_waiting_for_a_cpu_is_not_the_disk():
    """The thread's own run delay decides."""
    cause, confidence = attribute(50_000_000, **QUIET | {"run_delay_ns": 45_000_000})
    assert cause is Cause.RUN_QUEUE
    assert 0.8 < confidence < 0.95


def test_what_else_may_have_kept_it_makes_it_unknown():
    """The agent's own threads, a stall of the host, some run delay: nobody can tell."""
    for what in ("others_ns", "stalled_ns", "run_delay_ns"):
        assert attribute(50_000_000, **QUIET | {what: 20_000_000}) == (Cause.UNKNOWN, 0.0)


@given(*[st.integers(0, 10**12)] * 4, st.booleans())
def test_never_io_when_most_of_it_was_something_else(took, delay, others, stalled, blocked):
    """io only where 70 % of the time is nobody else's; the confidence is a ratio."""
    cause, confidence = attribute(
        took, run_delay_ns=delay, others_ns=others, stalled_ns=stalled, blocked=blocked
    )
    assert 0 <= confidence < 1
    if cause is Cause.IO:
        assert delay + others + stalled <= 0.3 * took or took == 0
