"""The NTP collector: what it does about what the estimator finds, with exchanges that need no network."""

import asyncio

import pytest
from agent.simulation import exchange as exchange_of

from truechimer.codes import BoundReason
from truechimer.config.model import NtpConfig
from truechimer.readings import SystemClocks
from truechimer_agent.bounds.estimator import Estimator
from truechimer_agent.collectors import ntp
from truechimer_agent.hostclock import HostClock
from truechimer_agent.ntp.plan import Plan, Server

SECOND = 10**9
SERVERS = tuple(Server(name, "127.0.0.1", 123) for name in ("a", "b", "c"))


class FakeNetwork:
    """Every server answers within 20 µs what UTC − S is, and `lies` on top."""

    def __init__(self):
        self.jumped_ns = 0
        self.lies = {}
        self.asked = 0

    async def exchange(self, clock, address, *_, **__):
        self.asked += 1
        await asyncio.sleep(0)
        sent_ns = clock.steady_now_ns()
        middle_ns = sent_ns + 10_000 + self.jumped_ns + self.lies.get(address, 0)
        return exchange_of(sent_ns, sent_ns + 20_000, middle_ns, middle_ns, error_ns=50_000)


@pytest.fixture(params=[SERVERS])
def host(monkeypatch, request):
    servers, network, told = request.param, FakeNetwork(), []
    clock = HostClock(SystemClocks(), None)
    estimator = Estimator(
        [server.name for server in servers], max_drift_ppb=500_000, wander_ppb=5000, tolerated=None
    )
    clock.on_epoch(estimator.begin_epoch)
    plan = Plan(servers, 16.0, 4, 4, 0.0, "the test")
    collector = ntp.Ntp(clock, told.append, NtpConfig(), plan, estimator)
    clock.on_epoch(collector._ask_at_once)
    collector._addresses = {server.name: server.name for server in SERVERS}
    monkeypatch.setattr(ntp, "exchange", network.exchange)
    return network, clock, estimator, collector, told


async def _poll(collector, *names):
    for server in SERVERS:
        if server.name in names:
            await collector.poll(server, 4)
    for _ in range(10):
        await asyncio.gather(*collector._bursts)


def events(told):
    return [each for each in told if each.measurement == "truechimer_clock_event"]


def test_a_pause_that_all_servers_show_is_an_event_an_epoch_and_a_new_bound(host):
    """All are asked at once; the event has the jump's size; the answers of the new epoch give a bound."""
    network, clock, estimator, collector, told = host

    async def story():
        await _poll(collector, "a", "b", "c")
        await _poll(collector, "a", "b", "c")
        await _poll(collector, "a")
        epoch = clock.steady().epoch
        network.jumped_ns = 3 * SECOND
        await _poll(collector, "a")
        return epoch

    epoch = asyncio.run(story())
    assert clock.steady().epoch == epoch + 1
    assert [event.tags for event in events(told)] == [{"kind": "vm_restore"}]
    assert events(told)[0].fields["size_seconds"] == pytest.approx(3.0, abs=0.001)
    bound = estimator.at(clock.steady_now_ns())
    assert bound.interval.lower_ns <= 3 * SECOND <= bound.interval.upper_ns


def test_a_server_that_jumps_alone_costs_its_vote_and_no_epoch(host):
    """The others are asked, stand by what they said, and the bound goes on."""
    network, clock, estimator, collector, told = host
    said = []
    clock.on_step(lambda: said.append(estimator.at(clock.steady_now_ns()).reason))

    async def story():
        await _poll(collector, "a", "b", "c")
        epoch = clock.steady().epoch
        network.lies["c"] = SECOND
        await _poll(collector, "c")
        return epoch

    assert clock.steady().epoch == asyncio.run(story())
    assert events(told) == []
    bound = estimator.at(clock.steady_now_ns())
    assert bound.interval.lower_ns <= 0 <= bound.interval.upper_ns
    # Withdrawn when the doubt arose, said again when it was settled: neither waits for the next second.
    assert said == [BoundReason.CHECKING, BoundReason.NONE]


@pytest.mark.parametrize("host", [SERVERS[:1]], indirect=True)
def test_a_lone_server_that_contradicts_itself_for_ever_is_not_flooded(host):
    """Whatever it answers, it is asked at most a few bursts beyond its polls."""
    network, _, _, collector, _ = host

    async def story():
        for number in range(20):
            network.lies["a"] = number % 2 * SECOND
            await _poll(collector, "a")

    asyncio.run(story())
    assert 20 * 4 < network.asked <= 20 * 4 + 4 * 5
