"""Judging nodes' clocks: the interval of UTC − W now, what is wrong with it, and the evidence.

Everything here is a pure function of columns read from a store. A node is judged by the newest of each
thing that it said; its silence is measured by the receiver's clock, never by its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import (
    BoundReason,
    BoundStatus,
    EventKind,
    Judgement,
    Leap,
    NtpOutcome,
    ServerReason,
    ServerVerdict,
)
from truechimer_analyzer.clocks import flags as held
from truechimer_analyzer.clocks import judgement as sums
from truechimer_analyzer.clocks.flagrules import decide
from truechimer_analyzer.clocks.history import case_of, with_more
from truechimer_analyzer.clocks.judgement import Interval, WallRate
from truechimer_analyzer.clocks.nodeclock import (
    EVENTS_SHOWN,
    NO_BOUND,
    Bound,
    Event,
    Evidence,
    Key,
    NodeClock,
    named,
    per_node,
    whole,
)
from truechimer_analyzer.window import NS, iso, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.stores import Columns

RATE_WINDOW_S = 300.0
# A server without an exchange for this long before the node's newest one is no longer in use.
SERVER_IN_USE_S = 1200.0
_EPOCH_ENDS = (EventKind.SUSPEND, EventKind.CLOCKSOURCE, EventKind.VM_RESTORE)
_BREAKS = (EventKind.STEP, EventKind.LEAP, EventKind.SLEW, EventKind.SUSPEND, EventKind.CLOCKSOURCE)
_MOVES = (EventKind.STEP, EventKind.SLEW)
_NO_ROWS = np.zeros(0, dtype=np.intp)


def assess(evidence: Evidence, as_of_ns: int, limits: LimitsConfig, *, live: bool) -> list[NodeClock]:
    """Every node that the evidence names, in order.

    ``live``: the answer is about now, so ages go by arrival and silence is held against a node; else it
    is about the past, and ages go by the samples' own stamps.
    """
    bounds, servers, rates = (per_node(each) for each in (evidence.bounds, evidence.servers, evidence.rates))
    events, kernel = per_node(evidence.events), per_node(evidence.kernel)
    keys: set[Key] = set(evidence.seen_ns).union(bounds, servers, rates, events, kernel)
    read = (
        (evidence.bounds, bounds),
        (evidence.servers, servers),
        (evidence.rates, rates),
        (evidence.events, events),
        (evidence.kernel, kernel),
    )
    return [
        _assess(
            key,
            _bound(evidence.bounds, bounds.get(key, _NO_ROWS)),
            _events(evidence.events, events.get(key, _NO_ROWS)),
            (evidence.rates, rates.get(key, _NO_ROWS)),
            _servers(evidence.servers, servers.get(key, _NO_ROWS)),
            _kernel_leap(evidence.kernel, kernel.get(key, _NO_ROWS)),
            _seen_ns(key, evidence.seen_ns.get(key), read),
            evidence,
            as_of_ns,
            limits,
            live=live,
        )
        for key in sorted(keys)
    ]


def _seen_ns(
    key: Key, listed_ns: int | None, read: Iterable[tuple[Columns, Mapping[Key, NDArray[np.intp]]]]
) -> int | None:
    """The newest arrival: as the store lists it, or of rows that came between listing and reading."""
    arrivals = [
        int(columns.received_ns[rows[key]].max()) for columns, rows in read if key in rows and len(rows[key])
    ]
    if listed_ns is not None:
        arrivals.append(listed_ns)
    return max(arrivals, default=None)


def _assess(
    key: Key,
    bound: Bound,
    events: list[Event],
    rates: tuple[Columns, NDArray[np.intp]],
    servers: list[dict[str, object]],
    kernel_leap: Leap | None,
    seen_ns: int | None,
    evidence: Evidence,
    as_of_ns: int,
    limits: LimitsConfig,
    *,
    live: bool,
) -> NodeClock:
    rate = _rate(*rates, bound, events)
    age_s = _age_s(bound, as_of_ns, live=live)
    broken = next((event for event in events if _breaks(event, bound)), None)
    shown = [event for event in events if event.time_ns >= evidence.events_since_ns]
    trusted = bound.status in (BoundStatus.SYNCHRONIZED, BoundStatus.HOLDOVER) and broken is None
    # A bound that says itself that it is worth nothing goes on saying so.
    restarted = next((event for event in events if trusted and _restarts(event, bound)), None)
    trusted = trusted and restarted is None
    interval = sums.NOTHING
    if trusted and bound.interval.known:
        interval = sums.after_steps(bound.interval, *_moves(events, bound, EventKind.STEP))
        interval = sums.after_slews(interval, *_moves(events, bound, EventKind.SLEW))
        # A leap second moves UTC too, unless W leapt on a false word or at another instant.
        interval = sums.after_slews(interval, *_moves(events, bound, EventKind.LEAP))
        wall_ppm = sums.unwatched(rate.span_ppm, age_s or 0.0)
        interval = sums.aged(interval, age_s or 0.0, bound.raw_ppm, wall_ppm)
    silent_s = None if seen_ns is None else max(0.0, (as_of_ns - seen_ns) / NS)
    stale = live and (silent_s is None or silent_s > held.STALE_S)
    frequency = sums.wall_frequency(bound.raw_ppm, rate) if trusted else sums.NOTHING
    # A silent host's clock may have been stepped since its last word: nothing is proven of it.
    judged = Judgement.UNPROVEN if stale else sums.judge(interval, limits.max_offset_s)
    flags = [
        *held.silence(seen_ns, silent_s, stale=stale),
        *held.status(bound, broken, restarted),
        *held.offset(interval, judged, bound, limits),
        *held.steps(shown),
        *held.oscillator(bound),
    ]
    case = case_of(
        evidence,
        key,
        bound,
        {flag.flag: flag for flag in flags},
        age_s=age_s or 0.0,
        interval=interval,
        ended=broken or restarted,
        moved=[event for event in events if event.kind in _MOVES and _follows(event, bound)],
        quiet_since_s=_quiet_since_s(bound.epoch, events) if trusted else None,
        in_use=[str(server["server"]) for server in servers],
        kernel_leap=kernel_leap,
        as_of_ns=as_of_ns,
        live=live,
    )
    raised, pending = decide(case, limits)
    return NodeClock(
        key=key,
        interval=interval,
        frequency=frequency,
        judgement=judged,
        status=BoundStatus.DISRUPTED if broken else BoundStatus.UNKNOWN if restarted else bound.status,
        reason=BoundReason.DISRUPTED if broken else BoundReason.STARTING if restarted else bound.reason,
        flags=with_more(raised, case, evidence, key, shown, servers, bound),
        pending=pending,
        servers=tuple(servers),
        events=tuple(event.document() for event in shown[-EVENTS_SHOWN:]),
        last_seen_s=silent_s,
        bound_age_s=age_s,
        servers_used=whole(bound.used),
        servers_rejected=whole(bound.rejected),
    )


def _moves(
    events: list[Event], bound: Bound, kind: EventKind
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sizes of a kind of event in the bound's epoch, and how much later than it each was seen."""
    same = [event for event in events if event.epoch == bound.epoch and event.kind == kind]
    sizes_s = np.array([event.size_s for event in same])
    return sizes_s, np.array([event.steady_s - bound.steady_s for event in same])


def _breaks(event: Event, bound: Bound) -> bool:
    """Whether an event after the bound made S worthless: it begins another epoch, or ends the bound's.

    Steady times of two epochs cannot be compared, and a wiped state begins to count anew: which was later
    is told by arrival. What was spooled in an earlier epoch may arrive late, so its stamp must be later too.
    """
    if event.epoch == bound.epoch:
        return event.kind in _EPOCH_ENDS and event.steady_s > bound.steady_s
    if not math.isfinite(event.epoch) or not math.isfinite(bound.epoch):
        return False
    later = (event.received_ns, event.time_ns) > (bound.received_ns, bound.time_ns)
    return later and (event.epoch > bound.epoch or event.time_ns > bound.time_ns)


def _restarts(event: Event, bound: Bound) -> bool:
    """Whether the agent began anew after the bound: nobody watched W in between."""
    return event.kind == EventKind.AGENT_START and _follows(event, bound)


def _follows(event: Event, bound: Bound) -> bool:
    """Whether an event came after the bound, in its epoch."""
    return event.epoch == bound.epoch and event.steady_s > bound.steady_s


def _bound(bounds: Columns, rows: NDArray[np.intp]) -> Bound:
    if not len(rows):
        return NO_BOUND
    # A node that changed its zone has two series: the one that arrived last counts.
    row = int(rows[np.lexsort((bounds.time_ns[rows], bounds.received_ns[rows]))[-1]])
    value = {name: float(values[row]) for name, values in bounds.fields.items()}
    return Bound(
        interval=Interval(value["lower_seconds"], value["upper_seconds"]),
        raw_ppm=Interval(value["frequency_lower_ppm"], value["frequency_upper_ppm"]),
        status=named(BoundStatus, value["status"], BoundStatus.UNKNOWN),
        reason=named(BoundReason, value["reason"], BoundReason.NONE),
        steady_s=value["steady_seconds"],
        epoch=value["epoch"],
        time_ns=int(bounds.time_ns[row]),
        received_ns=int(bounds.received_ns[row]),
        used=value["servers_used"],
        rejected=value["servers_rejected"],
    )


def _age_s(bound: Bound, as_of_ns: int, *, live: bool) -> float | None:
    """How old the bound is: by its arrival, or by its own stamp where that is more (it was spooled).

    A wrong clock of the analyzer can so only make the interval wider than it need be.
    """
    if bound is NO_BOUND:
        return None
    by_stamp = (as_of_ns - bound.time_ns) / NS
    return max(0.0, by_stamp, (as_of_ns - bound.received_ns) / NS) if live else max(0.0, by_stamp)


def _events(events: Columns, rows: NDArray[np.intp]) -> list[Event]:
    found = [
        Event(
            kind=str(events.tags["kind"][row]),
            size_s=float(events.fields["size_seconds"][row]),
            steady_s=float(events.fields["steady_seconds"][row]),
            epoch=float(events.fields["epoch"][row]),
            time_ns=int(events.time_ns[row]),
            received_ns=int(events.received_ns[row]),
        )
        for row in rows
    ]
    return sorted(found, key=lambda event: event.time_ns)


def _rate(rates: Columns, rows: NDArray[np.intp], bound: Bound, events: list[Event]) -> WallRate:
    epochs = rates.fields["epoch"][rows]
    epoch = bound.epoch if math.isfinite(bound.epoch) else (float(epochs.max()) if len(rows) else math.nan)
    rows = rows[epochs == epoch]
    steady_s = rates.fields["steady_seconds"][rows]
    order = np.argsort(steady_s, kind="stable")
    rows, steady_s = rows[order], steady_s[order]
    return sums.wall_rate(
        steady_s,
        rates.fields["wall_rate_ppm"][rows],
        rates.fields["read_width_seconds"][rows],
        rates.time_ns[rows],
        _quiet_since_s(epoch, events),
    )


def _quiet_since_s(epoch: float, events: list[Event]) -> float:
    """S of what last broke W's run in an epoch; NaN when nothing did."""
    breaks = [event.steady_s for event in events if event.epoch == epoch and event.kind in _BREAKS]
    return max(breaks, default=math.nan)


def _servers(servers: Columns, rows: NDArray[np.intp]) -> list[dict[str, object]]:
    """The servers in use with what was last made of each, by name; of several rows the newest counts."""
    if not len(rows):
        return []
    in_use_ns = int(servers.time_ns[rows].max()) - round(SERVER_IN_USE_S * NS)
    newest = {
        str(servers.tags["server"][row]): int(row)
        for row in rows[np.argsort(servers.time_ns[rows], kind="stable")]
        if servers.time_ns[row] >= in_use_ns
    }
    return [_server(name, servers, row) for name, row in sorted(newest.items())]


def _server(name: str, servers: Columns, row: int) -> dict[str, object]:
    value = {field: float(values[row]) for field, values in servers.fields.items()}
    reason = named(ServerReason, value["reason"], ServerReason.NONE)
    outcome = named(NtpOutcome, value["outcome"], NtpOutcome.BAD_REPLY)
    leap = named(Leap, value["leap"], Leap.UNSYNCHRONISED)
    return {
        "server": name,
        "verdict": named(ServerVerdict, value["verdict"], ServerVerdict.UNUSABLE).name.lower(),
        "reason": None if reason is ServerReason.NONE else reason.name.lower(),
        "outcome": outcome.name.lower(),
        "offset_s": number(value["offset_seconds"]),
        "lower_s": number(value["lower_seconds"]),
        "upper_s": number(value["upper_seconds"]),
        "delay_s": number(value["delay_seconds"]),
        "stratum": whole(value["stratum"]),
        "leap": None if math.isnan(value["leap"]) else leap.name.lower(),
        "reach": whole(value["reach"]),
        "at": iso(int(servers.time_ns[row])),
    }


def _kernel_leap(kernel: Columns, rows: NDArray[np.intp]) -> Leap | None:
    if not len(rows):
        return None
    value = float(kernel.fields["leap"][rows[np.argmax(kernel.received_ns[rows])]])
    return None if math.isnan(value) else named(Leap, value, Leap.UNSYNCHRONISED)


def summary(nodes: list[NodeClock]) -> dict[str, int]:
    """How many nodes there are of each judgement and how many are flagged."""
    judged = [node.judgement for node in nodes]
    return {
        "nodes": len(nodes),
        **{each.value: judged.count(each) for each in Judgement},
        "flagged": sum(bool(node.flags) for node in nodes),
    }
