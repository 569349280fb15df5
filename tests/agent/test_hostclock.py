"""This host's clocks as the daemon holds them: what it publishes of the time asleep."""

from dataclasses import dataclass, field

from truechimer.readings import Reading
from truechimer_agent.hostclock import HostClock


@dataclass
class SleepyClocks:
    """Readings of given widths in turn, each too late by its whole width."""

    widths: list[int]
    slept: int = 10**9
    at: int = field(default=10**12)

    def raw_ns(self):
        return self.at

    def read(self):
        width = self.widths.pop(0) if len(self.widths) > 1 else self.widths[0]
        self.at += 10**6
        return Reading(self.at, self.at, self.at, self.at + self.slept + width, width)


def test_the_time_asleep_is_that_of_the_epochs_beginning_and_never_too_much():
    clocks = SleepyClocks([5_000_000, 800])
    clock = HostClock(clocks, None)
    assert clocks.slept - 100 < clock.suspended_ns <= clocks.slept
    clocks.slept += 5_000
    assert clock.suspended_ns <= clocks.slept - 5_000
    clock.begin_epoch()
    assert clocks.slept - 100 < clock.suspended_ns <= clocks.slept


def test_a_starved_host_keeps_the_tightest_of_many_readings():
    clocks = SleepyClocks([40_000_000, 30_000_000, 7_000_000, 9_000_000, 30_000_000])
    clock = HostClock(clocks, None)
    assert clocks.slept - 800_000 < clock.suspended_ns <= clocks.slept
