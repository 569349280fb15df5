"""The analyzer's self-watch, and what it proves of clusters' skew, as Prometheus text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from truechimer_analyzer.server.skewgauges import SkewGauges

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Commit

_COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts since the start of this process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._samples = self._counter("samples", "samples stored")
        self._batches = self._counter("batches", "batches stored")
        self._duplicates = self._counter("duplicate_batches", "batches known already, acknowledged again")
        self.refused_lines = self._counter("refused_lines", "lines refused, their batch's others kept")
        self._commit_s = Histogram(
            "truechimer_analyzer_commit_seconds",
            "time one transaction took",
            buckets=_COMMIT_BUCKETS_S,
            registry=self._registry,
        )
        self.skew = SkewGauges(self._registry)
        self._last_s = Gauge(
            "truechimer_analyzer_last_commit_timestamp_seconds",
            "arrival time of the newest transaction",
            registry=self._registry,
        )

    def committed(self, commit: Commit) -> None:
        """Count a transaction."""
        self._samples.inc(commit.rows)
        self._batches.inc(commit.batches - commit.duplicates)
        self._duplicates.inc(commit.duplicates)
        self._commit_s.observe(commit.duration_s)
        self._last_s.set(commit.received_ns / 1e9)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(f"truechimer_analyzer_{name}", meaning, registry=self._registry)
