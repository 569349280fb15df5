"""The bound collector: what is published every second, and when a sample is shipped out of turn."""

import asyncio
from dataclasses import dataclass

import pytest
from agent.simulation import exchange

from truechimer.codes import BoundReason, BoundStatus
from truechimer.readings import Reading
from truechimer_agent.bounds.bound import Bound
from truechimer_agent.bounds.estimator import Estimator
from truechimer_agent.bounds.intervals import Drift, Interval
from truechimer_agent.collectors.bound import Bounds
from truechimer_agent.hostclock import HostClock

WALL0 = 1_795_000_000 * 10**9
SECOND = 10**9


@dataclass
class FakeClocks:
    """A host whose W runs at a rate of its own and can be stepped."""

    raw: int = 10**12
    wall_ahead_ns: int = 0

    def raw_ns(self):
        return self.raw

    def read(self):
        mono = self.raw + self.wall_ahead_ns
        return Reading(WALL0 + mono, self.raw, mono, mono, 100)

    def pass_second(self, ppm):
        self.raw += SECOND
        self.wall_ahead_ns += ppm * 1000


def begun(estimator=None):
    clocks = FakeClocks()
    clock = HostClock(clocks, None)
    estimator = estimator or Estimator([], max_drift_ppb=500_000, wander_ppb=5000, tolerated=None)
    told = []
    bounds = Bounds(clock, told.append, estimator, None)
    asyncio.run(bounds.open())
    return clocks, clock, bounds, told


def shipped(bounds, clocks, seconds, ppm):
    """How many samples each of so many seconds brought."""
    counts = []
    for _ in range(seconds):
        clocks.pass_second(ppm)
        counts.append(len(asyncio.run(bounds.collect())))
    return counts


@pytest.mark.parametrize("ppm", [0, 12, -300])
def test_a_steady_rate_needs_one_sample_in_ten_seconds(ppm):
    """After the first few, which learn the rate."""
    clocks, _, bounds, _ = begun()
    shipped(bounds, clocks, 12, ppm)
    assert sum(shipped(bounds, clocks, 100, ppm)) == 10


@pytest.mark.parametrize(("ppm", "within_s"), [(83_333, 1), (500, 1), (-500, 1), (60, 1), (30, 2)])
def test_a_change_of_rate_is_shipped_at_once(ppm, within_s):
    """Those who judge from afar go by the old rate until they hear of it."""
    clocks, _, bounds, _ = begun()
    shipped(bounds, clocks, 31, 12)
    assert sum(shipped(bounds, clocks, within_s, ppm)) >= 1


def test_a_change_of_status_is_shipped_within_the_second():
    """Sources that fall silent are told at once, and so is their return: not after up to ten seconds."""
    clocks, clock, bounds, _ = begun(Estimator(["a"], max_drift_ppb=500_000, wander_ppb=5000, tolerated=None))
    source = bounds._estimator.sources["a"]
    for number in range(4):
        source.polled(answered=True)
        sent_ns = clock.steady_now_ns()
        bounds._estimator.reply("a", exchange(sent_ns, sent_ns + 1000, sent_ns, sent_ns))
        shipped(bounds, clocks, 7 + number, 12)
        for _ in range(2):
            source.polled(answered=False)
            assert sum(shipped(bounds, clocks, 1, 12)) <= 1
        source.polled(answered=False)
        clocks.pass_second(12)
        (told,) = asyncio.run(bounds.collect())
        assert told.fields["status"] == int(BoundStatus.HOLDOVER)
        assert told.fields["reason"] == int(BoundReason.SOURCES_BLOCKED)
        assert "lower_seconds" in told.fields


def test_a_step_is_told_at_once_and_is_no_rate():
    """One sample out of turn; the second after it is quiet again."""
    clocks, clock, bounds, told = begun()
    shipped(bounds, clocks, 22, 12)
    clocks.wall_ahead_ns += SECOND // 2
    clock.stepped()
    assert len(told) == 1
    assert told[0].fields["status"] == int(BoundStatus.UNKNOWN)
    assert sum(shipped(bounds, clocks, 5, 12)) == 0


def test_a_bound_of_the_wall_clock_carries_what_makes_it_one_of_the_steady_clock():
    """With W − S of the same reading its ends are those of UTC − S, widened by the reading alone."""
    clocks, clock, bounds, _ = begun()
    clocks.wall_ahead_ns += SECOND // 3
    interval = Interval(7_000_000, 9_000_000)
    at_ns = clock.steady_now_ns()
    known = Bound(at_ns, interval, Drift(0, 0), BoundStatus.SYNCHRONIZED, BoundReason.NONE, ())
    fields = bounds.observe(known).fields
    d_s = fields["wall_minus_steady_seconds"]
    assert d_s == pytest.approx(1 / 3, abs=1e-9)
    assert fields["lower_seconds"] + d_s == pytest.approx(7e-3, abs=1e-7)
    assert fields["upper_seconds"] + d_s == pytest.approx(9e-3, abs=1e-7)
    none = bounds.observe(Bound(at_ns, None, Drift(0, 0), BoundStatus.UNKNOWN, BoundReason.NO_REPLY, ()))
    assert "wall_minus_steady_seconds" not in none.fields
