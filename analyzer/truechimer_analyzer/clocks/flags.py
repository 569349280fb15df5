"""What is held against a clock at the moment, each flag with its evidence; nothing is claimed unproven.

Whether it is raised for that, only after a while, or still for what was before: see flagrules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.codes import EventKind, Flag, Judgement
from truechimer_analyzer.clocks import judgement as sums
from truechimer_analyzer.clocks.nodeclock import (
    EVENTS_SHOWN,
    NO_BOUND,
    Bound,
    Event,
    Raised,
    status_flag,
    whole,
)
from truechimer_analyzer.window import iso, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.clocks.judgement import Interval

STALE_S = 30.0
# KVM leaves a guest's TSC unscaled within 250 ppm of the host's: no sound oscillator is further off.
OSCILLATOR_SPEC_PPM = 250.0


def silence(seen_ns: int | None, silent_s: float | None, *, stale: bool) -> Iterator[Raised]:
    """Stale: silent for longer than ``STALE_S`` by the receiver's clock."""
    if stale:
        yield Raised(Flag.STALE, seen_ns, {"silent_s": silent_s, "limit_s": STALE_S})


def status(bound: Bound, broken: Event | None, restarted: Event | None) -> Iterator[Raised]:
    """What the bound itself says: disrupted, no majority, sources blocked, unsynchronised."""
    if broken is not None and bound is not NO_BOUND:
        yield Raised(Flag.DISRUPTED, broken.time_ns, {"event": broken.kind, "size_s": number(broken.size_s)})
        return
    if restarted is not None:
        yield Raised(Flag.UNSYNCHRONISED, restarted.time_ns, {"status": "unknown", "reason": "starting"})
        return
    flag = status_flag(float(bound.status), float(bound.reason))
    if flag is None:
        return
    if bound is NO_BOUND:
        yield Raised(flag, None, {"reason": "no bound has arrived"})
        return
    yield Raised(
        flag,
        bound.time_ns,
        {
            "status": bound.status.name.lower(),
            "reason": bound.reason.name.lower(),
            "servers_used": whole(bound.used),
            "servers_rejected": whole(bound.rejected),
        },
    )


def offset(interval: Interval, judged: Judgement, bound: Bound, limits: LimitsConfig) -> Iterator[Raised]:
    """UTC − W proven beyond its limit."""
    if judged is Judgement.PROVEN_BEYOND:
        yield Raised(
            Flag.OFFSET,
            bound.time_ns,
            {"lower_s": interval.lower, "upper_s": interval.upper, "limit_s": limits.max_offset_s},
        )


def steps(events: list[Event]) -> Iterator[Raised]:
    """Every step of W in the window, the newest first to be named."""
    steps = [event for event in events if event.kind == EventKind.STEP]
    if steps:
        newest = steps[-1]
        listed = [{"at": iso(step.time_ns), "size_s": number(step.size_s)} for step in steps[-EVENTS_SHOWN:]]
        yield Raised(
            Flag.STEPPED,
            newest.time_ns,
            {"size_s": number(newest.size_s), "count": len(steps), "steps": listed},
        )


def oscillator(bound: Bound) -> Iterator[Raised]:
    """RAW itself proven further off than a sound oscillator is."""
    if sums.judge(bound.raw_ppm, OSCILLATOR_SPEC_PPM) is Judgement.PROVEN_BEYOND:
        yield Raised(
            Flag.OSCILLATOR_OUT_OF_SPEC,
            bound.time_ns,
            {
                "lower_ppm": bound.raw_ppm.lower,
                "upper_ppm": bound.raw_ppm.upper,
                "limit_ppm": OSCILLATOR_SPEC_PPM,
            },
        )
