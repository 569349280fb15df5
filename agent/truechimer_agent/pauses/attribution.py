"""Why a gap happened, from the kernel's counters over it: pure, and ``unknown`` rather than wrong."""

from __future__ import annotations

from dataclasses import dataclass

from truechimer.codes import Cause

EXPLAINED = 0.7
LARGELY = 0.5
LITTLE = 0.3
# Evidence counted over much more than the gap may belong to what was before it.
SPAN_LIMIT = 5


@dataclass(frozen=True, slots=True)
class GapEvidence:
    """How much counters grew over a gap, in ns unless said; None: this kernel does not tell.

    ``duration_ns`` is the lateness, time asleep included. All but ``run_delay_ns``, ``asleep_ns`` and
    ``continued`` grew over ``span_ns``, which contains the gap. ``throttled_ns`` and ``steal_ns`` are
    summed over CPUs. ``continued``: SIGCONT arrived in the gap.
    """

    duration_ns: int
    span_ns: int
    run_ns: int | None = None
    run_delay_ns: int | None = None
    throttled_ns: int | None = None
    frozen_ns: int | None = None
    steal_ns: int | None = None
    major_faults: int | None = None
    io_wait_ns: int | None = None
    memory_stall_ns: int | None = None
    io_stall_ns: int | None = None
    asleep_ns: int = 0
    continued: bool = False

    def share(self, part_ns: int | None) -> float:
        """How much of the gap ``part_ns`` explains, 0 to 1; 0 when it is not known."""
        if part_ns is None or self.duration_ns <= 0:
            return 0.0
        return min(1.0, max(0.0, part_ns / self.duration_ns))


def attribute(gap: GapEvidence) -> tuple[Cause, float]:
    """The cause and the confidence in it (0 to 1; 0 for unknown).

    In the order of certainty: what proves itself (sleep, SIGCONT, the run queue, a freeze), then what the
    host's counters make likely. Since Linux 6.18 throttled time counts as run delay too.
    """
    if gap.share(gap.asleep_ns) >= EXPLAINED:
        return Cause.SUSPEND, 0.99
    waited = gap.share(gap.run_delay_ns)
    if gap.continued:
        # It was stopped for certain; on a busy host the way back leads through the run queue.
        return Cause.STOPPED, 0.99 if waited < LITTLE else 0.7 if waited < EXPLAINED else 0.5
    if waited >= EXPLAINED:
        if gap.share(gap.throttled_ns) >= LARGELY:
            return Cause.THROTTLED, 0.95 * waited
        return Cause.RUN_QUEUE, 0.99 * waited
    if gap.share(gap.frozen_ns) >= EXPLAINED:
        return Cause.FROZEN, 0.95
    if waited >= LITTLE or gap.share(gap.run_ns) >= LITTLE:
        return Cause.UNKNOWN, 0.0
    return _by_host(gap)


def _by_host(gap: GapEvidence) -> tuple[Cause, float]:
    """The process neither ran nor waited for a CPU: what the counters of its host make likely."""
    if gap.span_ns > SPAN_LIMIT * gap.duration_ns:
        return Cause.UNKNOWN, 0.0
    if gap.share(gap.throttled_ns) >= EXPLAINED:
        return Cause.THROTTLED, 0.7
    waited_io = max(gap.share(gap.io_wait_ns), gap.share(gap.io_stall_ns))
    if gap.major_faults and max(gap.share(gap.memory_stall_ns), waited_io) >= LARGELY:
        return Cause.MEMORY, 0.8
    if gap.share(gap.io_wait_ns) >= EXPLAINED:
        return Cause.IO, 0.8
    if gap.share(gap.steal_ns) >= EXPLAINED:
        return Cause.STEAL, 0.8
    return Cause.UNKNOWN, 0.0
