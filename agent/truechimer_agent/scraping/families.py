"""Which metrics of which exporters tell of pauses: a table, with each exporter's own words for them.

Sources: client_golang prometheus/go_collector.go and go_collector_latest.go; micrometer JvmGcMetrics.java
and TimeWindowMax.java; client_java JvmGarbageCollectorMetrics.java (also in the JMX exporter) and its
predecessor simpleclient_hotspot; prom-client lib/metrics/gc.js; OpenTelemetry's semantic conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Family:
    """One metric that counts and sums up pauses, labelled by kind.

    ``remembers``: how many pauses its maximum looks back at; ``remembers_s``: for how long it does at
    least. ``confidence``: that what it sums up were stops of the program.
    """

    name: str
    runtime: str
    confidence: float
    remembers: int | None = None
    remembers_s: float | None = None


# In the order of preference for a runtime: a page that has several tells the same pauses twice.
FAMILIES = (
    # Per cycle, both of its stops together; the quantiles are of the last 256 cycles.
    Family("go_gc_duration_seconds", "go", 0.95, remembers=256),
    # Single stops, by runtime/metrics; the sum is made of the buckets' lower edges.
    Family("go_sched_pauses_total_gc_seconds", "go", 0.9),
    Family("go_gc_pauses_seconds", "go", 0.9),
    # The maximum decays: of three buffers, a third of the registry's step (a minute) each, two are whole.
    Family("jvm_gc_pause_seconds", "jvm", 0.9, remembers_s=40.0),
    Family("jvm_gc_duration_seconds", "jvm", 0.9),
    Family("jvm_gc_collection_seconds", "jvm", 0.9),
    Family("nodejs_gc_duration_seconds", "node", 0.95),
    Family("v8js_gc_duration_seconds", "node", 0.95),
)
BY_NAME: Mapping[str, Family] = {family.name: family for family in FAMILIES}
PREFIXED = "nodejs_gc_duration_seconds"
"""prom-client may put a prefix of the program's own before it."""
# Micrometer has no jvm_gc_pause_seconds before the first collection, but these.
SIGNS: Mapping[str, str] = {
    "jvm_gc_max_data_size_bytes": "jvm_gc_pause_seconds",
    "jvm_gc_live_data_size_bytes": "jvm_gc_pause_seconds",
}
STARTED = "process_start_time_seconds"


def is_concurrent(labels: Mapping[str, str]) -> bool:
    """Whether a series sums up what a JVM does while the program runs: cycles, not pauses.

    ZGC and Shenandoah have a bean of each; CMS's covers its concurrent phases, whose cause is "No GC" in
    Micrometer; Azul's C4 calls its pauses pauses.
    """
    name = labels.get("gc") or labels.get("jvm_gc_name") or ""
    return (
        name.endswith("Cycles")
        or name == "ConcurrentMarkSweep"
        or (name.startswith("GPGC") and not name.endswith("Pauses"))
        or labels.get("cause") == "No GC"
        or "end of GC cycle" in (labels.get("action"), labels.get("jvm_gc_action"))
    )
