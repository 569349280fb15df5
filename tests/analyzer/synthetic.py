"""Synthetic evidence: samples as an agent would send them, as columns or in a real embedded store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from truechimer.samples import COMMON_TAGS, MEASUREMENTS, Sample
from truechimer_analyzer.reading import split
from truechimer_analyzer.stores import Batch, Columns, Series, Store
from truechimer_analyzer.stores.inmemory import InMemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NS = 1_000_000_000
T0 = 1_795_377_600 * NS


def sample(
    measurement: str, at_s: float, fields: Mapping[str, float | int], node: str = "a", **tags: str
) -> Sample:
    """One sample ``at_s`` seconds after T0 of cluster ``prod``."""
    return Sample(measurement, {"cluster": "prod", "node": node, **tags}, fields, T0 + round(at_s * NS))


def bound(
    at_s: float, lower_s: float | None, upper_s: float | None, node: str = "a", **fields: float
) -> Sample:
    """A synchronized bound on UTC − W; RAW between 11 and 13 ppm unless told."""
    values: dict[str, float | int] = {
        "status": 1,
        "reason": 0,
        "frequency_lower_ppm": 11.0,
        "frequency_upper_ppm": 13.0,
        "servers_used": 4,
        "servers_rejected": 0,
        "steady_seconds": float(at_s),
        "epoch": 1,
        **fields,
    }
    if lower_s is not None and upper_s is not None:
        values |= {"lower_seconds": lower_s, "upper_seconds": upper_s}
    return sample("truechimer_bound", at_s, values, node)


def clock(at_s: float, wall_rate_ppm: float, node: str = "a", epoch: int = 1) -> Sample:
    """One interval's rate of W against RAW."""
    fields = {
        "wall_rate_ppm": wall_rate_ppm,
        "read_width_seconds": 1e-6,
        "steady_seconds": at_s,
        "epoch": epoch,
    }
    return sample("truechimer_clock", at_s, fields, node)


def event(at_s: float, kind: str, size_s: float, node: str = "a", epoch: int = 1) -> Sample:
    """Something that happened to W or S."""
    fields = {"size_seconds": size_s, "steady_seconds": at_s, "epoch": epoch}
    return sample("truechimer_clock_event", at_s, fields, node, kind=kind)


def server(at_s: float, name: str, verdict: int = 1, node: str = "a", **fields: float) -> Sample:
    """One exchange with an NTP server; selected unless told."""
    values: dict[str, float | int] = {
        "outcome": 0,
        "offset_seconds": 0.0,
        "delay_seconds": 0.001,
        "lower_seconds": -0.001,
        "upper_seconds": 0.001,
        "stratum": 1,
        "leap": 0,
        "verdict": verdict,
        "reason": 0,
        "reach": 255,
        **fields,
    }
    return sample("truechimer_ntp", at_s, values, node, server=name)


def daemon(
    at_s: float, system_time_s: float, node: str = "a", name: str = "chrony", **fields: float
) -> Sample:
    """One word of a time daemon, right to ± 1 ms unless told."""
    values: dict[str, float | int] = {
        "system_time_seconds": system_time_s,
        "root_delay_seconds": 0.001,
        "root_dispersion_seconds": 0.0005,
        "frequency_ppm": 3.0,
        "skew_ppm": 0.1,
        "stratum": 2,
        "leap": 0,
        "reachable_sources": 3,
        "steady_seconds": float(at_s),
        "epoch": 1,
        **fields,
    }
    return sample("truechimer_daemon", at_s, values, node, daemon=name)


def probe(
    at_s: float,
    rtt_s: float | None,
    peer: str = "b",
    via: str = "tcp",
    node: str = "a",
    outcome: int | None = None,
) -> Sample:
    """One probe; lost without a round trip unless told."""
    code = outcome if outcome is not None else (1 if rtt_s is None else 0)
    fields: dict[str, float | int] = {"outcome": code}
    if rtt_s is not None:
        fields["rtt_seconds"] = rtt_s
    return sample("truechimer_rtt", at_s, fields, node, peer=peer, via=via)


def pause(
    at_s: float,
    duration_s: float,
    cause: str = "stopped",
    node: str = "a",
    source: str = "host",
    runtime: str = "host",
    **fields: float,
) -> Sample:
    """One pause; one that the host's own meter saw unless told."""
    values: dict[str, float | int] = {
        "duration_seconds": duration_s,
        "confidence_ratio": 0.9,
        "run_delay_seconds": 0.0,
        **fields,
    }
    return sample("truechimer_pause", at_s, values, node, source=source, runtime=runtime, cause=cause)


def pause_window(
    at_s: float,
    observed_s: float = 10.0,
    node: str = "a",
    source: str = "host",
    runtime: str = "host",
    **fields: float,
) -> Sample:
    """Ten seconds that were watched, quiet and by the host's own meter unless told."""
    values: dict[str, float | int] = {
        "observed_seconds": observed_s,
        "count": 0,
        "total_seconds": 0.0,
        "max_seconds": 0.001,
        "threshold_seconds": 0.005,
        **fields,
    }
    return sample("truechimer_pause_window", at_s, values, node, source=source, runtime=runtime)


def columns(measurement: str, samples: Iterable[Sample], late_s: float = 0.0) -> Columns:
    """Those samples of one measurement as a store returns them, received ``late_s`` after their stamps."""
    mine = sorted((s for s in samples if s.measurement == measurement), key=lambda s: s.time_ns)
    declared = MEASUREMENTS[measurement]
    time_ns = np.array([s.time_ns for s in mine], dtype=np.int64)
    return Columns(
        measurement,
        time_ns,
        time_ns + round(late_s * NS),
        {
            tag: np.array([s.tags.get(tag, "") for s in mine], dtype=object)
            for tag in (*COMMON_TAGS, *declared.tags)
        },
        {
            field.name: np.array([s.fields.get(field.name, np.nan) for s in mine], dtype=np.float64)
            for field in declared.fields
        },
    )


class ArrayStore(InMemoryStore):
    """What the answers need of a store, over samples in memory; ``now_s`` counts from T0."""

    def __init__(self, samples: Sequence[Sample], now_s: float) -> None:
        super().__init__([columns(name, samples) for name in MEASUREMENTS], T0 + round(now_s * NS))
        self.retained_ns: list[int] = []

    def retain(self, older_than_ns: int) -> int:
        self.retained_ns.append(older_than_ns)
        return 0


def series(measurement: str, samples: Iterable[Sample], by: Sequence[str]) -> list[Series]:
    """Samples of one measurement as series."""
    return list(split(columns(measurement, samples), by))


def stored(store: Store, samples: Sequence[Sample]) -> None:
    """Write samples to a real store as one batch."""
    identity = hashlib.sha256(repr([(s.measurement, s.tags, s.time_ns) for s in samples]).encode()).digest()
    store.write(Batch(identity, samples))
