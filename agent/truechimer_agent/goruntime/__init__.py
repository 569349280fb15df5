"""Go: the pauses of its garbage collector, read from the memory of a process that knows nothing of it.

``mstats`` is the record that every Go program keeps, ``scanning`` finds it by its content in ``segments`` of
the executable, ``searching`` goes through them bounded, ``news`` tells what happened between two reads,
``memory`` is the one file that touches the process, ``reader`` ties them together.
"""

from __future__ import annotations

from truechimer_agent.goruntime.reader import open_runtime

__all__ = ["open_runtime"]
