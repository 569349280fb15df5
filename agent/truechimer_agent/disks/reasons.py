"""Whether a slow probe was the disk's fault: pure, and ``unknown`` rather than wrong."""

from __future__ import annotations

from truechimer.codes import Cause

EXPLAINED = 0.7
LITTLE = 0.3


def attribute(
    took_ns: int, *, run_delay_ns: int, others_ns: int, stalled_ns: int, blocked: bool
) -> tuple[Cause, float]:
    """Cause and confidence (0 to 1) of a probe that took so long.

    ``run_delay_ns``: waiting for a CPU; ``others_ns``: the agent's other threads ran; ``stalled_ns``: the
    stall meter saw this host stand still; ``blocked``: whenever it was looked, the kernel held the probe
    in an uninterruptible sleep.
    """

    def share(part_ns: int) -> float:
        return min(1.0, max(0, part_ns) / took_ns) if took_ns > 0 else 0.0

    waited = share(run_delay_ns)
    if waited >= EXPLAINED:
        return Cause.RUN_QUEUE, 0.95 * waited
    if share(run_delay_ns + others_ns + stalled_ns) >= LITTLE:
        return Cause.UNKNOWN, 0.0
    return Cause.IO, 0.95 if blocked else 0.8
