"""The durable outbox: batches of line protocol wait here until every configured sink has them.

``spool`` holds the batches, ``waiting`` those that the disk has not taken, ``database`` is its file, ``lock``
keeps two agents apart, ``outbox`` is the thread between the sampling loop and the disk. See docs/spool.md.
"""

from __future__ import annotations

from truechimer_agent.spool.batches import Appended, Batch, Dropped, SpoolStats
from truechimer_agent.spool.lock import StateLock, lock_state_dir
from truechimer_agent.spool.outbox import Outbox
from truechimer_agent.spool.spool import Spool

__all__ = [
    "Appended",
    "Batch",
    "Dropped",
    "Outbox",
    "Spool",
    "SpoolStats",
    "StateLock",
    "lock_state_dir",
]
