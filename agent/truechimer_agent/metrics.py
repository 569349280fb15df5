"""Samples as Prometheus metrics by opentelemetry-sdk: names are ``measurement_field`` of samples.py.

Fields of the latest point of each series are gauges, or counters where they are ``_total``; round trips
and pauses are histograms, because their latest value says little. Series that had no point for five
minutes end; beyond a bounded number new series are left out and counted.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from truechimer.codes import ProbeOutcome
from truechimer.samples import MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from truechimer.samples import Field, Sample

_log = logging.getLogger(__name__)

STALE_S = 300.0
MOST_SERIES = 2000
# Seconds, from 50 µs to a minute, 1-2-5: a round trip within a rack to one across a failing link.
RTT_BUCKETS_S = (
    *(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0),
)
PAUSE_BUCKETS_S = tuple(bound for bound in RTT_BUCKETS_S if bound >= 1e-3)
_HISTOGRAMS = {
    ("truechimer_rtt", "rtt_seconds"): RTT_BUCKETS_S,
    ("truechimer_pause", "duration_seconds"): PAUSE_BUCKETS_S,
    ("truechimer_fsync", "duration_seconds"): RTT_BUCKETS_S,
}
# Only points in a row say something here: steady time, epochs, and the evidence of single pauses.
_NO_GAUGE = frozenset({"steady_seconds", "epoch", "peer_epoch"})
_EVENTS = frozenset({"truechimer_pause", "truechimer_clock_event"})

Labels = dict[str, str]


class _Series:
    __slots__ = ("fields", "labels", "seen_s")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.fields: Mapping[str, float | int] = {}
        self.seen_s = 0.0


class MetricsEndpoint:
    """``observe`` from the sampling thread, ``page`` from any."""

    def __init__(self, common_tags: Mapping[str, str], *, clock: Callable[[], float]) -> None:
        self._common = dict(common_tags)
        self._clock = clock
        self._lock = threading.Lock()
        self._series: dict[str, dict[tuple[str, ...], _Series]] = {name: {} for name in MEASUREMENTS}
        self._count = 0
        self._refused_series = 0
        self._registry = CollectorRegistry(auto_describe=False)
        reader = PrometheusMetricReader(
            disable_target_info=True, scope_info_enabled=False, registry=self._registry
        )
        views = [
            View(
                instrument_type=Histogram,
                instrument_name=_metric_name(measurement, name),
                aggregation=ExplicitBucketHistogramAggregation(buckets, record_min_max=False),
            )
            for (measurement, name), buckets in _HISTOGRAMS.items()
        ]
        self._provider = MeterProvider(
            metric_readers=[reader],
            resource=Resource.get_empty(),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
            views=views,
        )
        self._meter = self._provider.get_meter("truechimer")
        self._histograms = {
            (measurement, name): self._meter.create_histogram(
                _metric_name(measurement, name), description=_meaning(measurement, name)
            )
            for measurement, name in _HISTOGRAMS
        }
        self._probes = self._meter.create_counter(
            "truechimer_rtt_probes_total", description="probes of peers by what became of them"
        )
        self._offer_gauges()

    def observe(self, sample: Sample) -> None:
        """Keep a sample as the latest of its series."""
        by_tags = self._series.get(sample.measurement)
        if by_tags is None:
            return
        key = tuple(sample.tags.values())
        series = by_tags.get(key)
        if series is None:
            series = self._begin(by_tags, key, sample)
            if series is None:
                return
        series.fields = sample.fields
        series.seen_s = self._clock()
        for name in sample.fields:
            histogram = self._histograms.get((sample.measurement, name))
            if histogram is not None:
                histogram.record(sample.fields[name], series.labels)
        if sample.measurement == "truechimer_rtt":
            outcome = ProbeOutcome(int(sample.fields["outcome"])).name.lower()
            self._probes.add(1, {**series.labels, "outcome": outcome})

    def page(self) -> bytes:
        """The exposition text (Prometheus format 0.0.4)."""
        self._end_stale()
        return generate_latest(self._registry)

    def close(self) -> None:
        """End the provider."""
        self._provider.shutdown()

    def _begin(
        self, by_tags: dict[tuple[str, ...], _Series], key: tuple[str, ...], sample: Sample
    ) -> _Series | None:
        with self._lock:
            if self._count >= MOST_SERIES:
                if not self._refused_series:
                    _log.warning("too many series for /metrics, new ones are left out: most=%d", MOST_SERIES)
                self._refused_series += 1
                return None
            self._count += 1
            series = by_tags[key] = _Series({**self._common, **sample.tags})
            return series

    def _end_stale(self) -> None:
        oldest_s = self._clock() - STALE_S
        with self._lock:
            for by_tags in self._series.values():
                for key in [key for key, series in by_tags.items() if series.seen_s < oldest_s]:
                    del by_tags[key]
                    self._count -= 1

    def _offer_gauges(self) -> None:
        for measurement in MEASUREMENTS.values():
            if measurement.name in _EVENTS:
                continue
            for field in measurement.fields:
                if field.name in _NO_GAUGE or (measurement.name, field.name) in _HISTOGRAMS:
                    continue
                create = (
                    self._meter.create_observable_counter
                    if field.is_counter
                    else self._meter.create_observable_gauge
                )
                create(
                    _metric_name(measurement.name, field.name),
                    callbacks=[self._latest(measurement.name, field)],
                    description=_meaning(measurement.name, field.name),
                )

    def _latest(self, measurement: str, field: Field) -> Callable[[CallbackOptions], Iterable[Observation]]:
        by_tags = self._series[measurement]
        name = field.name

        def observations(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                found = list(by_tags.values())
            return [Observation(s.fields[name], s.labels) for s in found if name in s.fields]

        return observations


def _metric_name(measurement: str, field: str) -> str:
    return f"{measurement}_{field}"


def _meaning(measurement: str, name: str) -> str:
    field = MEASUREMENTS[measurement].field(name)
    assert field is not None
    if field.codes is None:
        return field.meaning
    return f"{field.meaning}: " + ", ".join(f"{code.value} {code.name.lower()}" for code in field.codes)
