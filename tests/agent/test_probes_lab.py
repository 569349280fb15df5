"""Probes across networks of namespaces: silence, a router's word and this host's own word are told apart.

203.0.113.0/24 and 2001:db8::/32 are documentation prefixes, routed inside the lab only.
"""

import asyncio
import socket

import pytest
from agent.probinghost import ProbingHost, outcomes, until
from lab.harness import Network

from truechimer.codes import ProbeOutcome
from truechimer.config.model import ProbeConfig
from truechimer_agent.collectors.icmp import Icmp
from truechimer_agent.collectors.tcp import Tcp
from truechimer_agent.pauses.stalllog import StallLog

pytestmark = pytest.mark.lab

COLLECTORS = {"tcp": Tcp, "icmp": Icmp}
REPLIES = {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}
SILENCE = {ProbeOutcome.LOST, ProbeOutcome.OWN_STALL}
PORT = 7000


@pytest.fixture(scope="module")
def network():
    with Network() as made:
        yield made


@pytest.fixture(scope="module")
def prober(network):
    return network.host("prober")


@pytest.fixture(scope="module")
def router(network, prober):
    """A peer that listens, and that the documentation prefixes are routed to."""
    host = network.host("router")
    write(host, "net/ipv4/ip_forward", "1")
    write(host, "net/ipv6/conf/all/forwarding", "1")
    # Errors are rate-limited by default, which would turn a router's word into silence.
    write(host, "net/ipv4/icmp_ratelimit", "0")
    write(host, "net/ipv6/icmp/ratelimit", "0")
    prober.ip("route", "add", "203.0.113.0/24", "via", host.address)
    prober.ip("-6", "route", "add", "2001:db8::/32", "via", host.address6)
    with host.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
        listener.bind(("::", PORT))
        listener.listen(128)
        yield host


def write(host, path, value):
    """Set a sysctl of the host's namespace."""
    host.run("sh", "-c", f"echo '{value}' > /proc/sys/{path}")


def gather(host, kind, *addresses, count=3, timeout_s=0.4, interval_s=0.1):
    """Probe from a host until each target has ``count`` results; outcomes by target, and the collector."""
    probes = [
        ProbeConfig(kind, target(kind, address), address, interval_s=interval_s, timeout_s=timeout_s)
        for address in addresses
    ]
    by_peer = {address: [] for address in addresses}

    async def run():
        probing = ProbingHost()
        collector = COLLECTORS[kind](probing, probes, StallLog(), host.socket)

        def enough():
            for observation in probing.observations:
                by_peer[observation.tags["peer"]].append(observation)
            probing.observations.clear()
            return all(len(observed) >= count for observed in by_peer.values())

        try:
            await collector.open()
            await until(enough)
        finally:
            await collector.close()
        return collector

    collector = asyncio.run(run())
    return {address: outcomes(observed) for address, observed in by_peer.items()}, collector


def target(kind, address):
    if kind == "icmp":
        return address
    return f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"


@pytest.fixture(params=["tcp", "icmp, unprivileged", "icmp, raw"])
def kind(request, prober):
    """Each kind of probe, ICMP by both kinds of socket."""
    kind, _, how = request.param.partition(", ")
    write(prober, "net/ipv4/ping_group_range", "0 2147483647" if how == "unprivileged" else "1 0")
    return kind


def test_a_peer_replies_in_both_families(kind, prober, router):
    """Replies across a network, IPv4 and IPv6."""
    found, _ = gather(prober, kind, router.address, router.address6, timeout_s=5)
    assert ProbeOutcome.REPLY in found[router.address] | found[router.address6]
    assert found[router.address] | found[router.address6] <= REPLIES


@pytest.mark.parametrize(("group", "is_raw"), [("0 2147483647", False), ("1 0", True)])
def test_the_unprivileged_socket_is_used_where_it_is_allowed(group, is_raw, prober, router, monkeypatch):
    """net.ipv4.ping_group_range decides; root outside of it falls back to raw sockets."""
    made = []
    monkeypatch.setattr(Icmp, "_readable", spying(Icmp._readable, made))
    write(prober, "net/ipv4/ping_group_range", group)
    gather(prober, "icmp", router.address, router.address6, timeout_s=5)
    assert {ping.is_raw for ping in made} == {is_raw}


def spying(method, made):
    def readable(self, family, ping):
        made.append(ping)
        method(self, family, ping)

    return readable


@pytest.mark.parametrize(
    ("route", "outcome"),
    [
        ("unreachable", ProbeOutcome.HOST_UNREACHABLE),
        ("prohibit", ProbeOutcome.NOT_PERMITTED),
        ("blackhole", ProbeOutcome.NET_UNREACHABLE),
        (None, ProbeOutcome.NET_UNREACHABLE),
    ],
)
def test_what_this_hosts_own_routing_says(kind, route, outcome, prober):
    """A route of the prober's own that leads nowhere is told at once, whatever its kind; so is none."""
    address, address6 = ("198.51.100.7", "fd99::7")
    if route is not None:
        prober.ip("route", "add", route, address)
        prober.ip("-6", "route", "add", route, address6)
    try:
        found, _ = gather(prober, kind, address, address6, timeout_s=30)
    finally:
        if route is not None:
            prober.ip("route", "del", route, address)
            prober.ip("-6", "route", "del", route, address6)
    assert found == {address: {outcome}, address6: {outcome}}


@pytest.mark.parametrize(
    ("route", "word", "word6"),
    [
        # For IPv6 the kernel's router says "no route" there.
        ("unreachable", {ProbeOutcome.HOST_UNREACHABLE}, {ProbeOutcome.NET_UNREACHABLE}),
        ("prohibit", {ProbeOutcome.HOST_UNREACHABLE}, {ProbeOutcome.HOST_UNREACHABLE}),
        ("blackhole", set(), set()),
    ],
)
def test_what_a_router_on_the_way_says(kind, route, word, word6, prober, router):
    """A router's ICMP error is read from the error queue; what it drops without one is lost.

    Linux sends about one such error a second to one host, so that some probes stay without one.
    """
    address, address6 = ("203.0.113.7", "2001:db8::7")
    router.ip("route", "add", route, address)
    router.ip("-6", "route", "add", route, address6)
    try:
        # Here the error comes back while connect still holds the socket, and the kernel then tells of it
        # only when it comes again, for the SYN sent a second later.
        found, _ = gather(prober, kind, address, address6, count=16, interval_s=0.15, timeout_s=1.6)
    finally:
        router.ip("route", "del", route, address)
        router.ip("-6", "route", "del", route, address6)
    assert word <= found[address] <= word | SILENCE
    assert word6 <= found[address6] <= word6 | SILENCE


def test_a_word_about_one_target_does_not_touch_another(kind, prober, router):
    """One socket serves all: an error about one target neither loses nor misnames another's probes."""
    router.ip("route", "add", "unreachable", "203.0.113.8")
    try:
        found, _ = gather(
            prober, kind, "203.0.113.8", router.address, count=30, timeout_s=1.0, interval_s=0.05
        )
    finally:
        router.ip("route", "del", "unreachable", "203.0.113.8")
    assert found["203.0.113.8"] <= {ProbeOutcome.HOST_UNREACHABLE} | SILENCE
    assert found[router.address] <= REPLIES


def test_a_pulled_cable_is_silence_until_the_kernel_gives_up(kind, network, prober):
    """Nobody knows why a host is silent: lost; past the kernel's own patience it says host unreachable."""
    gone = network.host(f"gone-{len(network.hosts)}")
    gone.disconnect()
    found, _ = gather(prober, kind, gone.address, timeout_s=0.3)
    assert found[gone.address] <= SILENCE
    found, _ = gather(prober, kind, gone.address, timeout_s=30, count=1)
    assert found[gone.address] == {ProbeOutcome.HOST_UNREACHABLE}


def test_a_closed_port_of_a_peer_is_refused(prober, router, monkeypatch):
    """Across a network too, a reset says that the host is up."""
    monkeypatch.setitem(globals(), "PORT", PORT + 1)
    found, _ = gather(prober, "tcp", router.address, router.address6)
    assert found == {address: {ProbeOutcome.REFUSED} for address in (router.address, router.address6)}
