"""What a collector of probes needs of the daemon, with real clocks; what it emits is kept."""

import asyncio

from truechimer.codes import ProbeOutcome
from truechimer.readings import SystemClocks
from truechimer_agent.hostclock import HostClock


class ProbingHost:
    """A Host whose observations a test reads."""

    def __init__(self):
        self.clock = HostClock(SystemClocks(), None)
        self.clocks = self.clock.clocks
        self.observations = []

    def steady(self):
        return self.clock.steady()

    def steady_now_ns(self):
        return self.clock.steady_now_ns()

    def emit(self, observation):
        self.observations.append(observation)


async def until(holds, timeout_s=30.0):
    """Wait until ``holds()``."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)


def outcomes(observations):
    """The set of outcomes among them."""
    return {ProbeOutcome(observation.fields["outcome"]) for observation in observations}
