"""Attribution of gaps: one case a row of the table, and unknown rather than wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Cause
from truechimer_agent.pauses.attribution import GapEvidence, attribute

MS = 1_000_000


def gap(**parts: object) -> GapEvidence:
    known = {"duration_ns": 100 * MS, "span_ns": 150 * MS, "run_ns": 0, "run_delay_ns": 0, "steal_ns": 0}
    return GapEvidence(**{**known, **parts})


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (gap(asleep_ns=95 * MS), Cause.SUSPEND),
        (gap(run_delay_ns=80 * MS), Cause.RUN_QUEUE),
        (gap(run_delay_ns=80 * MS, continued=True), Cause.STOPPED),
        (gap(run_delay_ns=99 * MS, throttled_ns=180 * MS), Cause.THROTTLED),
        (gap(continued=True), Cause.STOPPED),
        (gap(continued=True, steal_ns=100 * MS, throttled_ns=90 * MS), Cause.STOPPED),
        (gap(frozen_ns=98 * MS), Cause.FROZEN),
        (gap(steal_ns=90 * MS), Cause.STEAL),
        (gap(major_faults=12, memory_stall_ns=90 * MS), Cause.MEMORY),
        (gap(io_wait_ns=90 * MS), Cause.IO),
        (gap(), Cause.UNKNOWN),
        (gap(run_delay_ns=None, steal_ns=None, run_ns=None), Cause.UNKNOWN),
        (gap(run_delay_ns=40 * MS, steal_ns=100 * MS), Cause.UNKNOWN),
        (gap(run_ns=90 * MS, steal_ns=90 * MS), Cause.UNKNOWN),
        (gap(steal_ns=90 * MS, span_ns=2000 * MS), Cause.UNKNOWN),
        (gap(major_faults=1), Cause.UNKNOWN),
    ],
)
def test_each_kind_of_evidence_gives_its_cause(evidence: GapEvidence, cause: Cause):
    """The table of docs/collectors/stalls.md."""
    assert attribute(evidence)[0] is cause


def test_a_proven_stop_is_nearly_certain():
    """SIGCONT in the gap, no run delay: 0.99."""
    assert attribute(gap(continued=True)) == (Cause.STOPPED, 0.99)


ns = st.one_of(st.none(), st.integers(-(2**62), 2**62))


@given(
    st.builds(
        GapEvidence,
        duration_ns=st.integers(-(2**62), 2**62),
        span_ns=st.integers(-(2**62), 2**62),
        run_ns=ns, run_delay_ns=ns, throttled_ns=ns, frozen_ns=ns, steal_ns=ns, major_faults=ns,
        io_wait_ns=ns, memory_stall_ns=ns, io_stall_ns=ns,
        asleep_ns=st.integers(0, 2**62),
        continued=st.booleans(),
    )
)  # fmt: skip
def test_any_evidence_gets_a_cause_with_a_confidence_and_only_unknown_gets_none(evidence: GapEvidence):
    """No evidence breaks it, however odd."""
    cause, confidence = attribute(evidence)
    assert 0 <= confidence <= 0.99
    assert (confidence == 0) == (cause is Cause.UNKNOWN)
