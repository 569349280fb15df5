"""ICMP probes of loopback, and replies that are not to be believed."""

import asyncio
import contextlib
import os
import socket

import pytest
from agent.probinghost import ProbingHost, outcomes, until

from truechimer.codes import ProbeOutcome
from truechimer.config.model import ProbeConfig
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.collectors.icmp import Icmp
from truechimer_agent.pauses.stalllog import StallLog
from truechimer_agent.probes.echo import Echo
from truechimer_agent.probes.pingsocket import Arrival, PingSocket


def probe(target, *, name="peer", interval_s=0.1, timeout_s=1.0):
    return ProbeConfig(kind="icmp", target=target, name=name, interval_s=interval_s, timeout_s=timeout_s)


def need_ping(version):
    """Skip where ICMP echo is not allowed or the family is missing."""
    try:
        ping = PingSocket(version, 1, socket.socket)
    except OSError as error:
        pytest.skip(f"no ICMP socket of IPv{version} here: {error.strerror}")
    try:
        ping.sock.connect(("127.0.0.1" if version == 4 else "::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv{version} loopback here: {error.strerror}")
    finally:
        ping.close()


def gather(*probes, enough, make_socket=socket.socket):
    """Probe until ``enough(observations)``; the observations."""

    async def run():
        host = ProbingHost()
        collector = Icmp(host, probes, StallLog(), make_socket)
        try:
            await collector.open()
            await until(lambda: enough(host.observations))
            await collector.collect()
        finally:
            await collector.close()
        return host.observations

    return asyncio.run(run())


@pytest.mark.parametrize(("version", "address"), [(4, "127.0.0.1"), (6, "::1"), (6, "[::1]")])
def test_loopback_replies_with_a_round_trip(version, address):
    """Each echo is a reply with its rtt, tagged with the probe's name."""
    need_ping(version)
    observed = gather(probe(address), enough=lambda observed: len(observed) >= 5)
    assert outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}
    assert ProbeOutcome.REPLY in outcomes(observed)
    assert all(0 < o.fields["rtt_seconds"] < 1 for o in observed)
    assert {tuple(sorted(o.tags.items())) for o in observed} == {(("peer", "peer"), ("via", "icmp"))}


def test_many_targets_share_a_socket_and_keep_apart():
    """Replies find the target that they are of."""
    need_ping(4)
    probes = [probe(f"127.0.0.{n}", name=f"peer-{n}") for n in range(1, 9)]
    observed = gather(*probes, enough=lambda observed: len({o.tags["peer"] for o in observed}) == 8)
    assert outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}


def denied(family, kind, protocol):
    raise PermissionError(1, os.strerror(1))


def test_without_privilege_it_says_what_it_lacks():
    """Neither a ping socket nor a raw one: the message names the sysctl and the capability."""
    with pytest.raises(Lacking, match=r"ping_group_range.*CAP_NET_RAW") as raised:
        gather(probe("127.0.0.1"), enough=bool, make_socket=denied)
    assert raised.value.hint


def test_a_family_that_is_denied_is_not_permitted():
    """With IPv4 alone allowed, probes of IPv6 say that it is this host that may not."""
    need_ping(4)

    def only_ipv4(family, kind, protocol):
        return (
            socket.socket(family, kind, protocol)
            if family == socket.AF_INET
            else denied(family, kind, protocol)
        )

    observed = gather(probe("::1"), enough=lambda observed: len(observed) >= 2, make_socket=only_ipv4)
    assert outcomes(observed) == {ProbeOutcome.NOT_PERMITTED}


class Deaf(PingSocket):
    """Sends nothing; the test says what arrives."""

    sent: list[tuple[int, bytes]]

    def send(self, sequence, nonce, _address):
        self.sent.append((sequence, nonce))

    def receive(self):
        with contextlib.suppress(OSError):
            self.sock.recv(2048)
        return []


@pytest.fixture
def deaf(monkeypatch):
    need_ping(4)
    monkeypatch.setattr("truechimer_agent.collectors.icmp.PingSocket", Deaf)
    Deaf.sent = []
    return Deaf.sent


def reply_to(sequence, nonce):
    return Arrival(Echo(0, sequence, nonce), ProbeOutcome.REPLY, None)


def test_forged_doubled_and_late_replies_are_ignored(deaf):
    """Only the first reply with the request's own nonce, within its timeout, counts."""

    async def run():
        host = ProbingHost()
        collector = Icmp(host, [probe("127.0.0.1", interval_s=3600, timeout_s=0.3)], StallLog())
        await collector.open()
        try:
            await until(lambda: deaf)
            sequence, nonce = deaf[0]
            for arrival in (
                reply_to(sequence, b"forged!!"),
                reply_to(sequence, nonce[:4]),
                reply_to(sequence + 1, nonce),
            ):
                collector._take(socket.AF_INET, arrival)
            assert collector.ignored == 3
            assert len(collector._attempts) == 1
            collector._take(socket.AF_INET6, reply_to(sequence, nonce))
            assert len(collector._attempts) == 1
            await until(lambda: host.observations)
            collector._take(socket.AF_INET, reply_to(sequence, nonce))
            await collector.collect()
        finally:
            await collector.close()
        assert collector.ignored == 5
        assert len(host.observations) == 1
        assert outcomes(host.observations) <= {ProbeOutcome.LOST, ProbeOutcome.OWN_STALL}

    asyncio.run(run())


def test_a_doubled_reply_counts_once(deaf):
    """The second of two equal replies is ignored."""

    async def run():
        host = ProbingHost()
        collector = Icmp(host, [probe("127.0.0.1", interval_s=3600)], StallLog())
        await collector.open()
        try:
            await until(lambda: deaf)
            collector._take(socket.AF_INET, reply_to(*deaf[0]))
            collector._take(socket.AF_INET, reply_to(*deaf[0]))
        finally:
            await collector.close()
        assert collector.ignored == 1
        assert outcomes(host.observations) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}
        assert len(host.observations) == 1

    asyncio.run(run())


def test_an_error_may_quote_less_than_the_nonce(deaf):
    """Routers owe only eight bytes of the request: sequence alone then tells which it was."""

    async def run():
        host = ProbingHost()
        collector = Icmp(host, [probe("127.0.0.1", interval_s=3600)], StallLog())
        await collector.open()
        try:
            await until(lambda: deaf)
            sequence, _ = deaf[0]
            word = ProbeOutcome.HOST_UNREACHABLE
            collector._take(socket.AF_INET, Arrival(Echo(0, sequence, b"other"), word, None))
            assert collector.ignored == 1
            collector._take(socket.AF_INET, Arrival(Echo(0, sequence, b""), word, None))
        finally:
            await collector.close()
        assert outcomes(host.observations) == {word}

    asyncio.run(run())


def test_the_sequence_wraps_and_passes_over_what_is_in_flight(deaf):
    """A sequence in flight is not used again."""

    async def run():
        collector = Icmp(ProbingHost(), [probe("127.0.0.1", interval_s=3600, timeout_s=60)], StallLog())
        await collector.open()
        try:
            await until(lambda: deaf)
            collector._sequence = deaf[0][0] - 1
            assert collector._free_sequence(socket.AF_INET) == deaf[0][0] + 1
            collector._sequence = 0xFFFF
            assert collector._free_sequence(socket.AF_INET6) == 0
        finally:
            await collector.close()

    asyncio.run(run())


def test_a_full_send_buffer_is_not_blamed_on_the_peer(monkeypatch):
    """This host's own want is a failure of the collector, and no sample."""
    need_ping(4)

    def full(self, sequence, nonce, address):
        raise BlockingIOError(11, os.strerror(11))

    monkeypatch.setattr(PingSocket, "send", full)

    async def run():
        host = ProbingHost()
        collector = Icmp(host, [probe("127.0.0.1")], StallLog())
        await collector.open()
        try:
            await asyncio.sleep(0.3)
            with pytest.raises(CollectFailure):
                await collector.collect()
        finally:
            await collector.close()
        assert host.observations == []

    asyncio.run(run())


def test_closing_without_opening_is_harmless():
    """Close is safe at any time, and twice."""

    async def run():
        collector = Icmp(ProbingHost(), [probe("127.0.0.1")], StallLog())
        await collector.close()
        await collector.close()

    asyncio.run(run())
