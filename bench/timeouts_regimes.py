"""Recordings for bench/timeouts_quality.py: files, and synthetic regimes of delay that real networks have."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400.0
COUNT = 120_000


@dataclass(frozen=True)
class Trace:
    """Probes in order: when each was sent (n,) and how long its reply took (n,), NaN where none came."""

    name: str
    sent_s: np.ndarray
    rtt_s: np.ndarray

    @property
    def interval_s(self) -> float:
        """How often heartbeats would come: once a second, or as often as was probed."""
        return round(min(1.0, float(np.median(np.diff(self.sent_s)))), 3)


def read(path: Path, unit_s: float) -> Trace:
    """A CSV (gzipped or not) of epoch seconds and round trips in ``unit_s``, empty where lost."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = list(csv.reader(lines))[1:]
    at_s = np.array([float(row[0]) for row in rows])
    order = np.argsort(at_s, kind="stable")
    rtt_s = np.array([float(row[1]) * unit_s if row[1] else np.nan for row in rows])[order]
    at_s = at_s[order]
    # Rows of one time are 1 ms apart each, as `truechimer import` has them.
    first = np.concatenate([[True], np.diff(at_s) > 0])
    rank = np.arange(len(at_s)) - np.maximum.accumulate(np.where(first, np.arange(len(at_s)), 0))
    return Trace(path.name.partition(".")[0], at_s + rank * 0.001, rtt_s)


def regimes(seed: int) -> list[Trace]:
    """A steady network, and six ways in which networks and hosts are not steady; one probe a second."""
    rng = np.random.default_rng(seed)
    sent_s = np.arange(COUNT) + rng.uniform(0, 0.01, COUNT)
    steady = 0.0003 + rng.lognormal(-8.5, 0.6, COUNT)
    made = {"steady": steady}

    # Queues fill by day: the quick half of a day and the slow one are of different distributions.
    load = np.maximum(0.0, np.sin(2 * np.pi * sent_s / (DAY_S / 6)))
    made["time of day"] = 0.04 + rng.exponential(0.002 + 0.02 * load)

    # A host collects garbage every other minute: what is asked meanwhile waits for its end.
    paused = steady.copy()
    for begin_s in np.cumsum(rng.exponential(120, COUNT // 120)):
        stop_s = min(8.0, 0.05 * (1 + rng.pareto(1.8)))
        waits = (sent_s >= begin_s) & (sent_s < begin_s + stop_s)
        paused[waits] += begin_s + stop_s - sent_s[waits]
    made["pauses"] = paused

    made["heavy tail"] = np.minimum(30.0, 0.01 * (1 + rng.pareto(1.6, COUNT)))

    # Congestion for minutes, several times a day.
    bursts = 0.02 + rng.exponential(0.003, COUNT)
    for begin in rng.integers(0, COUNT, 40):
        some = bursts[begin : begin + rng.integers(30, 400)]
        some += rng.exponential(0.15, len(some))
    made["bursts"] = bursts

    # The route changes every few hours, and back.
    route = np.searchsorted(np.cumsum(rng.exponential(7000, 60)), sent_s) % 3
    made["routes"] = np.array([0.02, 0.09, 0.035])[route] + rng.exponential(0.002, COUNT)

    lossy = 0.03 + rng.gamma(2.0, 0.004, COUNT)
    lossy[rng.random(COUNT) < 0.002] = np.nan
    for begin in rng.integers(0, COUNT, 60):
        lossy[begin : begin + rng.integers(1, 6)] = np.nan
    made["losses"] = lossy
    return [Trace(name, sent_s, rtt_s) for name, rtt_s in made.items()]
