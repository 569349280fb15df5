"""When a flag is raised, how long its condition must last for that, and what takes it back.

A flag is raised by what is proven, after its condition lasted, and stays until the opposite is proven with
a margin: a clock that stands at its limit does not raise and drop a flag with every sample. Flags that
are not in ``RULES`` are what is so at the moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import BoundReason, BoundStatus, Flag, Leap, ServerVerdict
from truechimer_analyzer.clocks.flags import OSCILLATOR_SPEC_PPM
from truechimer_analyzer.clocks.latching import Condition, Latched, latch
from truechimer_analyzer.clocks.nodeclock import Pending, Raised, named
from truechimer_analyzer.clocks.past import FLAGS, Told
from truechimer_analyzer.window import NS, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.clocks.past import Heard, Ran

    Found = Iterator[Raised | Pending]

LEAST_POLLS = 3
"""A server's verdict must be another for so many polls before what was held against it is taken back."""


@dataclass(frozen=True, slots=True)
class Case:
    """One node as its flags' rules see it.

    ``present`` are the flags whose condition holds now. ``bounds`` end with the present; ``rates`` is None
    while nothing is claimed of W's frequency. ``servers`` are those in use, ``kernel_leap`` is the newest.
    """

    present: Mapping[Flag, Raised]
    bounds: Told
    rates: Ran | None
    servers: Mapping[str, Heard]
    kernel_leap: Leap | None
    as_of_ns: int


def decide(case: Case, limits: LimitsConfig) -> tuple[tuple[Raised, ...], tuple[Pending, ...]]:
    """The flags that are raised, and those that will be if nothing changes; the gravest first."""
    raised: list[Raised] = []
    pending: list[Pending] = []
    for flag in FLAGS:
        rule = RULES.get(flag)
        if rule is None:
            raised += [case.present[flag]] if flag in case.present else []
            continue
        found = list(rule(case, limits))
        raised += [each for each in found if isinstance(each, Raised)]
        pending += [each for each in found if isinstance(each, Pending)]
    return tuple(raised), tuple(pending)


def _found(
    flag: Flag, latched: Latched, stamp_ns: NDArray[np.int64], evidence: Mapping[str, object]
) -> Found:
    if latched.raised:
        since_ns = int(stamp_ns[latched.since])
        yield Raised(flag, since_ns, dict(evidence), latched.clears_ns)
    elif latched.pending and latched.due_ns is not None:
        yield Pending(flag, int(stamp_ns[latched.since]), latched.due_ns, dict(evidence))


def _status(flag: Flag, case: Case, limits: LimitsConfig) -> Found:
    """What the bound says of itself.

    Back when it said otherwise for ``clear_after_s``, but at once where a bound proves the opposite. What
    passes by itself is waited for only of a node that was known to be better before: unknown is not healthy.
    """
    bounds = case.bounds
    if not len(bounds.at_ns):
        yield from [case.present[flag]] if flag in case.present else []
        return
    holds = bounds.flag == FLAGS.index(flag)
    never_better = np.logical_and.accumulate(holds)
    conditions = [Condition(holds & (~bounds.passing | never_better))]
    if flag is Flag.UNSYNCHRONISED:
        conditions.append(Condition(holds, limits.unsynchronised_for_s))
    keep_s = limits.clear_after_s if flag in _KEPT else 0.0
    latched = latch(bounds.at_ns, case.as_of_ns, conditions, ~holds, keep_s)
    evidence = case.present[flag].evidence if flag in case.present else _last_said(bounds, holds)
    yield from _found(flag, latched, bounds.stamp_ns, evidence)


_KEPT = frozenset({Flag.NO_MAJORITY, Flag.SOURCES_BLOCKED})


def _last_said(bounds: Told, holds: NDArray[np.bool_]) -> dict[str, object]:
    rows = np.flatnonzero(holds)
    if not len(rows):
        return {}
    status = named(BoundStatus, float(bounds.status[rows[-1]]), BoundStatus.UNKNOWN)
    reason = named(BoundReason, float(bounds.reason[rows[-1]]), BoundReason.NONE)
    return {"status": status.name.lower(), "reason": reason.name.lower()}


def _offset(case: Case, limits: LimitsConfig) -> Found:
    """UTC − W beyond its limit; back when proven within ``clear_ratio`` of it."""
    bounds = case.bounds
    within_s = limits.clear_ratio * limits.max_offset_s
    beyond = _beyond(bounds.lower_s, bounds.upper_s, limits.max_offset_s)
    back = _within(bounds.lower_s, bounds.upper_s, within_s)
    latched = latch(bounds.at_ns, case.as_of_ns, [Condition(beyond, limits.offset_for_s)], back)
    evidence = _evidence(
        case,
        Flag.OFFSET,
        {
            "lower_s": number(bounds.lower_s[-1]) if len(bounds.lower_s) else None,
            "upper_s": number(bounds.upper_s[-1]) if len(bounds.upper_s) else None,
            "limit_s": limits.max_offset_s,
        },
    )
    yield from _found(Flag.OFFSET, latched, bounds.stamp_ns, {**evidence, "clears_within_s": within_s})


def _oscillator(case: Case, limits: LimitsConfig) -> Found:
    """RAW out of its specification; back when proven within ``clear_ratio`` of it."""
    bounds = case.bounds
    lower, upper = bounds.raw_lower_ppm, bounds.raw_upper_ppm
    within_ppm = limits.clear_ratio * OSCILLATOR_SPEC_PPM
    latched = latch(
        bounds.at_ns,
        case.as_of_ns,
        [Condition(_beyond(lower, upper, OSCILLATOR_SPEC_PPM))],
        _within(lower, upper, within_ppm),
    )
    evidence = _evidence(
        case,
        Flag.OSCILLATOR_OUT_OF_SPEC,
        {
            "lower_ppm": number(lower[-1]) if len(lower) else None,
            "upper_ppm": number(upper[-1]) if len(upper) else None,
            "limit_ppm": OSCILLATOR_SPEC_PPM,
        },
    )
    yield from _found(
        Flag.OSCILLATOR_OUT_OF_SPEC, latched, bounds.stamp_ns, {**evidence, "clears_within_ppm": within_ppm}
    )


def _drifting(case: Case, limits: LimitsConfig) -> Found:
    """The frequency of W beyond its limit, or W certain to reach the limit of its offset in time.

    A W that runs towards UTC is being put right: that is no drift.
    """
    rates = case.rates
    if rates is None:
        return
    lower, upper = rates.lower_ppm, rates.upper_ppm
    towards = ((rates.most_s < 0) & (lower > 0)) | ((rates.least_s > 0) & (upper < 0))
    # A rate is of the interval that ends with it, and says nothing of what comes after.
    at_ns = rates.at_ns - round(rates.interval_s * NS)
    until_ns = int(rates.at_ns[-1])
    fast = _beyond(lower, upper, limits.max_frequency_ppm) & ~towards
    back = _within(lower, upper, limits.clear_ratio * limits.max_frequency_ppm) | towards
    beyond = latch(at_ns, until_ns, [Condition(fast, limits.drifting_for_s)], back)
    horizon_s = limits.trend_horizon_s
    reaching = _reaches(rates, limits.max_offset_s, horizon_s) & ~towards
    safe = ~_reaches(rates, limits.max_offset_s, horizon_s / limits.clear_ratio) | towards
    trend = latch(at_ns, until_ns, [Condition(reaching, limits.trend_for_s)], safe, limits.clear_after_s)
    latched = max((beyond, trend), key=lambda each: (each.raised, each.pending))
    last = slice(-LEAST_POLLS, None)
    evidence: dict[str, object] = {
        "lower_ppm": number(lower[last].min()),
        "upper_ppm": number(upper[last].max()),
        "limit_ppm": limits.max_frequency_ppm,
        "measured_over_s": (until_ns - int(at_ns[latched.since])) / NS,
    }
    if latched is trend and not beyond.raised:
        evidence |= {
            "limit_s": limits.max_offset_s,
            "reaches_limit_within_s": _reached_in_s(rates, limits.max_offset_s),
            "horizon_s": horizon_s,
        }
    yield from _found(Flag.DRIFTING, latched, rates.stamp_ns, evidence)


def _reaches(rates: Ran, limit_s: float, within_s: float) -> NDArray[np.bool_]:
    """Whether UTC − W is beyond ±``limit_s`` for certain after so long at any frequency that is possible."""
    least_s = rates.least_s + rates.lower_ppm * 1e-6 * within_s
    most_s = rates.most_s + rates.upper_ppm * 1e-6 * within_s
    return ((rates.lower_ppm > 0) & (least_s > limit_s)) | ((rates.upper_ppm < 0) & (most_s < -limit_s))


def _reached_in_s(rates: Ran, limit_s: float) -> float | None:
    """After how long at the latest, at the last frequency."""
    lower, upper = float(rates.lower_ppm[-1]), float(rates.upper_ppm[-1])
    if lower > 0:
        return number(max(0.0, (limit_s - float(rates.least_s[-1])) / lower * 1e6))
    if upper < 0:
        return number(max(0.0, (-limit_s - float(rates.most_s[-1])) / upper * 1e6))
    return None


def _falsetickers(case: Case, limits: LimitsConfig) -> Found:
    """A server in use that the majority contradicts, poll after poll."""
    raised: dict[str, Raised] = {}
    pending: dict[str, Pending] = {}
    for name, server in case.servers.items():
        false = _lasting(server, server.verdict == ServerVerdict.FALSETICKER)
        keep_s = max(limits.clear_after_s, LEAST_POLLS * server.poll_s)
        conditions = [Condition(false, limits.falseticker_for_s)]
        latched = latch(server.at_ns, case.as_of_ns, conditions, ~false, keep_s)
        for found in _found(Flag.FALSETICKER_IN_USE, latched, server.stamp_ns, _interval(name, server)):
            if isinstance(found, Raised):
                raised[name] = found
            else:
                pending[name] = found
    if raised:
        yield _together(raised)
    elif pending:
        first = min(pending.values(), key=lambda each: each.due_ns)
        yield replace(first, evidence={"servers": list(pending)})


def _together(raised: Mapping[str, Raised]) -> Raised:
    """One flag of several servers: since the first, back when the last is."""
    clears = [each.clears_ns for each in raised.values()]
    return Raised(
        Flag.FALSETICKER_IN_USE,
        min(each.since_ns for each in raised.values() if each.since_ns is not None),
        {"servers": list(raised), "intervals": [each.evidence for each in raised.values()]},
        None if None in clears else max(each for each in clears if each is not None),
    )


def _lasting(server: Heard, holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What the last reply said, while exchanges that were lost since do not outlast three polls."""
    replies = np.where(server.replied, np.arange(len(holds)), -1)
    last = np.maximum.accumulate(replies)
    fresh_ns = max(60.0, LEAST_POLLS * server.poll_s) * NS
    fresh = (last >= 0) & (server.at_ns - server.at_ns[np.maximum(last, 0)] <= fresh_ns)
    return fresh & holds[np.maximum(last, 0)]


def _interval(name: str, server: Heard) -> dict[str, object]:
    replies = np.flatnonzero(server.replied)
    row = replies[-1] if len(replies) else -1
    return {"server": name, "lower_s": number(server.lower_s[row]), "upper_s": number(server.upper_s[row])}


def _leaps(case: Case, limits: LimitsConfig) -> Found:
    """Servers that are selected, and the kernel, announce different leap seconds."""
    said = {name: _announced(server) for name, server in case.servers.items()}
    said = {name: server for name, server in said.items() if len(server[0])}
    kernel = case.kernel_leap if case.kernel_leap in (Leap.NONE, Leap.INSERT, Leap.DELETE) else None
    latest = {name: int(leaps[-1]) for name, (_, _, leaps) in said.items()}
    every = {int(leap) for _, _, leaps in said.values() for leap in np.unique(leaps)}
    if not said or len(every | ({int(kernel)} if kernel is not None else set())) < 2:
        return
    at_ns = np.unique(np.concatenate([at_ns for at_ns, _, _ in said.values()]))
    stamp_ns = np.zeros(len(at_ns), dtype=np.int64)
    least = np.full(len(at_ns), np.inf if kernel is None else int(kernel))
    most = np.full(len(at_ns), -np.inf if kernel is None else int(kernel))
    for server_at_ns, server_stamp_ns, leaps in said.values():
        row = np.searchsorted(server_at_ns, at_ns, side="right") - 1
        heard = row >= 0
        least[heard] = np.minimum(least[heard], leaps[row[heard]])
        most[heard] = np.maximum(most[heard], leaps[row[heard]])
        stamp_ns[heard] = np.maximum(stamp_ns[heard], server_stamp_ns[row[heard]])
    differ = least < most
    conditions = [Condition(differ, limits.leap_mismatch_for_s)]
    latched = latch(at_ns, case.as_of_ns, conditions, ~differ, limits.clear_after_s)
    evidence = {
        "servers": {name: Leap(leap).name.lower() for name, leap in latest.items()},
        "kernel": None if case.kernel_leap is None else case.kernel_leap.name.lower(),
    }
    yield from _found(Flag.LEAP_MISMATCH, latched, stamp_ns, evidence)


def _announced(server: Heard) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """When a server announced what, while it was selected."""
    counts = server.replied & (server.verdict == ServerVerdict.SELECTED)
    counts &= np.isin(server.leap, (Leap.NONE, Leap.INSERT, Leap.DELETE))
    return server.at_ns[counts], server.stamp_ns[counts], server.leap[counts]


def _evidence(case: Case, flag: Flag, otherwise: dict[str, object]) -> dict[str, object]:
    present = case.present.get(flag)
    return otherwise if present is None else present.evidence


def _beyond(lower: NDArray[np.float64], upper: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (lower > limit) | (upper < -limit)
    return found


def _within(lower: NDArray[np.float64], upper: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (lower >= -limit) & (upper <= limit)
    return found


RULES: Mapping[Flag, Callable[[Case, LimitsConfig], Found]] = {
    Flag.DISRUPTED: partial(_status, Flag.DISRUPTED),
    Flag.NO_MAJORITY: partial(_status, Flag.NO_MAJORITY),
    Flag.SOURCES_BLOCKED: partial(_status, Flag.SOURCES_BLOCKED),
    Flag.UNSYNCHRONISED: partial(_status, Flag.UNSYNCHRONISED),
    Flag.OFFSET: _offset,
    Flag.DRIFTING: _drifting,
    Flag.FALSETICKER_IN_USE: _falsetickers,
    Flag.LEAP_MISMATCH: _leaps,
    Flag.OSCILLATOR_OUT_OF_SPEC: _oscillator,
}
"""docs/clocks.md has the same table in words."""
