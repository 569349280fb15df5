"""S and NTP timestamps: rounding to the side that is asked for, and eras."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.stamp.stamps import NS, ns_down, ns_up, stamp_down, stamp_up

STEADY = st.integers(0, 1 << 63)
STAMPS = st.integers(0, (1 << 64) - 1)
ERA_NS = NS << 32


def test_the_unix_epoch_is_ntps_2208988800():
    """RFC 5905 figure 4."""
    assert stamp_down(0) == stamp_up(0) == 2_208_988_800 << 32
    assert ns_down(2_208_988_800 << 32, 0) == ns_up(2_208_988_800 << 32, 0) == 0


@given(steady=STEADY)
def test_what_was_rounded_up_is_read_down_to_the_same_and_the_reverse(steady):
    """A unit of NTP's is shorter than a nanosecond."""
    assert ns_down(stamp_up(steady), steady) == steady
    assert ns_up(stamp_down(steady), steady) == steady


@given(steady=STEADY)
def test_up_is_no_earlier_and_down_no_later(steady):
    """Up and down are the same where the time is a whole number of units, else one unit apart."""
    assert (stamp_up(steady) - stamp_down(steady)) % (1 << 64) == (0 if (steady << 32) % NS == 0 else 1)
    assert ns_down(stamp_down(steady), steady) <= steady <= ns_up(stamp_up(steady), steady)


@given(stamp=STAMPS, near=STEADY)
def test_reading_brackets_the_stamp(stamp, near):
    """Down and up differ by the rounding alone."""
    assert 0 <= ns_up(stamp, near) - ns_down(stamp, near) <= 1


@given(steady=st.integers(ERA_NS, 5 * ERA_NS), apart=st.integers(-ERA_NS // 2 + NS, ERA_NS // 2 - NS))
def test_the_era_is_the_one_that_brings_it_near(steady, apart):
    """A peer whose S is decades off is read as decades off, across 2036 too."""
    assert ns_down(stamp_up(steady + apart), steady) == steady + apart
