"""What is promised to ClockBound's clients: layouts to the byte, and an interval that contains UTC."""

import math
import struct
import sys
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from agent.clockboundhost import clients_interval
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer.codes import BoundReason, BoundStatus
from truechimer.readings import Reading, SteadyClock
from truechimer_agent.bounds.bound import Bound
from truechimer_agent.bounds.intervals import Drift, Interval
from truechimer_agent.clockbound.layout import (
    DRIFT_LIMIT_PPB,
    V1,
    V2,
    ErrorBound,
    Status,
    when_written,
    while_writing,
)
from truechimer_agent.clockbound.terms import (
    MARGIN_PPB,
    NO_BOUND_NS,
    VALID_NS,
    WINDOW_NS,
    Moment,
    Rates,
    WallRate,
    drift_ppb,
    error_bound,
)

NS = 10**9
TICK_NS = 4_000_000
STEADY = SteadyClock(1_795_000_000 * NS, 1)
ERROR_BOUNDS = st.builds(
    ErrorBound,
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([Status.UNKNOWN, Status.SYNCHRONIZED, Status.FREE_RUNNING]),
)


@pytest.mark.skipif(sys.byteorder != "little", reason="the bytes are those of a little-endian host")
def test_the_bytes_are_those_that_clients_expect():
    bound = ErrorBound(3 * NS + 4, 8 * NS + 5, 6, 7, Status.FREE_RUNNING, 9)
    header = "4e5a4d41 00024243"
    times = struct.pack("<qqqqq", 3, 4, 8, 5, 6).hex()
    v1 = V1.header(2) + V1.encode(bound)
    v2 = V2.header(65534) + V2.encode(bound)
    assert v1 == bytes.fromhex(header + "48000000 0100 0200" + times + "07000000 00000000 02000000 00000000")
    assert v2 == bytes.fromhex(
        header + "50000000 0200 feff" + times + "0900000000000000 07000000 02000000 01 00000000000000"
    )
    assert (len(v1), len(v2)) == (72, 80)


@given(ERROR_BOUNDS, st.none() | st.integers(0, 2**64 - 1), st.integers(1, 65535))
def test_what_is_encoded_is_decoded(bound, marker, generation):
    for layout, known in ((V1, None), (V2, marker)):
        bound = replace(bound, disruption_marker=known)
        raw = layout.header(generation) + layout.encode(bound)
        assert layout.decode(raw) == bound
        assert layout.generation_of(raw) == generation


def test_version_1_has_no_disrupted():
    bound = ErrorBound(1, 2, 3, 4, Status.DISRUPTED)
    assert V1.decode(V1.header(2) + V1.encode(bound)).status is Status.UNKNOWN
    assert V2.decode(V2.header(2) + V2.encode(bound)).status is Status.DISRUPTED


@given(st.binary(max_size=90))
def test_what_is_no_segment_of_this_version_has_no_generation(raw):
    assert V1.generation_of(raw) is None
    assert V2.generation_of(V1.header(2) + bytes(56)) is None
    assert V2.generation_of(V2.header(2) + bytes(65)) is None


def test_generations_alternate_and_never_come_to_0():
    generation, seen = 0, []
    for _ in range(65536):
        odd = while_writing(generation)
        generation = when_written(odd)
        seen.append((odd % 2, generation % 2, generation))
    assert {pair[:2] for pair in seen} == {(1, 0)}
    assert [pair[2] for pair in seen[32765:32769]] == [65532, 65534, 2, 4]
    assert while_writing(7) == 7


@dataclass
class World:
    """Exact clocks: UTC drifts against RAW by f; W and MONOTONIC run at a rate of their own."""

    f: Fraction
    w: Fraction
    x_ns: Fraction
    ahead_ns: int

    def utc(self, raw_ns):
        return STEADY.anchor_ns + raw_ns + self.x_ns + self.f * raw_ns

    def wall(self, raw_ns):
        return STEADY.anchor_ns + raw_ns + self.ahead_ns + self.w * raw_ns

    def mono(self, raw_ns):
        return 10**12 + raw_ns + self.w * raw_ns


PPB = st.integers(-500_000, 500_000)


@settings(max_examples=200)
@given(
    PPB,
    st.integers(0, 100_000),
    st.fractions(0, 1),
    st.integers(-90_000_000, 90_000_000),
    st.integers(0, 40_000),
    st.fractions(0, 1),
    st.none() | st.integers(1, 10**8),
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**6),
    st.fractions(0, 1),
    st.integers(0, 5 * NS),
    st.integers(0, 10 * TICK_NS),
    st.integers(0, TICK_NS),
    st.integers(0, 2000),
)
def test_the_clients_interval_contains_utc_while_nobody_slews_faster(
    f_lo,
    f_width,
    f_at,
    w_lo,
    w_width,
    w_at,
    slew,
    ahead_ns,
    x_width,
    x_at,
    later_ns,
    late_ns,
    early_ns,
    wide_ns,
):
    """For every oscillator and every W within what was published, each age up to void_after, a late tick."""
    if slew is not None:
        w_lo = f_lo
    rates = Rates(w_lo, w_lo + w_width)
    # W keeps a rate near those that it had lately, or is slewed from one that keeps time.
    slack = MARGIN_PPB + (w_width if slew is None else slew)
    least, width = (w_lo, w_width) if slew is None else (f_lo, f_width)
    w = Fraction(round(least - slack + w_at * (width + 2 * slack)), NS)
    f = Fraction(f_lo, NS) + f_at * Fraction(f_width, NS)
    world = World(f, w, Fraction(x_at * x_width), ahead_ns)
    bound = Bound(
        STEADY.at(0),
        Interval(0, x_width),
        Drift(f_lo, f_lo + f_width),
        BoundStatus.SYNCHRONIZED,
        BoundReason.NONE,
        (),
    )
    coarse = math.floor(world.mono(0)) - early_ns
    wall = math.floor(world.wall(0))
    moment = Moment(coarse, Reading(wall, 0, 0, 0, wide_ns), TICK_NS)
    found = error_bound(bound, STEADY, moment, rates, None, slew or 0)
    assert found.void_after_ns == found.as_of_ns + VALID_NS
    mono = world.mono(later_ns)
    earliest, latest = clients_interval(found, math.floor(world.wall(later_ns)), math.floor(mono) - late_ns)
    if math.floor(mono) - late_ns < found.void_after_ns:
        # W is floored twice, once by each reader: a ns.
        assert earliest - 1 <= world.utc(later_ns) <= latest + 1


def test_the_bound_is_the_worse_end_with_room_for_a_late_tick_and_a_nanosecond():
    bound = Bound(
        STEADY.at(0), Interval(-300, 700), Drift(-9000, 2000), BoundStatus.HOLDOVER, BoundReason.NONE, ()
    )
    moment = Moment(10**12, Reading(STEADY.anchor_ns + 500, 0, 0, 0, 41), TICK_NS)
    found = error_bound(bound, STEADY, moment, Rates(1000, 3000), 77)
    growth = drift_ppb(Rates(1000, 3000), bound.drift)
    assert growth == 9000 + 3000 + MARGIN_PPB + 2000 + 1
    assert found.bound_ns == 300 + 500 + 21 + math.ceil(growth * 10 * TICK_NS / 1e9) + 1
    assert (found.status, found.disruption_marker) == (Status.FREE_RUNNING, 77)


@pytest.mark.parametrize(
    ("status", "rates", "published"),
    [
        (BoundStatus.UNKNOWN, Rates(0, 0), Status.UNKNOWN),
        (BoundStatus.DISRUPTED, Rates(0, 0), Status.DISRUPTED),
        (BoundStatus.SYNCHRONIZED, None, Status.UNKNOWN),
        (BoundStatus.SYNCHRONIZED, Rates(0, 10**10), Status.UNKNOWN),
    ],
)
def test_without_a_bound_or_a_rate_nothing_is_promised(status, rates, published):
    """And the interval of who overlooks the status is a year wide, its drift one that clients accept."""
    has_bound = status is BoundStatus.SYNCHRONIZED
    bound = Bound(
        STEADY.at(0), Interval(0, 9) if has_bound else None, Drift(-5, 5), status, BoundReason.NONE, ()
    )
    found = error_bound(bound, STEADY, Moment(5, Reading(0, 0, 0, 0, 1), TICK_NS), rates)
    assert (found.status, found.bound_ns) == (published, NO_BOUND_NS)
    assert found.max_drift_ppb < DRIFT_LIMIT_PPB


@dataclass
class Host:
    """Readings of a host whose W runs at a rate, may be stepped, and may sleep."""

    raw: int = 10**12
    ahead: int = 0
    stepped: int = 0
    slept: int = 0

    def later(self, ppm, elapsed_ns=NS // 4, width_ns=200):
        self.raw += elapsed_ns
        self.ahead += round(elapsed_ns * ppm / 1e6)
        mono = self.raw + self.ahead
        boot = mono + self.slept
        return Reading(10**18 + boot + self.stepped, self.raw, mono, boot, width_ns)


def test_the_hull_holds_every_rate_of_the_last_seconds_and_forgets():
    host, rates = Host(), WallRate()
    for ppm in [12] * 8 + [-300] * 4 + [12] * 8:
        rates.feed(host.later(ppm))
    hull = rates.hull(host.raw)
    assert hull.lower_ppb <= -300_000
    assert 12_000 <= hull.upper_ppb < 16_000
    for _ in range(1 + WINDOW_NS // (NS // 4)):
        rates.feed(host.later(12))
    assert rates.hull(host.raw).lower_ppb > 8_000
    assert rates.hull(host.raw + WINDOW_NS + 1) is None


@pytest.mark.parametrize("change", [{"stepped": 5 * NS}, {"stepped": -20_000}, {"slept": 3600 * NS}])
def test_a_step_or_a_sleep_is_told_and_is_no_rate(change):
    host, rates = Host(), WallRate()
    for _ in range(8):
        assert rates.feed(host.later(12)) is False
    for name, value in change.items():
        setattr(host, name, value)
    assert rates.feed(host.later(12)) is True
    for _ in range(8):
        assert rates.feed(host.later(12)) is False
    assert 8_000 < rates.hull(host.raw).lower_ppb < rates.hull(host.raw).upper_ppb < 16_000


def test_a_loose_reading_is_left_out_unless_there_is_no_other():
    host, rates = Host(), WallRate()
    for width_ns in [200, 200, 5_000_000, 200]:
        rates.feed(host.later(12, width_ns=width_ns))
    assert rates.hull(host.raw).upper_ppb < 16_000
    for _ in range(60):
        rates.feed(host.later(12, width_ns=1_000_000))
    hull = rates.hull(host.raw)
    assert hull.lower_ppb < 12_000 < hull.upper_ppb < 2_000_000


@given(PPB, st.integers(0, 10**8), st.integers(0, 10**6), st.integers(-(10**8), 10**8))
def test_more_to_allow_for_is_never_less_drift(f_lo, slew, width, w_lo):
    rates = Rates(w_lo, w_lo + width)
    least = drift_ppb(rates, Drift(f_lo, f_lo))
    assert slew <= drift_ppb(rates, Drift(f_lo, f_lo), slew)
    assert least <= drift_ppb(rates, Drift(f_lo - width, f_lo + width))
    assert drift_ppb(Rates(-NS, 0), Drift(0, 0)) == DRIFT_LIMIT_PPB
