"""Timeouts from measured delays: what may be promised, and what the evidence is too thin for.

First version: empirical, for operations that wait for one reply (``request``: every kind of probe;
``connect``: TCP only).
"""

from __future__ import annotations

from truechimer_analyzer.refused import TimeoutsRefused
from truechimer_analyzer.timeouts.advise import ASSUMPTIONS, advise

__all__ = ["ASSUMPTIONS", "TimeoutsRefused", "advise"]
