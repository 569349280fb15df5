"""Why a gap happened, from the kernel's counters over it: pure, and ``unknown`` rather than wrong."""

from __future__ import annotations

from dataclasses import dataclass

from truechimer.codes import Cause

EXPLAINED = 0.7
LARGELY = 0.5
LITTLE = 0.3
TRACES = 0.1
# Evidence counted over much more than the gap may belong to what was before it.
SPAN_LIMIT = 5

# In the order of certainty: what proves itself, then what the host's counters make likely.
CONFIDENCE = {
    Cause.SUSPEND: 0.99,
    Cause.STOPPED: 0.99,
    Cause.FROZEN: 0.95,
    Cause.VM_PAUSE: 0.95,
    Cause.THROTTLED: 0.9,
    Cause.RUN_QUEUE: 0.99,
    Cause.MEMORY: 0.8,
    Cause.IO: 0.8,
    Cause.STEAL: 0.8,
}
# The most that is left when another cause would explain the gap too, by how much of it.
RIVALLED = ((EXPLAINED, 0.5), (LITTLE, 0.7), (TRACES, 0.9))
WRITTEN_FREEZER_CONFIDENCE = 0.85
UNPROVEN_STOP_CONFIDENCE = 0.6
# When the cgroup was frozen for much longer than the gap, some of it was before, and maybe all.
LONG_FREEZE_CONFIDENCE = 0.9
LONG_FREEZE = 1.5
# When throttling is not known in full, or some of the run delay may be from before the gap.
LOOSE_RUN_DELAY_CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class GapEvidence:
    """How much counters grew over a gap, in ns unless said; None: this kernel does not tell.

    ``duration_ns`` is the lateness, time asleep included. ``steal_ns``, ``io_wait_ns`` and the PSI stalls
    grew over ``span_ns``, which contains the gap; what the process itself counts, and its cgroup, over half
    a second more at most. ``throttled_ns`` and ``steal_ns`` are summed over CPUs. ``blocked``: how often it
    slept in the kernel besides its own sleeps; ``preempted``: how often it was taken off a CPU.
    ``continued``: SIGCONT arrived in the gap. ``freezer_written``: the switch of its freezer was touched
    then. ``restored``: the hypervisor told of a restore or migration then.
    """

    duration_ns: int
    span_ns: int
    run_ns: int | None = None
    run_delay_ns: int | None = None
    throttled_ns: int | None = None
    frozen_ns: int | None = None
    steal_ns: int | None = None
    major_faults: int | None = None
    blocked: int | None = None
    preempted: int | None = None
    io_wait_ns: int | None = None
    memory_stall_ns: int | None = None
    io_stall_ns: int | None = None
    asleep_ns: int = 0
    continued: bool = False
    freezer_written: bool = False
    restored: bool = False

    def share(self, part_ns: int | None) -> float:
        """How much of the gap ``part_ns`` explains, 0 to 1; 0 when it is not known."""
        if part_ns is None or self.duration_ns <= 0:
            return 0.0
        return min(1.0, max(0.0, part_ns / self.duration_ns))

    def near_share(self, part_ns: int | None) -> float:
        """The same of a counter that grew over ``span_ns``; 0 when that is much more than the gap."""
        return self.share(part_ns) if self.span_ns <= SPAN_LIMIT * self.duration_ns else 0.0

    @property
    def unaccounted(self) -> float:
        """How much of the gap the process neither ran nor waited for a CPU, 0 to 1."""
        return max(0.0, 1.0 - self.share(self.run_ns) - self.share(self.run_delay_ns))


def attribute(gap: GapEvidence) -> tuple[Cause, float]:
    """The cause and the confidence in it (0 to 1; 0 for unknown).

    The first in the order of certainty that explains 70 % of the gap. No other that explains some of it
    as well leaves the confidence above 0.9.
    """
    shares = explanations(gap)
    cause = next((each for each, share in shares.items() if share >= EXPLAINED), None)
    if cause is None:
        return Cause.UNKNOWN, 0.0
    confidence = min(CONFIDENCE[cause] * shares[cause], _proof(gap, cause))
    if cause is Cause.SUSPEND:
        return cause, confidence  # measured, and a part of the gap: nothing else can have filled it too
    rival = max(other for each, other in shares.items() if each is not cause)
    if (ran := gap.share(gap.run_ns)) >= LITTLE:
        rival = max(rival, ran)
    if cause is Cause.RUN_QUEUE:
        rival = max(rival, _stolen_while_waiting(gap))
    for least, left in RIVALLED:
        if rival >= least:
            return cause, min(confidence, left)
    return cause, confidence


def explanations(gap: GapEvidence) -> dict[Cause, float]:
    """How much of the gap each cause's own evidence explains, 0 to 1, in the order of certainty."""
    idle = gap.unaccounted if gap.unaccounted >= EXPLAINED else 0.0
    # A CPU that did not run at all leaves no trace in the process: one that slept elsewhere was there.
    untouched = idle if not gap.blocked else 0.0
    waited = gap.share(gap.run_delay_ns)
    throttled = _throttled(gap, waited)
    return {
        Cause.SUSPEND: gap.share(gap.asleep_ns),
        Cause.STOPPED: 1.0 if gap.continued and gap.blocked != 0 else idle * gap.continued,
        Cause.FROZEN: max(gap.share(gap.frozen_ns), idle * gap.freezer_written),
        Cause.VM_PAUSE: untouched * gap.restored,
        Cause.THROTTLED: throttled,
        Cause.RUN_QUEUE: waited if throttled < EXPLAINED else 0.0,
        Cause.MEMORY: _memory(gap),
        Cause.IO: gap.near_share(gap.io_wait_ns) if idle and not gap.major_faults else 0.0,
        Cause.STEAL: min(untouched, gap.near_share(gap.steal_ns)),
    }


def _throttled(gap: GapEvidence, waited: float) -> float:
    """Since Linux 6.18 throttled time counts as run delay too; before, it may count as nothing."""
    throttled = gap.share(gap.throttled_ns)
    if waited >= EXPLAINED:
        return waited if throttled >= LARGELY else throttled
    return min(throttled, 1.0 - gap.share(gap.run_ns))


def _memory(gap: GapEvidence) -> float:
    """Major faults, and either the host stalled for memory or I/O, or nothing else made it sleep."""
    if not gap.major_faults:
        return 0.0
    felt = 1.0 - gap.share(gap.run_delay_ns)
    stalled = max(gap.near_share(part) for part in (gap.memory_stall_ns, gap.io_stall_ns, gap.io_wait_ns))
    if gap.blocked is None:
        return min(felt, stalled)
    if gap.blocked == 0:
        return 0.0
    return felt if stalled >= LARGELY or gap.blocked <= 2 * gap.major_faults else 0.0


def _stolen_while_waiting(gap: GapEvidence) -> float:
    """A process woken onto a CPU that the hypervisor has taken waits in that CPU's run queue."""
    near = gap.near_share(gap.steal_ns)
    return near if near or gap.share(gap.steal_ns) < LITTLE else TRACES


def _proof(gap: GapEvidence, cause: Cause) -> float:
    """The most confidence that this cause's own evidence allows."""
    if cause is Cause.STOPPED and (gap.blocked or 0) <= (gap.major_faults or 0):
        return UNPROVEN_STOP_CONFIDENCE  # SIGCONT can come to who never stopped
    if cause is Cause.FROZEN and gap.share(gap.frozen_ns) < EXPLAINED:
        return WRITTEN_FREEZER_CONFIDENCE
    if cause is Cause.FROZEN and (gap.frozen_ns or 0) > LONG_FREEZE * gap.duration_ns:
        return LONG_FREEZE_CONFIDENCE
    if cause is Cause.RUN_QUEUE and (gap.throttled_ns is None or gap.preempted or gap.blocked):
        return LOOSE_RUN_DELAY_CONFIDENCE
    return 1.0
