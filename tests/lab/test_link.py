"""A link delays, loses, reorders and limits as told, each direction for itself, and counts what it did."""

import contextlib
import math
import socket
import statistics
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from lab.harness import (
    ChronyServer,
    Conditions,
    Constant,
    Direction,
    Host,
    Link,
    LogNormal,
    Network,
    Normal,
    Pareto,
    Trace,
    ntp_exchange,
    wait_until,
    wall_ns,
)
from lab.harness.delays import Delay

pytestmark = pytest.mark.lab

SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
SLACK_S = 0.005


@dataclass(frozen=True)
class Arrival:
    """Packet `number` after `delay_s`, received by the kernel at wall time `at_ns`."""

    number: int
    delay_s: float
    at_ns: int


class Stream:
    """Numbered packets over one direction of a link, and what arrived of them, in order of arrival."""

    def __init__(self, link: Link, direction: Direction) -> None:
        near, far = (link.near, link.far) if direction is link.forward else (link.far, link.near)
        self._direction = direction
        self._sender, self._receiver = near.socket(), far.socket()
        self._receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        self._receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._receiver.bind((link.address_of(far), 0))
        self._sender.connect(self._receiver.getsockname())
        self._sent = 0
        self._received = 0
        self._before = direction.counters

    def send(self, count: int, *, every_s: float = 0.0, room: int = 12) -> None:
        """Send `count` packets of `room` bytes (40 is the least on the wire)."""
        pause = threading.Event()
        for _ in range(count):
            self._sender.send(struct.pack("=qi", wall_ns(), self._sent).ljust(room, b"\0"))
            self._sent += 1
            if every_s:
                pause.wait(every_s)

    def receive(self) -> list[Arrival]:
        """All that arrives of what was sent: what the link says it forwarded, and nothing more."""
        before = self._before
        wait_until(
            lambda: (now := self._direction.counters).seen == before.seen + self._sent and not now.in_flight,
            "the last packet to arrive",
        )
        expected = self._direction.counters.forwarded - before.forwarded - self._received
        self._receiver.settimeout(10.0)
        arrivals = [self._arrival() for _ in range(expected)]
        self._received += expected
        self._receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            self._arrival()
        return arrivals

    def _arrival(self) -> Arrival:
        data, control, _, _ = self._receiver.recvmsg(2048, 64)
        sent_ns, number = struct.unpack_from("=qi", data)
        seconds, nanoseconds = struct.unpack_from("=qq", control[0][2])
        at_ns = seconds * 10**9 + nanoseconds
        return Arrival(number, (at_ns - sent_ns) / 1e9, at_ns)

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()


@pytest.fixture
def link(network: Network) -> Link:
    return network.link(network.host("near"), network.host("far"), seed=7)


@pytest.fixture
def forward(link: Link) -> Iterator[Stream]:
    with contextlib.closing(Stream(link, link.forward)) as stream:
        yield stream


@pytest.fixture
def backward(link: Link) -> Iterator[Stream]:
    with contextlib.closing(Stream(link, link.backward)) as stream:
        yield stream


RECORDED = [0.001 * number for number in range(1, 41)]
Z = statistics.NormalDist()
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


@pytest.mark.parametrize(
    ("delay", "quantiles"),
    [
        (Constant(0.02), [0.02] * 5),
        (Normal(0.03, 0.01), [0.03 + 0.01 * Z.inv_cdf(p) for p in SHARES]),
        (LogNormal(0.01, 0.8, 0.005), [0.005 + 0.01 * math.exp(0.8 * Z.inv_cdf(p)) for p in SHARES]),
        (Pareto(0.01, 1.5, 0.005), [0.005 + 0.01 * (1 - p) ** (-1 / 1.5) for p in SHARES]),
        (Trace(RECORDED, shuffled=True), [0.04 * p for p in SHARES]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_delays_are_distributed_as_asked(
    link: Link, forward: Stream, delay: Delay, quantiles: Sequence[float]
) -> None:
    """A busy machine can only delay more: from below the shares hold strictly, from above with slack."""
    link.forward.set(delay=delay, reorder=1.0)
    forward.send(600, every_s=0.001)
    delays = [arrival.delay_s for arrival in forward.receive()]
    assert len(delays) == 600
    for share, quantile_s in zip(SHARES, quantiles, strict=True):
        below = sum(delay_s < quantile_s for delay_s in delays) / len(delays)
        near_or_below = sum(delay_s < quantile_s + SLACK_S for delay_s in delays) / len(delays)
        assert below <= share + 0.06
        assert near_or_below >= share - 0.06


def test_a_trace_is_replayed_in_order_and_over_again(link: Link, forward: Stream) -> None:
    recorded = [0.05, 0.0, 0.2]
    link.forward.set(delay=Trace(recorded), reorder=1.0)
    forward.send(9, every_s=0.001)
    by_number = {arrival.number: arrival.delay_s for arrival in forward.receive()}
    for number in range(9):
        assert recorded[number % 3] <= by_number[number] < recorded[number % 3] + 0.045


def test_each_direction_has_its_own_delay(link: Link, forward: Stream, backward: Stream) -> None:
    link.forward.set(delay=Constant(0.1))
    link.backward.set(delay=Constant(0.002))
    forward.send(20)
    backward.send(20)
    there, back = forward.receive(), backward.receive()
    assert min(arrival.delay_s for arrival in there) >= 0.1
    assert 0.002 <= min(arrival.delay_s for arrival in back) < 0.1


def test_losses_are_the_links_own_count_in_each_direction(
    link: Link, forward: Stream, backward: Stream
) -> None:
    link.forward.set(loss=0.3)
    link.backward.set(loss=0.02)
    for stream, direction, loss in ((forward, link.forward, 0.3), (backward, link.backward, 0.02)):
        stream.send(3000)
        arrived = len(stream.receive())
        counters = direction.counters
        assert counters.seen == 3000
        assert counters.dropped == counters.lost == 3000 - arrived
        assert counters.forwarded == arrived
        assert abs(counters.lost / 3000 - loss) < 0.05


def test_equal_seeds_lose_the_same_packets_and_others_not(network: Network) -> None:
    near, far = network.host("near"), network.host("far")

    def arrived(seed: int) -> list[int]:
        with network.link(near, far, seed=seed) as link:
            link.forward.set(loss=0.5)
            with contextlib.closing(Stream(link, link.forward)) as stream:
                stream.send(100)
                return [arrival.number for arrival in stream.receive()]

    assert arrived(5) == arrived(5) != arrived(6)


def test_a_partition_in_one_direction_leaves_the_other(link: Link, forward: Stream, backward: Stream) -> None:
    link.forward.set(partitioned=True)
    forward.send(10)
    backward.send(10)
    assert forward.receive() == []
    assert len(backward.receive()) == 10
    assert link.forward.counters.partitioned == 10
    link.forward.set(partitioned=False)
    forward.send(10)
    assert [arrival.number for arrival in forward.receive()] == list(range(10, 20))


def test_jitter_keeps_the_order(link: Link, forward: Stream) -> None:
    link.forward.set(delay=Normal(0.01, 0.005))
    forward.send(500, every_s=0.0005)
    arrivals = forward.receive()
    assert [arrival.number for arrival in arrivals] == list(range(500))
    assert link.forward.counters.reordered == 0
    assert len({round(arrival.delay_s, 4) for arrival in arrivals}) > 10


def test_reordering_lets_packets_overtake_and_is_counted(link: Link, forward: Stream) -> None:
    link.forward.set(delay=Normal(0.01, 0.005), reorder=0.3)
    forward.send(500, every_s=0.0005)
    numbers = [arrival.number for arrival in forward.receive()]
    assert sorted(numbers) == list(range(500))
    late = sum(number < max(numbers[: at + 1]) for at, number in enumerate(numbers))
    assert link.forward.counters.reordered == late > 10


def test_duplicates_arrive_twice_and_are_counted(link: Link, forward: Stream) -> None:
    link.forward.set(duplicate=0.5)
    forward.send(400)
    numbers = [arrival.number for arrival in forward.receive()]
    assert set(numbers) == set(range(400))
    counters = link.forward.counters
    assert len(numbers) == 400 + counters.duplicated == counters.forwarded
    assert 100 < counters.duplicated < 300


def test_a_rate_spaces_packets_and_its_full_queue_drops(link: Link, forward: Stream) -> None:
    """1 Mbit/s, packets of 1028 bytes: 8.2 ms each, some 20 of them in a queue of 20,000 bytes."""
    link.forward.set(rate_bps=1_000_000, queue_bytes=20_000)
    forward.send(200, room=1000)
    arrivals = forward.receive()
    counters = link.forward.counters
    assert counters.queue_full == counters.dropped == 200 - len(arrivals)
    assert len(arrivals) >= 19
    span_s = (arrivals[-1].at_ns - arrivals[0].at_ns) / 1e9
    assert span_s >= (len(arrivals) - 1) * 1028 * 8e-6 * 0.9
    # What fits is the queue, and what left while the burst was being sent.
    assert len(arrivals) <= 20_000 // 1028 + 2 + (arrivals[-1].at_ns - arrivals[0].at_ns) / 8_224_000


def test_conditions_change_while_packets_are_on_their_way(link: Link, forward: Stream) -> None:
    """Those sent before keep their delay, and later ones do not overtake them."""
    link.forward.set(delay=Constant(0.15))
    forward.send(5)
    wait_until(lambda: link.forward.counters.seen == 5, "the link to see them")
    link.forward.set(delay=Constant(0.0), loss=0.0)
    assert link.forward.conditions == Conditions()
    forward.send(5)
    first = forward.receive()
    assert [arrival.number for arrival in first] == list(range(10))
    assert all(arrival.delay_s >= 0.15 for arrival in first[:5])
    forward.send(5)
    assert min(arrival.delay_s for arrival in forward.receive()) < 0.1


def test_twenty_thousand_packets_at_once_pass_undropped(link: Link, forward: Stream) -> None:
    link.forward.set(delay=Constant(0.001))
    forward.send(20_000)
    assert [arrival.number for arrival in forward.receive()] == list(range(20_000))


def test_what_cannot_be_is_refused_and_changes_nothing(link: Link, forward: Stream) -> None:
    link.forward.set(loss=1.0)
    for wrong in (
        {"loss": 1.5},
        {"loss": math.nan},
        {"duplicate": -0.1},
        {"reorder": 2},
        {"rate_bps": 0},
        {"queue_bytes": -1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            link.forward.set(**wrong)
    with pytest.raises(TypeError, match="delays"):
        link.forward.set(delays=Constant(1.0))
    with pytest.raises(TypeError, match=r"Constant\(seconds\) say: 0\.5"):
        link.forward.set(delay=0.5)
    for make in (
        lambda: Constant(-1.0),
        lambda: Constant(math.nan),
        lambda: Normal(0.1, -1.0),
        lambda: LogNormal(0.0, 1.0),
        lambda: Pareto(0.1, 0.0),
        lambda: Trace([]),
        lambda: Trace([0.1, -0.1]),
    ):
        with pytest.raises(ValueError, match=r"must be|has 1 to"):
            make()
    assert link.forward.conditions == Conditions(loss=1.0)
    forward.send(5)
    assert forward.receive() == []


def test_a_link_joins_two_hosts_only(network: Network) -> None:
    host = network.host("alone")
    with pytest.raises(ValueError, match="two different hosts"):
        network.link(host, host)


def test_a_link_whose_program_died_says_so(link: Link) -> None:
    assert link._process is not None
    link._process.kill()
    with pytest.raises(RuntimeError, match="near to far is gone"):
        link.forward.set(loss=0.1)
    with pytest.raises(RuntimeError, match="near to far is gone"):
        _ = link.backward.counters


def test_a_closed_link_leaves_no_device_and_no_process(link: Link) -> None:
    def devices(host: Host) -> str:
        return host.ip("-brief", "link")

    assert link.device in devices(link.near)
    process = link._process
    assert process is not None
    link.close()
    assert process.exit_code is not None
    assert link.device not in devices(link.near) + devices(link.far)
    link.close()
    with pytest.raises(RuntimeError, match="gone"):
        link.set(loss=0.1)


def test_servers_at_different_distances_around_one_host(network: Network) -> None:
    """A star: each server answers over its own link, with the delay and the asymmetry of that link."""
    client = network.host("client")
    ways = {"close": (0.001, 0.001), "far": (0.04, 0.04), "lopsided": (0.1, 0.002)}
    for name, (there_s, back_s) in ways.items():
        server = ChronyServer(network.host(name))
        link = network.link(client, server.host)
        link.direction_to(server.host).set(delay=Constant(there_s))
        link.direction_to(client).set(delay=Constant(back_s))
        answers = [ntp_exchange(client, link.address_of(server.host)) for _ in range(5)]
        answer = min((each for each in answers if each), key=lambda each: each.delay_s)
        assert answer.delay_s >= there_s + back_s
        assert abs(answer.offset_s) <= answer.delay_s / 2 + 2e-6
        extra_s = answer.delay_s - there_s - back_s
        assert answer.offset_s == pytest.approx((there_s - back_s) / 2, abs=extra_s / 2 + 2e-6)
        by_the_bridge = ntp_exchange(client, server.address)
        assert by_the_bridge is not None
        assert by_the_bridge.delay_s < answer.delay_s + SLACK_S
