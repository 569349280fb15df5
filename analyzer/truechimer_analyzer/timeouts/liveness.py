"""Uses that watch a peer by its heartbeats: heartbeat, suspicion, election, session, lease. Pure.

All rest on silences: how long a live peer was not heard of. A run of losses that causes a suspicion is a
false alarm here, because the peer was alive.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from truechimer_analyzer.timeouts import lease
from truechimer_analyzer.timeouts.silences import Silences, of_pauses
from truechimer_analyzer.timeouts.tail import round_up
from truechimer_analyzer.timeouts.use import Detection, Kind, Wish, describe, seen_again, tail_of

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.record import Record

HEARTBEAT_S = 1.0
GUARDS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A connection and a greeting: what a client whose connection broke has to do before it is heard of again.
RECONNECT_TRIPS = 2
# Of a count of heartbeats: what a float may be off.
_ROUNDING = 1e-6


def uses(
    record: Record, pauses: Columns, holder: Holder, wish: Wish, heartbeat_s: float | None
) -> list[dict[str, object]]:
    """The five uses at a heartbeat every ``heartbeat_s`` (None: as often as was probed, 1 s without probes).

    Where no path shows two replies the silences are those
    of pauses alone; empty where nobody watched for these either.
    """
    heard = record.silences(heartbeat_s)
    if heard is None:
        heard = of_pauses(holder, HEARTBEAT_S if heartbeat_s is None else heartbeat_s)
    if heard is None:
        return []
    tail = seen_again(tail_of(heard.each), heard.phases)
    wish = Wish(wish.false_per_month, wish.detect_within_s, 1 / heard.interval_s)
    return [
        describe(kind, heard.each, tail, pauses, wish, heard.phases)
        for kind in _kinds(heard, record.every, holder)
    ]


def _kinds(heard: Silences, every: Operations, holder: Holder) -> list[Kind]:
    interval_s = heard.interval_s
    trip_s, longest_trip_s = 0.0, 0.0
    if len(every.rtt_s):
        trip_s, longest_trip_s = every.median_s, float(every.rtt_s.max())
    # A peer dies right before its next heartbeat is due, or right after it was sent (Chen, Toueg, Aguilera
    # 2002: the detection time T_D).
    noticed = Detection(
        min=(1.0, -interval_s), mean=(1.0, (trip_s - interval_s) / 2), max=(1.0, longest_trip_s)
    )
    elected = Detection(
        min=(1.0, -interval_s), mean=(1.5, (trip_s - interval_s) / 2), max=(2.0, longest_trip_s)
    )
    reconnect_s = RECONNECT_TRIPS * longest_trip_s
    guard_s = round_up((holder.longest_s or 0.0) + longest_trip_s)
    # The holder counts from its request, and may act on the answer a round trip later.
    renewal_s = heard.trip_s
    judged = {"interval_s": interval_s, "unended_paths": heard.unended, "left_out_paths": heard.left_out}

    def of(name: str, detection: Detection, **more: Any) -> Kind:  # noqa: ANN401 - Kind's own fields
        return Kind(name, detection, usual_s=interval_s, **{"more": lambda _: judged, **more})

    return [
        of("heartbeat", noticed),
        of(
            "suspicion",
            noticed,
            timeout_s=lambda bound_s: math.ceil(bound_s / interval_s - _ROUNDING) * interval_s,
            bound_s=lambda timeout_s: math.floor(timeout_s / interval_s + _ROUNDING) * interval_s,
            more=lambda timeout_s: {**judged, "missed": round(timeout_s / interval_s)},
        ),
        of("election", elected),
        of(
            "session",
            noticed,
            timeout_s=lambda bound_s: round_up(bound_s + reconnect_s),
            bound_s=lambda timeout_s: timeout_s - reconnect_s,
            more=lambda _: {**judged, "reconnect_s": reconnect_s},
        ),
        of(
            "lease",
            # The granter waits for the end by its own clock, from when the renewal arrived.
            Detection(
                min=(1.0, -interval_s),
                mean=(1.0, (trip_s - interval_s) / 2),
                max=(1 / (1 - lease.GRANTER), longest_trip_s),
            ),
            timeout_s=lambda bound_s: round_up(lease.least_lease_s(bound_s + renewal_s, guard_s)),
            bound_s=lambda timeout_s: lease.usable_s(timeout_s, guard_s) - renewal_s,
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
