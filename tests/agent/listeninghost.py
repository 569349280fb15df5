"""A host with real clocks for collectors' tests: it keeps and checks what is emitted."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from truechimer.readings import SteadyClock, SystemClocks, mono_ns
from truechimer.samples import Sample, check

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from truechimer_agent.collecting import Observation


class ListeningHost:
    """What a collector may use of the daemon; ``seen`` are the observations so far."""

    def __init__(self) -> None:
        self.clocks = SystemClocks()
        reading = self.clocks.read()
        self._steady = SteadyClock(reading.wall_ns - reading.raw_ns, 1)
        self.seen: list[Observation] = []

    def steady(self) -> SteadyClock:
        return self._steady

    def steady_now_ns(self) -> int:
        return self._steady.at(self.clocks.raw_ns())

    def emit(self, observation: Observation) -> None:
        checked(observation)
        self.seen.append(observation)

    def of(self, measurement: str) -> list[Observation]:
        return [one for one in self.seen if one.measurement == measurement]

    def steady_of_mono_ns(self, mono: int) -> int:
        reading = self.clocks.read()
        return self._steady.at(reading.raw_ns) - (reading.mono_ns - mono)


def checked(observation: Observation) -> Observation:
    """Hold an observation against the declaration, with the common tags that the daemon adds."""
    tags = {"cluster": "c", "node": "n", **observation.tags}
    check(Sample(observation.measurement, tags, observation.fields, observation.steady_ns))
    return observation


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait for a condition; AssertionError when it does not come true."""
    end_ns = mono_ns() + round(limit_s * 1e9)
    while not condition():
        assert mono_ns() < end_ns, "the condition did not come true"
        await asyncio.sleep(0.01)


def in_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
