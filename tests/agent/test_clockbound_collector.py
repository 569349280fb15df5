"""The clockbound collector: when it publishes, and what of steps, epochs, slews and other daemons."""

import asyncio
from dataclasses import dataclass

import pytest
from agent.clockboundhost import daemon

from truechimer.codes import BoundReason, BoundStatus
from truechimer.config.model import ClockBoundConfig
from truechimer.readings import Reading
from truechimer_agent.bounds.bound import Bound
from truechimer_agent.bounds.intervals import Drift, Interval
from truechimer_agent.clockbound.layout import V1, V2, Status
from truechimer_agent.clockbound.terms import VALID_NS
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors.clockbound import ClockBound
from truechimer_agent.hostclock import HostClock

WALL0 = 1_795_000_000 * 10**9
QUARTER = 250_000_000


@dataclass
class FakeClocks:
    """A host whose W runs at a rate of its own and can be stepped."""

    raw: int = 10**12
    ahead: int = 0
    stepped: int = 0

    def raw_ns(self):
        return self.raw

    def read(self):
        mono = self.raw + self.ahead
        return Reading(WALL0 + mono + self.stepped, self.raw, mono, mono, 100)

    def coarse(self):
        return (self.raw + self.ahead) // 4_000_000 * 4_000_000


class FixedBound:
    """An estimator that knows UTC − S to ±1 ms, until it is told to forget."""

    status = BoundStatus.SYNCHRONIZED

    def at(self, steady_ns):
        known = self.status is BoundStatus.SYNCHRONIZED
        return Bound(
            steady_ns,
            Interval(-1_000_000, 1_000_000) if known else None,
            Drift(-20_000, 20_000),
            self.status,
            BoundReason.NONE if known else BoundReason.DISRUPTED,
            (),
        )


class Running:
    """A collector on those, its rounds driven by hand."""

    def __init__(self, tmp_path, **config):
        self.clocks, self.estimator = FakeClocks(), FixedBound()
        self.clock = HostClock(self.clocks, None)
        self.path, self.path_v1 = tmp_path / "shm0", tmp_path / "shm"
        self.collector = ClockBound(
            self.clock,
            self.estimator,
            ClockBoundConfig(segment=self.path, segment_v1=self.path_v1, **config),
            coarse=self.clocks.coarse,
        )

    def rounds(self, count, ppm=12):
        for _ in range(count):
            self.clocks.raw += QUARTER
            self.clocks.ahead += ppm * QUARTER // 1_000_000
            asyncio.run(self.collector.collect())

    @property
    def said(self):
        return V2.decode(self.path.read_bytes())


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path)
    made.rounds(8)
    yield made
    asyncio.run(made.collector.close())


def test_both_versions_say_the_same_once_a_second(running):
    seen = set()
    for _ in range(16):
        running.rounds(1)
        seen.add(running.said.as_of_ns)
        assert V1.decode(running.path_v1.read_bytes()) == running.said
    assert len(seen) == 4
    said = running.said
    assert said.status is Status.SYNCHRONIZED
    assert said.void_after_ns == said.as_of_ns + VALID_NS
    # 1 ms, what W gained at 12 ppm in 6 s, and a little; 20 + 12 ppm, and a margin.
    assert 1_000_000 < said.bound_ns < 1_080_000
    assert 32_000 < said.max_drift_ppb < 45_000


def test_before_w_has_a_rate_nothing_is_promised(tmp_path):
    made = Running(tmp_path)
    made.rounds(1)
    assert made.said.status is Status.UNKNOWN
    made.rounds(4)
    assert made.said.status is Status.SYNCHRONIZED


def test_a_step_of_w_is_in_the_bound_at_once(running):
    running.clocks.stepped = 500_000_000
    running.clock.stepped()
    assert 501_000_000 < running.said.bound_ns < 501_100_000
    assert running.said.max_drift_ppb < 45_000


def test_a_step_that_its_own_reading_finds_is_in_the_bound_at_once(running):
    running.clocks.stepped = -500_000_000
    running.rounds(1)
    assert 500_900_000 < running.said.bound_ns < 501_000_000


def test_a_new_epoch_is_told_at_once_and_no_rate_is_kept(running):
    running.estimator.status = BoundStatus.DISRUPTED
    running.clock.begin_epoch()
    assert running.said.status is Status.DISRUPTED
    assert V1.decode(running.path_v1.read_bytes()).status is Status.UNKNOWN
    running.estimator.status = BoundStatus.SYNCHRONIZED
    running.clock.stepped()
    assert running.said.status is Status.UNKNOWN
    running.rounds(5)
    assert running.said.status is Status.SYNCHRONIZED


@pytest.mark.parametrize("ppm", [100, -400, 83_333, -83_333])
def test_a_slew_faster_than_published_is_published_by_the_next_round(running, ppm):
    running.rounds(1, ppm)
    assert running.said.as_of_ns == running.clocks.coarse()
    assert running.said.max_drift_ppb > abs(ppm) * 1000


def test_what_the_time_daemon_may_slew_is_allowed_for_from_the_beginning(tmp_path):
    made = Running(tmp_path, max_slew_ppm=1000)
    made.rounds(9)
    before = made.said
    assert 1_045_000 < before.max_drift_ppb < 1_047_000
    made.rounds(1, 12 + 990)
    assert made.said == before


def test_the_vm_clocks_marker_travels_along(running):
    assert running.said.disruption_marker is None
    running.clock.disruption_marker = 17
    running.rounds(4)
    assert running.said.disruption_marker == 17


def test_a_path_that_is_a_daemons_is_told_every_round_and_the_other_is_written(tmp_path):
    """So that the runner logs it once, and its end once."""
    made = Running(tmp_path)
    with daemon(made.path, V2, 0.01):
        made.collector.publish()
        while made.collector._failure is None:
            made.collector.publish()
        for _ in range(6):
            with pytest.raises(CollectFailure, match="shm0 is not ours: somebody else writes it"):
                made.rounds(1)
        assert V1.decode(made.path_v1.read_bytes()).status is Status.SYNCHRONIZED
        assert made.said.void_after_ns == 10**12
