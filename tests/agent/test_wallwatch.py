"""What the wall clock does, told from readings of a simulated host."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import EventKind
from truechimer.readings import Reading, SteadyClock
from truechimer_agent.wallwatch import WallWatch

TICK_NS = 250_000_000
STEADY = SteadyClock(1_795_000_000_000_000_000, 1)


@dataclass
class SimulatedHost:
    """A host whose clocks are stepped, slewed and put to sleep by hand."""

    raw_ns: int = 10**12
    slewed_ns: int = 0
    stepped_ns: int = 0
    slept_ns: int = 0

    def tick(self, *, slew_ppm=0.0, elapsed_ns=TICK_NS):
        self.raw_ns += elapsed_ns
        self.slewed_ns += round(elapsed_ns * slew_ppm * 1e-6)
        return self.read()

    def read(self):
        mono_ns = self.raw_ns + self.slewed_ns
        wall_ns = STEADY.anchor_ns + mono_ns + self.slept_ns + self.stepped_ns
        return Reading(wall_ns, self.raw_ns, mono_ns, mono_ns + self.slept_ns, 100)


def started():
    host = SimulatedHost()
    return host, WallWatch(STEADY, host.read())


@given(st.integers(-(10**14), 10**14).filter(lambda size: abs(size) > 11_000))
def test_a_step_is_one_event_of_its_size(size_ns):
    """Told at the next reading, to the nanosecond, and only once."""
    host, watch = started()
    assert watch.feed(host.tick()) == []
    host.stepped_ns += size_ns
    events = watch.feed(host.tick())
    assert [(event.kind, event.size_ns) for event in events] == [(EventKind.STEP, size_ns)]
    assert watch.feed(host.tick()) == []


def test_a_step_that_hides_in_a_wide_reading_is_found_by_the_next():
    """The host was starved while it read: the tightest reading stays the one to compare with."""
    host, watch = started()
    host.stepped_ns += 1_500_000
    assert watch.feed(replace(host.tick(), width_ns=2_000_000)) == []
    assert [event.size_ns for event in watch.feed(host.tick())] == [1_500_000]


def test_many_small_steps_add_up():
    """A thousand of 1 µs are told as what they amount to."""
    host, watch = started()
    total_ns = 0
    for _ in range(1000):
        host.stepped_ns += 1000
        total_ns += sum(event.size_ns for event in watch.feed(host.tick()))
    assert total_ns == pytest.approx(1_000_000, abs=11_000)


@pytest.mark.parametrize("late_ns", [1_000_000, 20_000_000])
def test_a_reading_torn_by_preemption_while_slewing_is_no_event(late_ns):
    """At +10 % the clocks ran further apart than the width in RAW says."""
    host, watch = started()
    calm = host.tick(slew_ppm=100_000)
    torn = replace(
        calm,
        raw_ns=calm.raw_ns + late_ns // 2,
        mono_ns=calm.mono_ns,
        boot_ns=calm.boot_ns + round(late_ns * 1.1),
        width_ns=late_ns,
    )
    assert watch.feed(torn) == []


def test_a_slew_of_eight_percent_is_no_step():
    """chrony may slew by 83333 ppm: one slew event with its size when it ends, and no step."""
    host, watch = started()
    events = []
    for _ in range(40):
        events += watch.feed(host.tick(slew_ppm=83_333))
    assert events == []
    for _ in range(8):
        events += watch.feed(host.tick())
    assert [event.kind for event in events] == [EventKind.SLEW]
    assert events[0].size_ns == pytest.approx(40 * TICK_NS * 0.083333, rel=0.11)


def test_ordinary_steering_is_no_event():
    """500 ppm is within the kernel's frequency word."""
    host, watch = started()
    assert [watch.feed(host.tick(slew_ppm=-499)) for _ in range(100)] == [[]] * 100


def test_a_suspend_is_told_apart_from_a_step():
    """W and BOOTTIME jump together; RAW and MONOTONIC stood still."""
    host, watch = started()
    host.slept_ns += 3_600 * 10**9
    events = watch.feed(host.tick())
    assert [(event.kind, event.size_ns) for event in events] == [(EventKind.SUSPEND, 3_600 * 10**9)]


def test_a_step_during_a_suspend_is_both():
    """Each with its own size."""
    host, watch = started()
    host.slept_ns += 60 * 10**9
    host.stepped_ns -= 2 * 10**9
    assert [(e.kind, e.size_ns) for e in watch.feed(host.tick())] == [
        (EventKind.SUSPEND, 60 * 10**9),
        (EventKind.STEP, -2 * 10**9),
    ]


def test_the_summary_leaves_steps_out_of_the_rates_and_keeps_the_extremes():
    """50 ppm of slewing and a step of 1 s: rate 50 ppm, extremes as far apart as the step."""
    host, watch = started()
    for number in range(40):
        if number == 20:
            host.stepped_ns += 10**9
        watch.feed(host.tick(slew_ppm=50))
    summary = watch.summarise()
    assert summary.wall_rate_ppm == pytest.approx(50, abs=0.01)
    assert summary.mono_rate_ppm == pytest.approx(50, abs=0.01)
    assert summary.greatest_ns - summary.least_ns == pytest.approx(10**9 + 500_000, abs=20_000)
    for _ in range(4):
        watch.feed(host.tick())
    later = watch.summarise()
    assert later.wall_rate_ppm == pytest.approx(0, abs=0.01)
    half_ns = (later.width_ns + 1) // 2
    assert later.greatest_ns - half_ns == later.least_ns + half_ns == summary.wall_minus_steady_ns


def test_the_summary_tells_how_long_and_how_closely_it_looked():
    """Ten looks, one of which came eight times late: the stretch and the longest blind time are told."""
    host, watch = started()
    first_ns = watch.summarise().steady_ns
    for number in range(10):
        for _ in range(7 if number == 5 else 0):
            host.tick()
        watch.feed(host.tick())
    summary = watch.summarise()
    assert summary.observed_ns == summary.steady_ns - first_ns
    assert summary.gap_ns == 8 * summary.observed_ns // 17
    assert watch.summarise().gap_ns == 0


DAY_NS = 86_400 * 10**9


def just_past_midnight(host, size_ns):
    """A reading after a step of ``size_ns`` that the kernel made at the end of the day."""
    into_day_ns = (STEADY.anchor_ns + host.raw_ns) % DAY_NS
    host.raw_ns += DAY_NS - into_day_ns + 100_000_000
    host.stepped_ns += size_ns
    return host.read()


@pytest.mark.parametrize("size_ns", [-(10**9), 10**9])
def test_the_kernels_leap_second_is_no_step(size_ns):
    """By one second at midnight UTC, however it was inserted or deleted."""
    host, watch = started()
    events = watch.feed(just_past_midnight(host, size_ns))
    assert [(e.kind, e.size_ns) for e in events if e.kind is not EventKind.SLEW] == [
        (EventKind.LEAP, size_ns)
    ]


@pytest.mark.parametrize(
    ("size_ns", "later_ns"), [(10**9 + 50_000, 0), (-(10**9), 3_600 * 10**9), (2 * 10**9, 0)]
)
def test_other_steps_around_midnight_are_steps(size_ns, later_ns):
    """Of another size, or an hour later."""
    host, watch = started()
    host.raw_ns += later_ns
    if later_ns:
        watch.feed(just_past_midnight(host, 0))
        host.raw_ns += later_ns
        host.stepped_ns += size_ns
        events = watch.feed(host.read())
    else:
        events = watch.feed(just_past_midnight(host, size_ns))
    assert [(event.kind, event.size_ns) for event in events] == [(EventKind.STEP, size_ns)]
