"""The daemon's clock: what of it changes with an epoch, and what only with a sleep."""

from dataclasses import dataclass

import pytest

from truechimer.readings import Reading
from truechimer_agent.hostclock import HostClock

SECOND = 10**9


@dataclass
class FakeClocks:
    raw: int = 10**12
    asleep_ns: int = 0

    def raw_ns(self):
        return self.raw

    def read(self):
        return Reading(self.raw + 5, self.raw, self.raw, self.raw + self.asleep_ns, 100)


def test_a_sleep_not_yet_seen_is_not_in_what_is_published():
    """Whoever reads a bound from before it must see that BOOTTIME − MONOTONIC has changed."""
    clocks = FakeClocks()
    clock = HostClock(clocks, None)
    clocks.asleep_ns = SECOND
    assert clock.suspended_ns == 0
    clock.begin_epoch()
    assert clock.suspended_ns == 0
    clock.slept()
    assert clock.suspended_ns == SECOND


def test_every_epoch_is_told_and_survives_a_restart(tmp_path):
    """Those who keep times in S hear of it; the next agent of this boot goes on with its number."""
    clocks, told = FakeClocks(), []
    clock = HostClock(clocks, tmp_path / "steady.json")
    clock.on_epoch(lambda: told.append(clock.steady().epoch))
    first = clock.steady().epoch
    clock.begin_epoch()
    clock.slept()
    assert told == [first + 1, first + 2]
    again = HostClock(clocks, tmp_path / "steady.json")
    assert again.steady() == clock.steady()


def test_a_sleep_while_no_agent_ran_begins_an_epoch(tmp_path):
    """Told by BOOTTIME − MONOTONIC as it was kept."""
    clocks = FakeClocks()
    before = HostClock(clocks, tmp_path / "steady.json").steady().epoch
    clocks.asleep_ns = SECOND
    assert HostClock(clocks, tmp_path / "steady.json").steady().epoch == before + 1


@pytest.mark.parametrize("what", ["stepped", "doubted"])
def test_a_step_and_a_doubt_have_the_bound_said_anew(what):
    """At once, not with the next second."""
    clock, told = HostClock(FakeClocks(), None), []
    clock.on_step(lambda: told.append(what))
    getattr(clock, what)()
    assert told == [what]
