"""A leap second with real servers: they announce it and take it; the agent follows them through it."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lab.campaign.cell import ShiftedClocks
from lab.harness import Agent, LeapServer, Network, ShiftedClock, ntp_exchange, wait_until, wall_ns
from lab.harness.fleet import agent_toml
from lab.harness.sink import Sink

from truechimer.clock import Clock, NoBound
from truechimer.codes import Leap

pytestmark = pytest.mark.lab

NS = 1_000_000_000
MIDNIGHT_NS = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * NS
BEFORE_NS = 40 * NS


@pytest.fixture
def world(shifted_clock: Callable[..., ShiftedClock]) -> ShiftedClock:
    """The servers' clock: a little before the end of December."""
    return shifted_clock(MIDNIGHT_NS - BEFORE_NS - wall_ns())


@pytest.mark.parametrize("inserted", [1, -1])
def test_a_server_announces_its_leap_and_takes_it(
    network: Network, world: ShiftedClock, inserted: int
) -> None:
    client = network.host("client")
    with LeapServer(network.host("server"), world, at_ns=MIDNIGHT_NS, inserted=inserted) as server:
        before = ntp_exchange(client, server.address)
        assert before is not None
        assert before.leap == (Leap.INSERT if inserted > 0 else Leap.DELETE)
        assert abs(before.offset_s - world.shift_ns / NS) <= before.delay_s / 2 + 0.001
        after = wait_until(
            lambda: (answer := ntp_exchange(client, server.address)) and answer.leap == Leap.NONE and answer,
            "the leap to be over",
            timeout_s=60,
            every_s=0.1,
        )
        assert server.ahead_ns == world.shift_ns - inserted * NS
        assert abs(after.offset_s - server.ahead_ns / NS) <= after.delay_s / 2 + 0.001


def test_the_agent_follows_a_leap_second(
    network: Network, world: ShiftedClock, shifted_clock: Callable[..., ShiftedClock], tmp_path: Path
) -> None:
    """Whatever it publishes contains the servers' time, which leaps; afterwards there is a bound again.

    The host's kernel is told of nothing, so that its W is a second ahead in the end.
    """
    with ExitStack() as stack:
        servers = [
            stack.enter_context(LeapServer(network.host(f"ntp{n}"), world, at_ns=MIDNIGHT_NS, inserted=1))
            for n in range(3)
        ]
        clock = shifted_clock(world.shift_ns)
        addresses = [server.address for server in servers]
        host = network.host("node")
        store = stack.enter_context(Sink(host))
        config = agent_toml(tmp_path, node="n1", servers=addresses, sinks=[store.url], interval_s=1.0)
        stack.enter_context(Agent(host, config, env=clock.env))
        clocks = ShiftedClocks(clock)
        reader = Clock(tmp_path / "run/clock", clocks)
        seen: list[tuple[bool, bool]] = []

        def look() -> bool:
            """Whether there has been a bound for some time after the leap."""
            try:
                interval = reader.now()
            except NoBound:
                return False
            half_ns = (clocks.last.width_ns + 1) // 2
            ahead_ns = servers[0].ahead_ns
            has_leapt = ahead_ns != world.shift_ns
            true_ns = clocks.true_ns + ahead_ns
            contains = interval.earliest_ns - half_ns <= true_ns <= interval.latest_ns + half_ns
            seen.append((has_leapt, contains))
            return sum(leapt for leapt, _ in seen) > 100

        wait_until(look, "a bound after the leap", timeout_s=90)
        assert all(contains for _, contains in seen), seen
        assert {leapt for leapt, _ in seen} == {False, True}
