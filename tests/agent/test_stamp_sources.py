"""What one source may ask, and who floods."""

import pytest

from truechimer_agent.stamp.sources import MOST_SOURCES, Allowance, Sources, network_of

S = 10**9
ONE, TWO = b"\x0a\0\0\1", b"\x0a\0\0\2"


def test_a_burst_and_then_the_rate():
    """5 at once, then 2 a second; another source is not concerned."""
    sources = Sources(Allowance(rate_hz=2, burst=5))
    assert [sources.may(ONE, 0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert sources.may(TWO, 0)
    allowed = sum(sources.may(ONE, at) for at in range(0, 10 * S, S // 10))
    assert allowed == 19


def test_a_long_silence_gives_no_more_than_the_burst():
    """A day later."""
    sources = Sources(Allowance(rate_hz=2, burst=5))
    sources.may(ONE, 0)
    assert sum(sources.may(ONE, 86_400 * S) for _ in range(10)) == 5


def test_time_that_goes_back_gives_nothing():
    """S of another epoch may be behind."""
    sources = Sources(Allowance(rate_hz=2, burst=1))
    assert sources.may(ONE, 10 * S)
    assert not sources.may(ONE, 0)


def test_who_gets_no_answer_too_often_floods():
    """Once a second at most it is said; a slow trickle is no flood."""
    sources = Sources(Allowance(flood=100))
    for at in range(99):
        sources.unanswered(ONE, at)
    assert sources.flooding == []
    sources.unanswered(ONE, 99)
    sources.unanswered(ONE, 100)
    assert sources.flooding == [ONE]
    for number in range(10_000):
        sources.unanswered(TWO, number * S // 90)
    assert sources.flooding == [ONE]


def test_forged_addresses_take_no_memory():
    """A million sources: as many as 4,096 are known; who asks on is not forgotten."""
    sources = Sources(Allowance(rate_hz=0, burst=1))
    assert sources.may(ONE, 0)
    for number in range(20_000):
        sources.may((number + (1 << 30)).to_bytes(4, "big"), 0)
        if number % 1000 == 0:
            assert not sources.may(ONE, 0)
    assert len(sources._known) == MOST_SOURCES


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.1", ONE),
        ("::ffff:10.0.0.1", ONE),
        ("2001:db8:1:2:3:4:5:6", bytes.fromhex("20010db800010002")),
        ("fe80::1%eth0", bytes.fromhex("fe80000000000000")),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_network(host, network):
    """A host has all of its /64 to choose from."""
    assert network_of(host) == network
