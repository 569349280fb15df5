"""Detectors with one knob in which their limits are linear: a replay at 0 and one at 1 tell every setting.

A limit is how long a request may take, or how long after an arrival silence may last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.bertier import Bertier
from truechimer_analyzer.detectors.cassandra import Cassandra
from truechimer_analyzer.detectors.chen import NfdE
from truechimer_analyzer.detectors.fixed import Fixed
from truechimer_analyzer.detectors.jacobson import Jacobson
from truechimer_analyzer.detectors.percentile import Percentile
from truechimer_analyzer.detectors.twowindow import TwoWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats, Requests

    Floats = NDArray[np.float64]

# Beyond this a setting means "never".
MOST = 1e6


@dataclass(frozen=True)
class Knob:
    """One detector over one recording: what each operation took (n,), and its limits (n,) by the setting.

    ``took_s`` is NaN where it was a loss or is not known: that is no mistake at any setting.
    """

    took_s: Floats
    at_zero_s: Floats
    unit_s: Floats

    @cached_property
    def needs(self) -> Floats:
        """The setting from which on each operation is no mistake (n,); −∞ where it never is one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            needs = (self.took_s - self.at_zero_s) / self.unit_s
        return np.where(self.took_s > self.at_zero_s, needs, -np.inf)

    def limits_s(self, setting: float) -> Floats:
        """The limits (n,) at a setting."""
        return self.at_zero_s + setting * self.unit_s


def request_knobs(asked: Requests) -> dict[str, Knob]:
    """The knobs of detectors of requests, by name."""
    makes: dict[str, Callable[[float], Fixed | Percentile | Jacobson]] = {
        "fixed": Fixed,
        "p99.9×": Percentile,
        "jacobson K": lambda k: Jacobson(k, granularity_s=0.0),
    }
    knobs = {}
    for name, make in makes.items():
        at_zero_s = make(0.0).timeouts_s(asked)
        knobs[name] = Knob(asked.rtt_s, at_zero_s, make(1.0).timeouts_s(asked) - at_zero_s)
    return knobs


def heartbeat_knobs(heard: Heartbeats) -> dict[str, Knob]:
    """The knobs of detectors of heartbeats that need no common clock, by name."""
    makes: dict[str, Callable[[float], Fixed | NfdE | TwoWindow | Bertier | Cassandra]] = {
        "silence": Fixed,
        "nfd-e α": NfdE,
        "2w-fd": TwoWindow,
        "bertier φ": lambda phi: Bertier(phi=phi),
        "cassandra-φ": lambda threshold: Cassandra(threshold, first_s=2 * heard.interval_s),
    }
    silence_s = np.append(np.diff(heard.arrived_s), np.nan)[: len(heard.arrived_s)]
    knobs = {}
    for name, make in makes.items():
        at_zero_s = make(0.0).deadlines_s(heard)
        unit_s = make(1.0).deadlines_s(heard) - at_zero_s
        knobs[name] = Knob(silence_s, at_zero_s - heard.arrived_s, unit_s)
    return knobs


def least_setting(needs: Sequence[Floats], allowed: int) -> float:
    """The least setting (0 … ``MOST``) at which no more than ``allowed`` operations are mistakes."""
    every = np.concatenate(list(needs))
    if allowed >= len(every):
        return 0.0
    rank = len(every) - 1 - allowed
    return min(MOST, max(0.0, float(np.partition(every, rank)[rank])))
