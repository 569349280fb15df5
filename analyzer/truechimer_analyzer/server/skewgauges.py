"""What is proven of each cluster's skew, as gauges: so that alert rules can go by it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from prometheus_client import Gauge

from truechimer.errors import TruechimerError
from truechimer.readings import monotonic_s
from truechimer_analyzer.answers import answer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.stores import Store

REFRESH_S = 10.0
"""Nothing new is known sooner: wall clocks are told every 10 s."""
_GAUGES = {
    "epsilon_seconds": "how far apart any two wall clocks can be; absent when unproven",
    "epsilon_k_seconds": "the same whichever one node is wrong unnoticed; absent when unproven",
    "max_offset_seconds": "what that is judged against",
    "proven_within": "1 when all clocks are proven within that of each other, whichever one is wrong",
    "proven_beyond": "1 when two clocks are proven to be further apart, else 0",
    "contradictory": "1 when the evidence contradicts itself: some node is wrong",
    "left_out": "nodes of which nothing is proven",
}


class SkewGauges:
    """``truechimer_skew_…`` by cluster; none at all without a mesh."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"truechimer_skew_{name}", meaning, ["cluster"], registry=registry)
            for name, meaning in _GAUGES.items()
        }
        self._lock = threading.Lock()
        self._refreshed_s: float | None = None

    def refresh(self, store: Store, limits: LimitsConfig) -> None:
        """Work them out anew, unless that was done just now."""
        with self._lock:
            now_s = monotonic_s()
            if self._refreshed_s is not None and now_s - self._refreshed_s < REFRESH_S:
                return
            self._refreshed_s = now_s
            try:
                document: dict[str, Any] = answer("skew", {"pairs": "0"}, store, limits)
            except TruechimerError:
                document = {"clusters": []}
            self._show(document)

    def _show(self, document: dict[str, Any]) -> None:
        for gauge in self._gauges.values():
            gauge.clear()
        for cluster in document["clusters"]:
            judgement = cluster["max_offset"]["judgement"]
            values = {
                "epsilon_seconds": cluster["epsilon_s"],
                "epsilon_k_seconds": cluster["epsilon_k_s"],
                "max_offset_seconds": cluster["max_offset"]["configured_s"],
                "proven_within": int(judgement == "proven_within"),
                "proven_beyond": int(judgement == "proven_beyond"),
                "contradictory": int(bool(cluster["inconsistent"]["cycle"])),
                "left_out": len(cluster["left_out"]),
            }
            for name, value in values.items():
                if value is not None:
                    self._gauges[name].labels(cluster["cluster"]).set(value)
