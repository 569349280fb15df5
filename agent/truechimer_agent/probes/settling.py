"""Results wait a moment before they are judged: the stall meter's word comes just after the stall."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome, Via
from truechimer_agent.collecting import Observation
from truechimer_agent.probes.outcomes import judge

if TYPE_CHECKING:
    from truechimer_agent.collecting import Host
    from truechimer_agent.pauses.stalllog import StallLog
    from truechimer_agent.probes.outcomes import Result

PATIENCE_S = 0.5
"""Long enough for the meter's pipe, and one wake for all that ended meanwhile."""
NS = 1e9


class Settling:
    """Takes results, judges them together a little later, and emits them."""

    def __init__(self, host: Host, stalls: StallLog, via: Via) -> None:
        self._host = host
        self._stalls = stalls
        self._via = via.value
        self._waiting: list[Result] = []
        self._timer: asyncio.TimerHandle | None = None

    def take(self, result: Result) -> None:
        """Hold a result until the stalls of its time are known."""
        self._waiting.append(result)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.flush)

    def flush(self) -> None:
        """Judge and emit all that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        epoch = self._host.steady().epoch
        for result in waiting:
            self._host.emit(self._observation(result, epoch))

    def _observation(self, result: Result, epoch: int) -> Observation:
        outcome = judge(result, self._stalls, epoch)
        fields: dict[str, float | int] = {"outcome": int(outcome), **result.noted}
        if self._via == Via.STAMP.value:
            fields |= {"steady_seconds": result.sent_ns / NS, "epoch": result.epoch}
        # Across epochs RAW cannot be trusted: there is no round trip to tell.
        if result.outcome is ProbeOutcome.REPLY and result.epoch == epoch:
            fields |= {"rtt_seconds": result.rtt_ns / NS, **result.measured}
        return Observation("truechimer_rtt", result.sent_ns, fields, {"peer": result.peer, "via": self._via})
