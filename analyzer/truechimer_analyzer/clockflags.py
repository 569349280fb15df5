"""What is held against a clock, each flag with its evidence; nothing is claimed that is not proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.samples import EventKind, Flag, Judgement, Leap
from truechimer_analyzer import judgement as sums
from truechimer_analyzer.nodeclock import EVENTS_SHOWN, NO_BOUND, Bound, Event, Raised, status_flag, whole
from truechimer_analyzer.window import NS, iso, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.judgement import Interval, WallRate

STALE_S = 30.0
# How long an agent may take from its start to its first bound: a few exchanges with each server.
STARTING_S = 30.0
# KVM leaves a guest's TSC unscaled within 250 ppm of the host's: no sound oscillator is further off.
OSCILLATOR_SPEC_PPM = 250.0


def silence(seen_ns: int | None, silent_s: float | None, *, stale: bool) -> Iterator[Raised]:
    """Stale: silent for longer than ``STALE_S`` by the receiver's clock."""
    if stale:
        yield Raised(Flag.STALE, seen_ns, {"silent_s": silent_s, "limit_s": STALE_S})


def status(bound: Bound, broken: Event | None, restarted: Event | None, as_of_ns: int) -> Iterator[Raised]:
    """What the bound itself says: disrupted, no majority, sources blocked, unsynchronised.

    An agent that was started anew has ``STARTING_S`` for its first bound before its silence counts.
    """
    if broken is not None and bound is not NO_BOUND:
        yield Raised(Flag.DISRUPTED, broken.time_ns, {"event": broken.kind, "size_s": number(broken.size_s)})
        return
    if restarted is not None:
        if as_of_ns - restarted.received_ns > STARTING_S * NS:
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


def drift(frequency: Interval, rate: WallRate, limits: LimitsConfig) -> Iterator[Raised]:
    """The frequency of W proven beyond its limit in each of the last rates; never across a step or a slew.

    ``frequency`` is the span of those.
    """
    # Without a known frequency of RAW, or right after a step or a suspend, nothing is claimed.
    if not frequency.known:
        return
    if sums.judge(frequency, limits.max_frequency_ppm) is Judgement.PROVEN_BEYOND:
        yield Raised(
            Flag.DRIFTING,
            rate.last_ns,
            {
                "lower_ppm": frequency.lower,
                "upper_ppm": frequency.upper,
                "limit_ppm": limits.max_frequency_ppm,
                "measured_over_s": rate.last_s,
            },
        )


def falsetickers(servers: list[dict[str, object]]) -> Iterator[Raised]:
    """Servers in use that the majority contradicts, by name."""
    false = [server for server in servers if server["verdict"] == "falseticker"]
    if false:
        shown = [{name: server[name] for name in ("server", "lower_s", "upper_s")} for server in false]
        yield Raised(
            Flag.FALSETICKER_IN_USE,
            None,
            {"servers": [server["server"] for server in false], "intervals": shown},
        )


def leaps(servers: list[dict[str, object]], kernel: Leap | None) -> Iterator[Raised]:
    """Servers that the majority trusts, and the kernel, must announce the same leap second."""
    said = {
        str(server["server"]): str(server["leap"])
        for server in servers
        if server["verdict"] == "selected" and server["leap"] not in (None, "unsynchronised")
    }
    heard = set(said.values())
    if kernel is not None and kernel is not Leap.UNSYNCHRONISED and said:
        heard.add(kernel.name.lower())
    if len(heard) > 1:
        evidence: dict[str, object] = {
            "servers": said,
            "kernel": None if kernel is None else kernel.name.lower(),
        }
        yield Raised(Flag.LEAP_MISMATCH, None, evidence)


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
