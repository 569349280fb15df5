"""Timeouts from measured delays: what may be promised, and what the evidence is too thin for.

Probes come from a store (``gathering``) as operations (``collecting``, ``operations``), of which the quick
ones may only be counted (``listing``); from these the tail and its bounds (``tail``, ``clusters``,
``worstpath``), and by path what heartbeats would have met (``lines``, ``replay``, ``silences``,
``lateness``). ``use`` chooses a timeout.
"""

from __future__ import annotations

from truechimer_analyzer.refused import TimeoutsRefused
from truechimer_analyzer.timeouts.advise import ASSUMPTIONS, advise

__all__ = ["ASSUMPTIONS", "TimeoutsRefused", "advise"]
