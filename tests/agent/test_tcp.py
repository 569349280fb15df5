"""TCP probes on loopback: each kind of end is its own outcome, and this host's own stalls are its own."""

import asyncio
import contextlib
import errno
import socket
import time

import pytest
from agent.probinghost import ProbingHost, outcomes, until

from truechimer.codes import ProbeOutcome
from truechimer.config.model import ProbeConfig
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.collectors import tcp
from truechimer_agent.collectors.tcp import Tcp
from truechimer_agent.pauses.stalllog import StallLog
from truechimer_agent.probes import rounds, targets
from truechimer_agent.probes.targets import Address, Target


def probe(target, *, name="peer", interval_s=0.1, timeout_s=1.0):
    return ProbeConfig(kind="tcp", target=target, name=name, interval_s=interval_s, timeout_s=timeout_s)


@contextlib.contextmanager
def listener(family=socket.AF_INET, address="127.0.0.1", backlog=128):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind((address, 0))
        sock.listen(backlog)
        yield sock.getsockname()[1]


@contextlib.contextmanager
def closed_port():
    """A port that is taken, so that nobody else can begin to listen on it, and that refuses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def full_listener():
    """A listener that never accepts and whose backlog is full: SYNs are dropped in silence."""
    with listener(backlog=0) as port, contextlib.ExitStack() as stack:
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture
def resolver(monkeypatch):
    """Call it with an async function of (host, port) that answers every look-up with addresses."""
    resolve = Target.resolve

    def answer_with(lookup):
        monkeypatch.setattr(Target, "resolve", lambda target, _lookup: resolve(target, lookup))

    return answer_with


def gather(*probes, enough, stalls=None, make_socket=socket.socket):
    """Probe until ``enough(observations)``; the observations."""

    async def run():
        host = ProbingHost()
        collector = Tcp(host, probes, stalls if stalls is not None else StallLog(), make_socket)
        try:
            await collector.open()
            await until(lambda: enough(host.observations))
            await collector.collect()
        finally:
            await collector.close()
        return host.observations

    return asyncio.run(run())


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listener_replies_with_a_round_trip(family, address):
    """Each probe of an open port is a reply with its rtt, tagged with the probe's name, timed at sending."""
    with listener(family, address) as port:
        text = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        observed = gather(probe(text), enough=lambda observed: len(observed) >= 5)
    assert ProbeOutcome.REPLY in outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}
    assert {o.measurement for o in observed} == {"truechimer_rtt"}
    assert {tuple(sorted(o.tags.items())) for o in observed} == {(("peer", "peer"), ("via", "tcp"))}
    assert all(0 < o.fields["rtt_seconds"] < 1 for o in observed)
    times = [o.steady_ns for o in observed]
    assert times == sorted(times)


def test_a_closed_port_is_refused():
    """The host is up and the process is down: refused, without an rtt."""
    with closed_port() as port:
        observed = gather(probe(f"127.0.0.1:{port}"), enough=lambda observed: len(observed) >= 3)
    assert outcomes(observed) == {ProbeOutcome.REFUSED}
    assert all("rtt_seconds" not in o.fields for o in observed)


def test_silence_is_lost():
    """Whoever does not answer within the timeout is lost, and nothing more is said of it."""
    with full_listener() as port:
        observed = gather(
            probe(f"127.0.0.1:{port}", timeout_s=0.15), enough=lambda observed: len(observed) >= 2
        )
    assert outcomes(observed) <= {ProbeOutcome.LOST, ProbeOutcome.OWN_STALL}


class Remote(socket.socket):
    """Loopback that is as slow to say so as a network: connects complete after the call."""

    asked = False

    def connect_ex(self, address):
        if self.asked:
            return errno.EALREADY
        self.asked = True
        return super().connect_ex(address)


def test_replies_that_come_after_the_call():
    """What a network answers later is seen by the loop."""
    with listener() as port:
        observed = gather(
            probe(f"127.0.0.1:{port}"), enough=lambda observed: len(observed) >= 5, make_socket=Remote
        )
    assert ProbeOutcome.REPLY in outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}
    assert all(0 < o.fields["rtt_seconds"] < 1 for o in observed)


def test_refusals_that_come_after_the_call():
    """And so is a refusal."""
    with closed_port() as port:
        observed = gather(
            probe(f"127.0.0.1:{port}"), enough=lambda observed: len(observed) >= 3, make_socket=Remote
        )
    assert outcomes(observed) == {ProbeOutcome.REFUSED}


def test_own_stalls_are_marked(monkeypatch):
    """A loop that stood still while a probe was in flight marks it own stall and keeps the time it took."""
    begin = Tcp._begin

    def begin_and_stall(self, target, address):
        result = begin(self, target, address)
        time.sleep(0.05)
        return result

    monkeypatch.setattr(Tcp, "_begin", begin_and_stall)
    with listener() as port:
        observed = gather(
            probe(f"127.0.0.1:{port}"), enough=lambda observed: len(observed) >= 3, make_socket=Remote
        )
    assert outcomes(observed) == {ProbeOutcome.OWN_STALL}
    assert all(o.fields["rtt_seconds"] > 0.045 for o in observed)


def test_what_the_meter_saw_counts():
    """A silence that the stall log covers is this host's own."""

    class Always(StallLog):
        def longest_ns(self, start_steady_ns, end_steady_ns):
            return end_steady_ns - start_steady_ns

    with full_listener() as port:
        observed = gather(
            probe(f"127.0.0.1:{port}", timeout_s=0.1),
            enough=lambda observed: len(observed) >= 2,
            stalls=Always(),
        )
    assert outcomes(observed) == {ProbeOutcome.OWN_STALL}
    assert all("rtt_seconds" not in o.fields for o in observed)


def test_connects_in_flight_are_bounded_and_the_rest_is_counted(monkeypatch):
    """A target that never answers holds no more sockets than the limit; the probes beyond it are told."""
    monkeypatch.setattr(rounds, "IN_FLIGHT_LIMIT", 3)

    async def run(port):
        host = ProbingHost()
        collector = Tcp(host, [probe(f"127.0.0.1:{port}", interval_s=0.02, timeout_s=60)], StallLog())
        await collector.open()
        try:
            await until(lambda: collector._targets[0].skipped >= 3)
            assert len(collector._attempts) == collector._targets[0].in_flight == 3
            with pytest.raises(CollectFailure, match="still in flight"):
                await collector.collect()
        finally:
            await collector.close()
        assert not collector._attempts

    with full_listener() as port:
        asyncio.run(run(port))


def test_closing_closes_every_socket():
    """After close nothing is in flight, and closing without opening, or twice, is harmless."""

    async def run(port):
        collector = Tcp(ProbingHost(), [probe(f"127.0.0.1:{port}", timeout_s=60)], StallLog())
        await collector.close()
        await collector.open()
        await until(lambda: len(collector._attempts) >= 2)
        socks = [attempt.sock for attempt in collector._attempts]
        await collector.close()
        await collector.close()
        assert all(sock.fileno() == -1 for sock in socks)

    with full_listener() as port:
        asyncio.run(run(port))


@pytest.mark.parametrize("turns", range(6))
def test_a_look_up_that_ends_while_closing_sends_nothing(turns, resolver):
    """Whatever the loop is at when close comes, no socket is made after it."""

    async def run(port):
        asked = asyncio.get_running_loop().create_future()

        async def answer(host, port):
            await asked
            return [Address(socket.AF_INET, ("127.0.0.1", port))]

        resolver(answer)
        collector = Tcp(ProbingHost(), [probe(f"db.example:{port}", interval_s=0.01)], StallLog())
        await collector.open()
        await until(lambda: collector._targets[0].waiting_ns)
        asked.set_result(None)
        for _ in range(turns):
            await asyncio.sleep(0)
        await collector.close()
        await asyncio.sleep(0.02)
        assert not collector._attempts
        assert collector._targets[0].in_flight == 0

    with full_listener() as port:
        asyncio.run(run(port))


def test_the_first_probe_comes_within_a_second():
    """Whatever the interval, the first answer is there at once."""
    with listener() as port:
        observed = gather(
            *(probe(f"127.0.0.1:{port}", name=f"slow-{n}", interval_s=3600) for n in range(4)),
            enough=lambda observed: len(observed) >= 4,
        )
    assert {o.tags["peer"] for o in observed} == {"slow-0", "slow-1", "slow-2", "slow-3"}


def test_a_name_that_does_not_resolve(resolver):
    """DNS failing is an outcome of its own, every time."""

    async def fail(host, port):
        raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")

    resolver(fail)
    observed = gather(probe("db.example:5432"), enough=lambda observed: len(observed) >= 3)
    assert outcomes(observed) == {ProbeOutcome.UNRESOLVED}


def test_a_resolver_that_says_nothing(resolver):
    """Probes do not wait for a silent resolver longer than for a silent peer."""

    async def hang(host, port):
        await asyncio.Event().wait()

    resolver(hang)
    observed = gather(probe("db.example:5432", timeout_s=0.2), enough=lambda observed: len(observed) >= 3)
    assert outcomes(observed) == {ProbeOutcome.UNRESOLVED}


def test_stale_addresses_serve_while_dns_fails(monkeypatch, resolver):
    """Once a name was resolved, failing DNS does not keep the probes from their target."""
    monkeypatch.setattr(targets, "FRESH_S", 0.0)
    asked = 0

    async def once(host, port):
        nonlocal asked
        asked += 1
        if asked > 1:
            raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")
        return [Address(socket.AF_INET, ("127.0.0.1", port))]

    resolver(once)
    with listener() as port:
        observed = gather(probe(f"db.example:{port}"), enough=lambda observed: len(observed) >= 4)
    assert asked > 2
    assert outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}


def test_a_real_look_up():
    """A name goes through the system's resolver: every host knows localhost."""
    with listener() as port:
        observed = gather(
            probe(f"localhost:{port}"), enough=lambda observed: ProbeOutcome.REPLY in outcomes(observed)
        )
    # Where ::1 comes first, nobody listens there.
    assert outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.REFUSED, ProbeOutcome.OWN_STALL}


def test_another_address_of_the_name_is_tried(monkeypatch, resolver):
    """An address without a route is left for the next one, within the same probe."""
    begin, tried = Tcp._begin, []

    async def two(host, port):
        return [
            Address(socket.AF_INET6, ("2001:db8::1", port, 0, 0)),
            Address(socket.AF_INET, ("127.0.0.1", port)),
        ]

    def without_ipv6(self, target, address):
        tried.append(address.family)
        if address.family == socket.AF_INET6:
            now_ns = self._host.steady_now_ns()
            return tcp.Result(target.name, ProbeOutcome.NET_UNREACHABLE, now_ns, now_ns, 1)
        return begin(self, target, address)

    resolver(two)
    monkeypatch.setattr(Tcp, "_begin", without_ipv6)
    with listener() as port:
        observed = gather(probe(f"db.example:{port}"), enough=lambda observed: len(observed) >= 3)
    assert outcomes(observed) <= {ProbeOutcome.REPLY, ProbeOutcome.OWN_STALL}
    assert tried.count(socket.AF_INET6) == 1


def test_a_defect_is_raised_by_collect_and_the_beat_goes_on(monkeypatch):
    """What goes wrong in a callback comes out of collect once, and the next probe is sent all the same."""
    begin, calls = Tcp._begin, 0

    def fail_once(self, target, address):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("a defect")
        return begin(self, target, address)

    monkeypatch.setattr(Tcp, "_begin", fail_once)

    async def run(port):
        host = ProbingHost()
        collector = Tcp(host, [probe(f"127.0.0.1:{port}")], StallLog())
        await collector.open()
        try:
            await until(lambda: host.observations)
            with pytest.raises(ValueError, match="a defect"):
                await collector.collect()
            assert await collector.collect() == []
        finally:
            await collector.close()

    with listener() as port:
        asyncio.run(run(port))


def test_a_want_of_descriptors_is_told_and_not_blamed_on_the_peer():
    """Out of file descriptors: no sample, a failure of the collector."""

    def none_left(*args):
        raise OSError(24, "Too many open files")

    async def run():
        host = ProbingHost()
        collector = Tcp(host, [probe("127.0.0.1:1")], StallLog(), none_left)
        await collector.open()
        try:
            await asyncio.sleep(0.3)
            with pytest.raises(CollectFailure, match="Too many open files"):
                await collector.collect()
        finally:
            await collector.close()
        return host.observations

    assert asyncio.run(run()) == []
