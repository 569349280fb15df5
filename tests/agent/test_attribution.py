"""Attribution of gaps: one case a row of the table, and unknown rather than wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Cause
from truechimer_agent.pauses.attribution import EXPLAINED, GapEvidence, attribute, explanations

MS = 1_000_000


def gap(**parts: object) -> GapEvidence:
    known = {
        "duration_ns": 100 * MS,
        "span_ns": 150 * MS,
        "run_ns": 0,
        "run_delay_ns": 0,
        "steal_ns": 0,
        "blocked": 0,
    }
    return GapEvidence(**{**known, **parts})


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (gap(asleep_ns=95 * MS), Cause.SUSPEND),
        (gap(run_delay_ns=80 * MS), Cause.RUN_QUEUE),
        (gap(run_delay_ns=80 * MS, blocked=1, continued=True), Cause.STOPPED),
        (gap(run_delay_ns=80 * MS, blocked=0, continued=True), Cause.RUN_QUEUE),
        (gap(run_delay_ns=99 * MS, throttled_ns=180 * MS), Cause.THROTTLED),
        (gap(continued=True), Cause.STOPPED),
        (gap(continued=True, steal_ns=100 * MS, throttled_ns=90 * MS), Cause.STOPPED),
        (gap(frozen_ns=98 * MS), Cause.FROZEN),
        (gap(steal_ns=90 * MS), Cause.STEAL),
        (gap(frozen_ns=98 * MS, run_delay_ns=80 * MS), Cause.FROZEN),
        (gap(freezer_written=True), Cause.FROZEN),
        (gap(freezer_written=True, run_delay_ns=95 * MS), Cause.RUN_QUEUE),
        (gap(restored=True), Cause.VM_PAUSE),
        (gap(restored=True, blocked=1), Cause.UNKNOWN),
        (gap(steal_ns=90 * MS, blocked=1), Cause.UNKNOWN),
        (gap(throttled_ns=99 * MS), Cause.THROTTLED),
        (gap(major_faults=12, blocked=12, memory_stall_ns=90 * MS), Cause.MEMORY),
        (gap(major_faults=12, blocked=20), Cause.MEMORY),
        (gap(major_faults=12, blocked=20, run_ns=40 * MS), Cause.MEMORY),
        (gap(major_faults=1, blocked=9), Cause.UNKNOWN),
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
    """SIGCONT in the gap, and it slept once more than it meant to: 0.99."""
    assert attribute(gap(continued=True, blocked=1)) == (Cause.STOPPED, 0.99)


@pytest.mark.parametrize(
    ("evidence", "most"),
    [
        (gap(continued=True, blocked=1, run_delay_ns=40 * MS), 0.7),
        (gap(continued=True, blocked=1, frozen_ns=90 * MS), 0.5),
        (gap(continued=True), 0.6),
        (gap(continued=True, blocked=2, major_faults=2), 0.6),
        (gap(continued=True, blocked=1, run_ns=60 * MS), 0.7),
        (gap(frozen_ns=300 * MS), 0.9),
        (gap(run_delay_ns=99 * MS), 0.9),
        (gap(run_delay_ns=99 * MS, throttled_ns=0, preempted=2), 0.9),
        (gap(run_delay_ns=99 * MS, throttled_ns=0, steal_ns=90 * MS), 0.5),
        (gap(run_delay_ns=99 * MS, throttled_ns=0, steal_ns=40 * MS, span_ns=900 * MS), 0.9),
        (gap(freezer_written=True), 0.85),
        (gap(freezer_written=True, steal_ns=90 * MS), 0.5),
        (gap(restored=True, steal_ns=90 * MS), 0.5),
    ],
)
def test_doubt_lowers_the_confidence(evidence: GapEvidence, most: float):
    """What is not proven, or rivalled by something else, is said with less."""
    assert 0 < attribute(evidence)[1] <= most


def test_waiting_for_a_cpu_and_nothing_else_is_nearly_certain():
    """Throttling is known not to have been, and the process did nothing but wait."""
    cause, confidence = attribute(gap(run_delay_ns=100 * MS, throttled_ns=0, preempted=0))
    assert (cause, confidence) == (Cause.RUN_QUEUE, 0.99)


ns = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 200 * MS))
evidences = st.builds(
    GapEvidence,
    duration_ns=st.one_of(st.integers(-(2**62), 2**62), st.just(100 * MS)),
    span_ns=st.one_of(st.integers(-(2**62), 2**62), st.integers(100 * MS, 600 * MS)),
    run_ns=ns, run_delay_ns=ns, throttled_ns=ns, frozen_ns=ns, steal_ns=ns,
    major_faults=st.one_of(st.none(), st.integers(0, 100)),
    blocked=st.one_of(st.none(), st.integers(0, 3), st.integers(0, 2**40)),
    preempted=st.one_of(st.none(), st.integers(0, 3)),
    io_wait_ns=ns, memory_stall_ns=ns, io_stall_ns=ns,
    asleep_ns=st.one_of(st.just(0), st.integers(0, 2**62)),
    continued=st.booleans(), freezer_written=st.booleans(), restored=st.booleans(),
)  # fmt: skip


@given(evidences)
def test_any_evidence_gets_a_cause_with_a_confidence_and_only_unknown_gets_none(evidence: GapEvidence):
    """No evidence breaks it, however odd."""
    cause, confidence = attribute(evidence)
    assert 0 <= confidence <= 0.99
    assert (confidence == 0) == (cause is Cause.UNKNOWN)


@given(evidences)
def test_two_causes_that_explain_a_gap_alike_leave_no_certainty(evidence: GapEvidence):
    """Never above 0.9 when a second explanation reaches 70 %: only a measured sleep excludes all others."""
    cause, confidence = attribute(evidence)
    enough = [each for each, share in explanations(evidence).items() if share >= EXPLAINED]
    if len(enough) > 1 and cause is not Cause.SUSPEND:
        assert confidence <= 0.5


@given(evidences)
def test_no_cause_without_its_own_evidence(evidence: GapEvidence):
    """A cause is told only when what it rests on is there."""
    cause, confidence = attribute(evidence)
    needs = {
        Cause.SUSPEND: evidence.asleep_ns > 0,
        Cause.STOPPED: evidence.continued,
        Cause.FROZEN: evidence.freezer_written or (evidence.frozen_ns or 0) > 0,
        Cause.VM_PAUSE: evidence.restored,
        Cause.THROTTLED: (evidence.throttled_ns or 0) > 0,
        Cause.RUN_QUEUE: (evidence.run_delay_ns or 0) > 0,
        Cause.MEMORY: (evidence.major_faults or 0) > 0,
        Cause.IO: (evidence.io_wait_ns or 0) > 0,
        Cause.STEAL: (evidence.steal_ns or 0) > 0,
        Cause.UNKNOWN: confidence == 0,
    }
    assert needs[cause]
