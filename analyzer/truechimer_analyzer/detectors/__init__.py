"""Failure detectors as estimators and as baselines, each replayed over a whole recording at once.

One protocol: a detector of heartbeats says, after each arrival, when it will begin to suspect the peer if
nothing fresh arrives before; a detector of requests, which timeout is in force when each is sent. What that
is worth (mistakes, detection time) is told by ``quality``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from truechimer_analyzer.detectors.akka import Akka
from truechimer_analyzer.detectors.bertier import Bertier
from truechimer_analyzer.detectors.cassandra import Cassandra
from truechimer_analyzer.detectors.chen import NfdE, NfdS
from truechimer_analyzer.detectors.fixed import Fixed
from truechimer_analyzer.detectors.heartbeats import Heartbeats, Requests, every_interval, heartbeats
from truechimer_analyzer.detectors.jacobson import Jacobson
from truechimer_analyzer.detectors.percentile import Percentile
from truechimer_analyzer.detectors.quality import Quality, RequestQuality, judge, judge_requests
from truechimer_analyzer.detectors.twowindow import TwoWindow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Akka",
    "Bertier",
    "Cassandra",
    "Detector",
    "Fixed",
    "Heartbeats",
    "Jacobson",
    "NfdE",
    "NfdS",
    "Percentile",
    "Quality",
    "RequestDetector",
    "RequestQuality",
    "Requests",
    "TwoWindow",
    "every_interval",
    "heartbeats",
    "judge",
    "judge_requests",
]


class Detector(Protocol):
    """A detector of heartbeats."""

    @property
    def name(self) -> str:
        """The detector and its setting, for people."""

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,): from that moment on, if nothing came."""


class RequestDetector(Protocol):
    """A detector of single requests."""

    @property
    def name(self) -> str:
        """The detector and its setting, for people."""

    def timeouts_s(self, asked: Requests) -> NDArray[np.float64]:
        """The timeout in force when each request was sent (n,)."""
