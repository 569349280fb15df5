"""What was measured, as advice reads it: operations, and heartbeats replayed from them. Pure."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Via
from truechimer.errors import NotEnough
from truechimer_analyzer.timeouts import lateness, silences
from truechimer_analyzer.timeouts.collecting import operations
from truechimer_analyzer.timeouts.streams import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.lateness import Lateness
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.silences import Silences
    from truechimer_analyzer.timeouts.streams import Stream


@dataclass(frozen=True, slots=True)
class Record:
    """``every`` operation, ``connects`` among them, and some paths' whole ``streams``.

    ``silences(heartbeat_s)`` replays heartbeats (None: as often as was probed), None where no path shows
    two arrivals; ``lateness(heartbeat_s)`` says how late probes were for these, None without any.
    ``catch_up()`` reads what was asked for and was not at hand, and says whether there was such: something
    like it was given then, and what was made of it is to be made again.
    """

    every: Operations
    connects: Operations
    streams: Sequence[Stream]
    silences: Callable[[float | None], Silences | None]
    lateness: Callable[[float], Lateness | None]
    catch_up: Callable[[], bool] = lambda: False

    def settled(self, make: Callable[[], dict[str, object]]) -> dict[str, object]:
        """What ``make`` makes of it, or refuses, once all that it asks for is at hand."""
        while True:
            refused: NotEnough | None = None
            made: dict[str, object] = {}
            try:
                made = make()
            except NotEnough as error:
                refused = error
            if not self.catch_up():
                break
        if refused is not None:
            raise refused
        return made


def record_of(probes: Columns, pauses: Columns) -> Record:
    """From rows of truechimer_rtt (``collecting.FIELDS``) and truechimer_pause."""
    return whole(operations(probes), operations(probes, Via.TCP), pauses)


def whole(every: Operations, connects: Operations, pauses: Columns) -> Record:
    """From operations that are all listed, and rows of truechimer_pause."""

    @functools.cache
    def late(heartbeat_s: float) -> Lateness | None:
        return lateness.lateness(every, heartbeat_s)

    return Record(
        every,
        connects,
        streams(every),
        lambda heartbeat_s: silences.silences(every, pauses, heartbeat_s),
        late,
    )
