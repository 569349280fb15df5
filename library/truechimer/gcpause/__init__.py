"""Pauses that garbage collection makes: told to the agent, and planned (docs/gcpause.md).

>>> import truechimer.gcpause
>>> truechimer.gcpause.watch(name="billing")             # doctest: +SKIP
>>> coordinator = truechimer.gcpause.Coordinator()       # doctest: +SKIP
"""

from truechimer.gcpause.coordinator import Coordinator, State
from truechimer.gcpause.watching import unwatch, watch

__all__ = ["Coordinator", "State", "unwatch", "watch"]
