"""What a node's flags are judged by: its late past, its servers, the kernel around its steps.

Of nodes in good order the last minutes suffice; of the others an hour is read, or the window.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import BoundReason, BoundStatus, EventKind, Flag, Leap, ServerVerdict
from truechimer_analyzer.clocks import camps, stepcause
from truechimer_analyzer.clocks.flagrules import Case
from truechimer_analyzer.clocks.flags import OSCILLATOR_SPEC_PPM
from truechimer_analyzer.clocks.judgement import NOTHING
from truechimer_analyzer.clocks.nodeclock import (
    NO_BOUND,
    Bound,
    Event,
    Evidence,
    Key,
    Raised,
    named,
    per_node,
)
from truechimer_analyzer.clocks.past import FLAGS, NO_FLAG, Axis, History, heard, ran, told
from truechimer_analyzer.window import NS, groups, iso, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.clocks.judgement import Interval
    from truechimer_analyzer.stores import Columns

RECENT_S = 300.0
"""What is read of every node; longer where the limits' durations ask for more."""
LONG_S = 3600.0
"""What is read at least of nodes that are not in good order."""
_FINE = (BoundReason.NONE, BoundReason.SINGLE_SERVER)


def recent_s(limits: LimitsConfig) -> float:
    """How far back a node in good order is looked at."""
    longest_s = max(
        limits.offset_for_s,
        limits.drifting_for_s,
        limits.trend_for_s,
        limits.falseticker_for_s,
        limits.leap_mismatch_for_s,
        limits.unsynchronised_for_s,
    )
    return max(RECENT_S, 2 * longest_s + limits.clear_after_s)


def unsettled(
    newest: Columns, recent: History, servers: Columns, kernel: Columns, limits: LimitsConfig
) -> tuple[set[Key], set[Key]]:
    """The nodes of which more must be read than the last minutes: whatever is not proven in good order.

    And those of them whose servers' exchanges must be read too. ``newest`` bounds, the ``recent`` past, the
    newest row of each server and of each kernel.
    """
    limit_s, limit_ppm = (limits.clear_ratio * each for each in (limits.max_offset_s, OSCILLATOR_SPEC_PPM))
    value, bounds = newest.fields, recent.bounds
    good = (value["lower_seconds"] >= -limit_s) & (value["upper_seconds"] <= limit_s)
    good &= (value["frequency_lower_ppm"] >= -limit_ppm) & (value["frequency_upper_ppm"] <= limit_ppm)
    fine = (bounds.fields["status"] == BoundStatus.SYNCHRONIZED) & np.isin(bounds.fields["reason"], _FINE)
    fine &= bounds.fields["servers_rejected"] == 0
    agreeing = (servers.fields["verdict"] == ServerVerdict.SELECTED) & (servers.fields["leap"] == Leap.NONE)
    leaping = np.isin(kernel.fields["leap"], (Leap.INSERT, Leap.DELETE))
    served = {*_nodes(bounds, ~fine), *_nodes(servers, ~agreeing), *_nodes(kernel, leaping)}
    limit_ppm = limits.clear_ratio * limits.max_frequency_ppm
    return {*served, *_nodes(newest, ~good), *_unsteady(newest, recent, limit_ppm)}, served


def _unsteady(newest: Columns, recent: History, limit_ppm: float) -> Iterator[Key]:
    """Nodes whose W is not proven to keep UTC's rate to ``limit_ppm``, or proven not to keep it."""
    lower_ppm, upper_ppm = newest.fields["frequency_lower_ppm"], newest.fields["frequency_upper_ppm"]
    for row, key in enumerate(_nodes(newest, np.ones(len(newest), dtype=np.bool_))):
        rates_ppm = recent.rates.fields["wall_rate_ppm"][recent.rate_rows(key)]
        lower, upper = lower_ppm[row] - rates_ppm, upper_ppm[row] - rates_ppm
        if not ((lower >= -limit_ppm) & (upper <= limit_ppm) & (lower <= 0) & (upper >= 0)).all():
            yield key


def _nodes(columns: Columns, which: NDArray[np.bool_]) -> Iterable[Key]:
    rows = np.flatnonzero(which)
    return zip(columns.tags["cluster"][rows].tolist(), columns.tags["node"][rows].tolist(), strict=True)


def case_of(
    evidence: Evidence,
    key: Key,
    bound: Bound,
    present: Mapping[Flag, Raised],
    *,
    age_s: float,
    interval: Interval,
    ended: Event | None,
    moved: Sequence[Event],
    quiet_since_s: float | None,
    in_use: Sequence[str],
    kernel_leap: Leap | None,
    as_of_ns: int,
    live: bool,
) -> Case:
    """One node's flags' case, up to now.

    ``interval`` is UTC − W now, ``ended`` what made the bound worthless, ``moved`` the steps and slews
    since, ``quiet_since_s`` None while nothing is to be claimed of W's frequency.
    """
    history = evidence.long if key in evidence.long_keys and evidence.long is not None else evidence.recent
    axis = Axis(as_of_ns, bound, age_s)
    bounds = told(history.bounds, history.bound_rows(key), axis)
    rates = None
    if quiet_since_s is not None:
        rates = ran(history.rates, history.rate_rows(key), axis, bounds, quiet_since_s)
    if bound is not NO_BOUND:
        flag = next((FLAGS.index(each) for each in _OF_STATUS if each in present), NO_FLAG)
        latest = ended or (moved[-1] if moved else None)
        at_ns = as_of_ns - round(age_s * NS) if latest is None else axis.of_event(latest, live=live)
        now = NOTHING if Flag.STALE in present else interval
        stamp_ns = bound.time_ns if latest is None else latest.time_ns
        passing = bool(bounds.passing[-1]) if ended is None else flag == FLAGS.index(Flag.UNSYNCHRONISED)
        bounds = bounds.with_sample(at_ns, stamp_ns, now.lower, now.upper, flag, passing=passing)
    servers = heard(history.servers, history.server_rows(key), axis)
    return Case(
        present,
        bounds,
        rates,
        {name: server for name, server in servers.items() if name in in_use},
        kernel_leap,
        as_of_ns,
    )


_OF_STATUS = (Flag.DISRUPTED, Flag.NO_MAJORITY, Flag.SOURCES_BLOCKED, Flag.UNSYNCHRONISED)


def with_more(
    flags: Sequence[Raised],
    case: Case,
    evidence: Evidence,
    key: Key,
    events: Sequence[Event],
    servers: Sequence[Mapping[str, object]],
    bound: Bound,
) -> tuple[Raised, ...]:
    """The flags with what else speaks for them: camps, silent servers, who made a step."""
    stepped_ns = [event.time_ns for event in events if event.kind == EventKind.STEP]
    more = {
        Flag.NO_MAJORITY: lambda: camps.evidence(case.servers, case.as_of_ns, max(stepped_ns, default=0)),
        Flag.SOURCES_BLOCKED: lambda: _silent(servers, bound),
        Flag.UNSYNCHRONISED: lambda: _silent(servers, bound),
        Flag.FALSETICKER_IN_USE: lambda: _smearing(servers),
        Flag.STEPPED: lambda: _stepped(evidence, key, events, case.as_of_ns),
    }
    return tuple(
        replace(raised, evidence=raised.evidence | more[raised.flag]()) if raised.flag in more else raised
        for raised in flags
    )


def _silent(servers: Sequence[Mapping[str, object]], bound: Bound) -> dict[str, object]:
    """Which servers' last exchange was no reply, how it ended, and how fast the bound grows without them."""
    silent = {
        str(server["server"]): str(server["outcome"]) for server in servers if server["outcome"] != "reply"
    }
    growth_ppm = bound.raw_ppm.upper - bound.raw_ppm.lower if bound.raw_ppm.known else None
    return {"silent": silent, "growth_ppm": growth_ppm if bound.interval.known else None}


def _smearing(servers: Sequence[Mapping[str, object]]) -> dict[str, object]:
    smearing = [str(server["server"]) for server in servers if server["reason"] == "smearing"]
    return {"smearing": smearing} if smearing else {}


def _stepped(evidence: Evidence, key: Key, events: Sequence[Event], as_of_ns: int) -> dict[str, object]:
    """Who made the newest step, and of the last few each."""
    steps = [event for event in events if event.kind == EventKind.STEP]
    witnesses = evidence.witnesses.get(key)
    if witnesses is None or not steps:
        return {}
    newest = steps[-stepcause.EXPLAINED :]
    told_of = [{"at": iso(step.time_ns), **stepcause.explained(step, witnesses, as_of_ns)} for step in newest]
    return {**{name: value for name, value in told_of[-1].items() if name != "at"}, "causes": told_of}


def witnesses_of(
    kernel: Columns, clock: Columns, daemons: Columns, keys: Iterable[Key]
) -> dict[Key, stepcause.Witnesses]:
    """What can be asked of each node's steps."""
    kernel_rows, clock_rows = per_node(kernel), per_node(clock)
    names: dict[Key, list[str]] = {}
    for (cluster, node, daemon), _ in groups(*(daemons.tags[tag] for tag in ("cluster", "node", "daemon"))):
        names.setdefault((cluster, node), []).append(daemon)
    none = np.zeros(0, dtype=np.intp)
    return {
        key: stepcause.Witnesses(
            kernel, kernel_rows.get(key, none), clock, clock_rows.get(key, none), names.get(key, [])
        )
        for key in keys
    }


def history(columns: Columns, rows: NDArray[np.intp], points: int) -> tuple[dict[str, object], ...]:
    """A node's bounds over time, thinned to ``points``."""
    if points <= 0 or not len(rows):
        return ()
    rows = rows[np.argsort(columns.time_ns[rows], kind="stable")]
    # The widest of each stretch stands for it, so that thinning never makes a clock look better.
    lower_s, upper_s = columns.fields["lower_seconds"][rows], columns.fields["upper_seconds"][rows]
    width = np.where(np.isnan(upper_s - lower_s), np.inf, upper_s - lower_s)
    shown = [
        int(part[np.argmax(width[part])])
        for part in np.array_split(np.arange(len(rows)), points)
        if len(part)
    ]
    return tuple(
        {
            "at": iso(int(columns.time_ns[row])),
            "lower_s": number(columns.fields["lower_seconds"][row]),
            "upper_s": number(columns.fields["upper_seconds"][row]),
            "status": named(BoundStatus, columns.fields["status"][row], BoundStatus.UNKNOWN).name.lower(),
        }
        for row in rows[shown]
    )
