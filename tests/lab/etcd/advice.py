"""What truechimer measured beside an etcd, and which settings follow of it by etcd's own guide to tuning.

https://etcd.io/docs/v3.4/tuning/: a heartbeat of about the greatest mean round trip, 0.5 to 1.5 of it; an
election timeout of at least 10 round trips, at most 50 s. The guide does not speak of pauses: the longest one
that was measured has to fit in as well, by how the code counts ticks (settings.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.etcd.settings import Settings

from truechimer_analyzer.answers import answer
from truechimer_analyzer.timeouts.advise import TimeoutsRefused

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Store

WINDOW = "2h"
ROUND_TRIPS = 10
RESERVE = 1.2
"""What a pause may be longer than the longest that was seen."""
STEP_MS = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """What an advice rests on; times in s. `pauses`: how many were seen of the processes."""

    typical_rtt_s: float
    least_rtt_s: float
    most_rtt_s: float
    longest_pause_s: float
    pauses: int
    probes: int

    def __str__(self) -> str:
        slowest_ms, least_ms, most_ms = (
            1e3 * one_s for one_s in (self.typical_rtt_s, self.least_rtt_s, self.most_rtt_s)
        )
        return (
            f"round trip {slowest_ms:.0f} ms on the slowest path, {least_ms:.0f} to {most_ms:.0f} ms "
            f"over all ({self.probes} probes), longest pause {self.longest_pause_s:.2f} s of {self.pauses}"
        )


def measured(store: Store) -> Measured:
    """By the answers `rtt` and `pauses`; NotEnough where nothing was measured."""
    rtt: Any = answer("rtt", {"since": WINDOW, "via": "stamp"}, store)
    pauses: Any = answer("pauses", {"since": WINDOW, "source": "etcd"}, store)
    paths = rtt["paths"]
    stopped = [found for one in pauses["sources"] if (found := one["by_cause"].get("stopped"))]
    return Measured(
        typical_rtt_s=max(path["p50_s"] for path in paths),
        least_rtt_s=min(path["min_s"] for path in paths),
        most_rtt_s=max(path["max_s"] for path in paths),
        longest_pause_s=max((one["max_s"] for one in stopped), default=0.0),
        pauses=sum(one["count"] for one in stopped),
        probes=sum(path["count"] for path in paths),
    )


def advised(store: Store) -> Settings:
    """The settings that the guide and the longest pause ask for."""
    found = measured(store)
    heartbeat_ms = _up(found.typical_rtt_s)
    silence_s = RESERVE * found.longest_pause_s + heartbeat_ms / 1e3 + (found.most_rtt_s - found.least_rtt_s)
    ticks = math.ceil(silence_s / (heartbeat_ms / 1e3)) + 1
    election_ms = max(_up(ROUND_TRIPS * found.typical_rtt_s), ticks * heartbeat_ms)
    return Settings(heartbeat_ms, election_ms)


def timeouts(store: Store) -> list[str]:
    """What `timeouts` says of each use, for one false alarm a month; a line each, to be shown."""
    try:
        document: Any = answer("timeouts", {"since": WINDOW}, store)
    except TimeoutsRefused as refused:
        document = refused.document
    return [
        f"  {one['use']}: {_length(one['timeout_s'])}, by {one['binding']}; supported: "
        f"{_length(supported['timeout_s'])} at {supported['false_per_month']:.3g} false alarms a month"
        for one in document["uses"]
        if (supported := one.get("strictest_supported"))
    ]


def _length(timeout_s: float | None) -> str:
    return "refused" if timeout_s is None else f"{timeout_s:.2f} s"


def _up(seconds: float) -> int:
    return math.ceil(seconds * 1e3 / STEP_MS) * STEP_MS
