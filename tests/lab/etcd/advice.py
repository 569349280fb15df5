"""What truechimer measured beside an etcd, and what `timeouts --product etcd` advises of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.etcd.settings import Settings

from truechimer_analyzer.answers import answer
from truechimer_analyzer.timeouts.advise import TimeoutsRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.stores import Store

WINDOW = "2h"
PRODUCT = "etcd@3.4"


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


@dataclass(frozen=True, slots=True)
class Advice:
    """Settings, at which rate of false alarms they were asked for, and what is predicted of a failover.

    That is None where too few probes tell the 99th percentile of round trips.
    """

    settings: Settings
    verdict: str
    false_per_month: int
    failover_s: Mapping[str, float] | None

    def __str__(self) -> str:
        told = ", ".join(f"{name} {length_s:.2f} s" for name, length_s in (self.failover_s or {}).items())
        return (
            f"{self.verdict} at {self.false_per_month} false alarms a month: {self.settings}; "
            f"failover: {told or 'untold'}"
        )


def advised(store: Store) -> Advice:
    """The product's advice, at the fewest false alarms that the evidence of so short a time vouches for."""
    uses = {one["use"]: one for one in _document(store)["uses"]}
    supported = math.ceil(uses["election"]["strictest_supported"]["false_per_month"])
    (found,) = _document(store, product=PRODUCT, false_per_month=str(supported))["products"]
    values = {one["setting"]: one["advised"] for one in found["settings"]}
    return Advice(
        Settings(round(values["heartbeat-interval"]), round(values["election-timeout"])),
        found["verdict"],
        supported,
        found["predicted"]["advised"]["failover"]["total"],
    )


def timeouts(store: Store) -> list[str]:
    """What `timeouts` says of each use, for one false alarm a month; a line each, to be shown."""
    return [
        f"  {one['use']}: {_length(one['timeout_s'])}, by {one['binding']}; supported: "
        f"{_length(supported['timeout_s'])} at {supported['false_per_month']:.3g} false alarms a month"
        for one in _document(store)["uses"]
        if (supported := one.get("strictest_supported"))
    ]


def _length(timeout_s: float | None) -> str:
    return "refused" if timeout_s is None else f"{timeout_s:.2f} s"


def _document(store: Store, **options: str) -> Any:
    """The answer, also where all that was asked for is refused."""
    try:
        return answer("timeouts", {"since": WINDOW, **options}, store)
    except TimeoutsRefused as refused:
        return refused.document
