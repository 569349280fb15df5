"""Uses that watch a peer by its heartbeats: heartbeat, suspicion, election, session, lease. Pure.

All rest on silences: how long a live peer was not heard of. A run of losses that causes a suspicion is a
false alarm here, because the peer was alive.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts import lease
from truechimer_analyzer.timeouts.holder import Holder, holder_of
from truechimer_analyzer.timeouts.silences import Silences, of_pauses, silences
from truechimer_analyzer.timeouts.tail import round_up
from truechimer_analyzer.timeouts.use import Detection, Kind, Wish, describe, tail_of

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.operations import Operations

HEARTBEAT_S = 1.0
GUARDS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A connection and a greeting: what a client whose connection broke has to do before it is heard of again.
RECONNECT_TRIPS = 2


def uses(
    every: Operations, pauses: Columns, windows: Columns, wish: Wish, heartbeat_s: float | None
) -> list[dict[str, object]]:
    """The five uses at a heartbeat every ``heartbeat_s`` (None: as often as was probed, 1 s without probes).

    ``windows`` are rows of truechimer_pause_window. Where no path shows two replies the silences are those
    of pauses alone; empty where nobody watched for these either.
    """
    holder = holder_of(pauses, windows)
    heard = silences(every, pauses, 0.0 if heartbeat_s is None else heartbeat_s)
    if heard is None:
        heard = of_pauses(holder, HEARTBEAT_S if heartbeat_s is None else heartbeat_s)
    if heard is None:
        return []
    tail = tail_of(heard.each)
    wish = Wish(wish.false_per_month, wish.detect_within_s, 1 / heard.interval_s)
    return [describe(kind, heard.each, tail, pauses, wish) for kind in _kinds(heard, every, holder)]


def _kinds(heard: Silences, every: Operations, holder: Holder) -> list[Kind]:
    interval_s = heard.interval_s
    trip_s, longest_trip_s = 0.0, 0.0
    if len(every.rtt_s):
        trip_s, longest_trip_s = float(np.median(every.rtt_s)), float(every.rtt_s.max())
    # A peer dies right before its next heartbeat is due, or right after it was sent.
    noticed = Detection(min=(1.0, -interval_s), mean=(1.0, (trip_s - interval_s) / 2), max=(1.0, trip_s))
    elected = Detection(
        min=(1.0, -interval_s), mean=(1.5, trip_s - interval_s / 2), max=(2.0, longest_trip_s)
    )
    reconnect_s = RECONNECT_TRIPS * longest_trip_s
    guard_s = round_up(max(holder.longest_s or 0.0, 0.0) + longest_trip_s)
    judged = {"interval_s": interval_s}
    return [
        Kind("heartbeat", noticed, more=lambda _: judged),
        Kind(
            "suspicion",
            noticed,
            timeout_s=lambda bound_s: math.ceil(bound_s / interval_s) * interval_s,
            more=lambda timeout_s: {**judged, "missed": round(timeout_s / interval_s)},
        ),
        Kind("election", elected, more=lambda _: judged),
        Kind(
            "session",
            noticed,
            timeout_s=lambda bound_s: round_up(bound_s + reconnect_s),
            bound_s=lambda timeout_s: timeout_s - reconnect_s,
            more=lambda _: {**judged, "reconnect_s": reconnect_s},
        ),
        Kind(
            "lease",
            # The granter waits for the end, whenever the holder died.
            Detection(min=(1.0, -interval_s), mean=(1.0, -interval_s / 2), max=(1.0, 0.0)),
            timeout_s=lambda bound_s: round_up(lease.least_lease_s(bound_s, guard_s)),
            bound_s=lambda timeout_s: lease.usable_s(timeout_s, guard_s),
            more=lambda timeout_s: {**judged, "safety": _safety(timeout_s, guard_s, holder)},
        ),
    ]


def _safety(lease_s: float, guard_s: float, holder: Holder) -> dict[str, object]:
    """What no lease can promise, in figures: how often a holder stops for longer than the guard."""
    rates = {guard: holder.violations(guard) for guard in (guard_s, *GUARDS_S)}
    return {
        "guard_s": guard_s,
        "usable_s": lease.usable_s(lease_s, guard_s),
        "rho_holder_ppm": lease.OSCILLATOR * 1e6,
        "rho_granter_ppm": lease.GRANTER * 1e6,
        "observed_s": holder.observed_s,
        "violations_per_node_year": rates[guard_s],
        "guards": [{"guard_s": guard, "violations_per_node_year": rates[guard]} for guard in GUARDS_S],
        "fencing": "no guard outlasts every pause: where acting on a lost lease does harm, the resource "
        "must refuse old fencing tokens",
    }
