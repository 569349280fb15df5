"""Real connections as the kernel sees them: any bytes are parsed, counts never go backwards, names fit."""

import asyncio
import ipaddress
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import ProbeOutcome
from truechimer.config import parse_agent
from truechimer.config.model import ConnectionsConfig, MeshConfig
from truechimer.errors import ConfigError
from truechimer.samples import MEASUREMENTS, Sample
from truechimer.samples import check as check_sample
from truechimer_agent.collecting import Lacking
from truechimer_agent.collectors.connections import INSTALL, Connections, names_of, observations
from truechimer_agent.connections.dump import read
from truechimer_agent.connections.remotes import OTHERS, Remote, Remotes, Selection
from truechimer_agent.connections.tcpinfo import (
    ESTABLISHED,
    LISTEN,
    Connection,
    Endpoint,
    TcpInfo,
    parse,
    parse_tcp_info,
)

HERE = ipaddress.ip_address("10.0.0.1")
THERE = ipaddress.ip_address("10.0.0.9")
UINT32 = st.integers(0, 2**32 - 1)


class Host:
    def __init__(self):
        self.now_ns = 0

    def steady_now_ns(self):
        return self.now_ns


def tcp_info(**fields):
    """A tcp_info of today's length, by linux/tcp.h."""
    raw = bytearray(232)
    offsets = {
        "rto": 8,
        "last_data_sent": 44,
        "last_ack_recv": 56,
        "rtt": 68,
        "rttvar": 72,
        "total_retrans": 100,
        "min_rtt": 148,
        "data_segs_out": 156,
    }
    for name, value in fields.items():
        struct.pack_into("=I", raw, offsets[name], value)
    return bytes(raw)


def attribute(kind, contents):
    return struct.pack("=HH", 4 + len(contents), kind) + contents + bytes(-len(contents) % 4)


def diag(local, remote, *attributes, state=ESTABLISHED, cookie=7):
    """An inet_diag_msg with attributes, by linux/inet_diag.h; ends are (text, port)."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    packed = [socket.inet_pton(family, address).ljust(16, b"\0") for address, _ in (local, remote)]
    head = struct.pack("=BBBB", family, state, 0, 0) + struct.pack("!HH", local[1], remote[1])
    tail = struct.pack("=IQIIIII", 0, cookie, 0, 0, 0, 0, 0)
    return head + packed[0] + packed[1] + tail + b"".join(attributes)


def message(kind, contents):
    return struct.pack("=IHHII", 16 + len(contents), kind, 2, 1, 1) + contents + bytes(-len(contents) % 4)


def connection(number, *, local_port=40000, remote=THERE, port=5432, state=ESTABLISHED, local=HERE, **info):
    return Connection(
        number.to_bytes(8, "little"),
        state,
        Endpoint(local, local_port),
        Endpoint(remote, port),
        TcpInfo(**info),
    )


@given(
    local=st.ip_addresses(),
    remote=st.ip_addresses(),
    ports=st.tuples(*[st.integers(0, 65535)] * 2),
    rtt=UINT32,
)
def test_whatever_a_kernel_says_is_read_back(local, remote, ports, rtt):
    """Both ends, of both families, a mapped IPv4 address as itself; other attributes are stepped over."""
    family = 6 if 6 in (local.version, remote.version) else 4
    texts = [str(each) if each.version == family else f"::ffff:{each}" for each in (local, remote)]
    raw = diag(
        (texts[0], ports[0]),
        (texts[1], ports[1]),
        attribute(8, b"\1"),
        attribute(2, tcp_info(rtt=rtt, rttvar=5)),
    )
    found = parse(raw)
    plain = [getattr(each, "ipv4_mapped", None) or each for each in (local, remote)]
    assert (found.local, found.remote) == (Endpoint(plain[0], ports[0]), Endpoint(plain[1], ports[1]))
    assert (found.info.rtt_us, found.info.rttvar_us) == ((rtt, 5) if rtt else (None, None))


@given(length=st.integers(0, 300), values=st.tuples(*[UINT32] * 4))
def test_an_older_kernels_shorter_struct_leaves_fields_unknown(length, values):
    """A field is told when all of its bytes are there, and unknown otherwise: never a wrong number."""
    rto, retrans, minimum, segments = values
    whole = tcp_info(rto=rto, total_retrans=retrans, min_rtt=minimum, data_segs_out=segments).ljust(
        300, b"\xff"
    )
    found = parse_tcp_info(whole[:length])
    assert found.rto_us == (rto if length >= 12 else None)
    assert found.retransmitted == (retrans if length >= 104 else None)
    assert found.min_rtt_us == (minimum if length >= 152 and minimum != 2**32 - 1 else None)
    assert found.data_segments_out == (segments if length >= 160 else None)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_parsers(raw):
    """A message or datagram of any bytes is a connection, an end, or nothing."""
    assert parse(raw) is None or isinstance(parse(raw), Connection)
    assert all(isinstance(each, Connection) for each in read(raw).connections)


@given(cut=st.integers(0, 400))
def test_a_datagram_that_is_cut_off_keeps_its_whole_messages(cut):
    """What came whole counts; the rest is left out, and the dump goes on."""
    one = message(20, diag(("10.0.0.1", 1), ("10.0.0.2", 2), attribute(2, tcp_info(rtt=9))))
    whole = (one + one)[:cut]
    found = read(whole)
    assert len(found.connections) == len(whole) // len(one)
    assert found.ended == (not whole)


def test_a_dump_ends_with_done_or_with_the_kernels_error():
    """Messages before the end count; an errno is told, so that nobody waits for more."""
    one = message(20, diag(("10.0.0.1", 1), ("10.0.0.2", 2)))
    done = read(one + message(3, struct.pack("=i", 0)))
    assert (len(done.connections), done.ended, done.errno) == (1, True, 0)
    refused = read(message(2, struct.pack("=i", -2) + bytes(16)))
    assert (refused.connections, refused.ended, refused.errno) == ((), True, 2)


@given(
    rounds=st.lists(
        st.dictionaries(st.integers(0, 5), st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=6),
        min_size=1,
        max_size=8,
    )
)
def test_counts_are_what_living_connections_gained(rounds):
    """Connections come and go in any way: each round's sums are gains since the last one, never negative.

    A connection that comes anew counts from its beginning, those of the first round from then on.
    """
    remotes = Remotes(Selection(), 10)
    totals, before = {}, None
    for gains in rounds:
        totals = {
            number: (totals.get(number, (0, 0))[0] + sent, totals.get(number, (0, 0))[1] + again)
            for number, (sent, again) in gains.items()
        }
        listed = [
            connection(number, data_segments_out=sent, retransmitted=again)
            for number, (sent, again) in totals.items()
        ]
        found = remotes.round(listed, {}, 1000)
        if gains:
            (remote,) = found
            counted = gains.values() if before is not None else [(0, 0)]
            assert remote.segments_sent == sum(sent for sent, _ in counted)
            assert remote.retransmitted == sum(again for _, again in counted)
        else:
            assert found == []
        before = totals


def test_a_counter_that_wraps_goes_on():
    """The kernel's counters have 32 bits."""
    remotes = Remotes(Selection(), 10)
    remotes.round([connection(1, data_segments_out=2**32 - 3, retransmitted=2)], {}, 1000)
    (remote,) = remotes.round([connection(1, data_segments_out=4, retransmitted=2)], {}, 1000)
    assert (remote.segments_sent, remote.retransmitted) == (7, 0)


def test_the_service_side_names_a_remote_and_the_mesh_names_it_better():
    """A service that this host uses has its port, one who uses this host's service has none."""
    listed = [
        connection(0, local_port=6379, remote=ipaddress.ip_address("0.0.0.0"), port=0, state=LISTEN),
        connection(1),
        connection(2, local_port=6379, port=50123),
        connection(3, local_port=6379, port=50124),
        connection(4, remote=ipaddress.ip_address("fd00::7"), local=ipaddress.ip_address("fd00::1")),
        connection(5, remote=ipaddress.ip_address("10.0.0.3"), port=443),
        connection(6, remote=ipaddress.ip_address("10.0.0.3"), local_port=6379, port=1),
    ]
    names = names_of(MeshConfig(peers=("db-3@10.0.0.3:8620", "db-4@db-4.example", "db-6@[fd00::6]:862")))()
    found = {each.peer: each.connections for each in Remotes(Selection(), 10).round(listed, names, 1000)}
    assert found == {"10.0.0.9:5432": 1, "10.0.0.9": 2, "[fd00::7]:5432": 1, "db-3": 2}
    assert names[ipaddress.ip_address("fd00::6")] == "db-6"


def test_a_file_of_members_names_remotes_too(tmp_path):
    """It is looked at each round: who joins later is called by name as well, once the file rests."""
    path = tmp_path / "peers"
    assert names_of(None)() == {}
    names = names_of(MeshConfig(peers_file=path))
    assert names() == {}
    path.write_text("db-3@10.0.0.3\n")
    assert [names(), names()][-1] == {ipaddress.ip_address("10.0.0.3"): "db-3"}


def test_only_what_was_asked_for_is_taken():
    """Ports at either end, remotes by network, loopback and this host's own addresses only when asked."""
    here, loop = HERE, ipaddress.ip_address("127.0.0.1")
    plain = connection(1)
    assert Selection().takes(plain)
    assert not Selection().takes(connection(1, state=LISTEN))
    assert Selection(ports={5432}).takes(plain)
    assert Selection(ports={40000}).takes(plain)
    assert not Selection(ports={80}).takes(plain)
    assert Selection(remotes=[ipaddress.ip_network("10.0.0.0/8")]).takes(plain)
    assert not Selection(remotes=[ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("::/0")]).takes(
        plain
    )
    for own in (connection(1, remote=loop, local=loop), connection(1, remote=here)):
        assert not Selection().takes(own)
        assert Selection(loopback=True).takes(own)


def test_the_busiest_remotes_are_kept_and_the_rest_is_one():
    """Series stay bounded, and nothing that was sent is left out of the sums."""
    hosts = [ipaddress.ip_address(f"10.1.0.{number}") for number in range(9)]
    remotes = Remotes(Selection(), 2)
    for total in (0, 10):
        listed = [
            connection(number, remote=host, data_segments_out=number * total, retransmitted=number, rtt_us=5)
            for number, host in enumerate(hosts)
        ]
        found = remotes.round(listed, {}, 1000)
    assert [each.peer for each in found] == ["10.1.0.8:5432", "10.1.0.7:5432", OTHERS]
    assert [each.segments_sent for each in found] == [80, 70, 210]
    assert (found[2].connections, found[2].srtt_s, found[2].rtt_s) == (7, None, None)


def test_the_round_trip_is_that_of_the_connection_heard_from_last():
    """An estimate that is older than the last point is no news: there is no point then."""
    listed = [
        connection(
            1, rtt_us=1000, rttvar_us=10, min_rtt_us=900, rto_us=1, sent_ago_ms=5, acknowledged_ago_ms=4
        ),
        connection(
            2, rtt_us=3000, rttvar_us=30, min_rtt_us=800, rto_us=9, sent_ago_ms=5, acknowledged_ago_ms=3
        ),
        connection(3, rtt_us=8000, rttvar_us=80, rto_us=5, sent_ago_ms=2000, acknowledged_ago_ms=1),
    ]
    (remote,) = Remotes(Selection(), 10).round(listed, {}, 1000)
    assert remote.rtt_s == 0.003
    assert (remote.srtt_s, remote.rttvar_s, remote.min_rtt_s, remote.rto_s) == (0.003, 3e-5, 8e-4, 9e-6)
    (remote,) = Remotes(Selection(), 10).round(listed, {}, 2)
    assert remote.rtt_s is None


def test_points_are_of_declared_measurements():
    """One of truechimer_tcp, one of truechimer_rtt as via=kernel when a round trip was measured."""
    remote = Remote("db", 1, 0.1, 0.1, 0.1, 0.1, 5, 1, 0.1)
    tcp, rtt = observations(remote, 5)
    for point in (tcp, rtt):
        common = {"cluster": "lab", "node": "n1"}
        check_sample(Sample(point.measurement, common | dict(point.tags), dict(point.fields), 5))
    assert set(tcp.fields) == {field.name for field in MEASUREMENTS["truechimer_tcp"].fields}
    assert (rtt.tags["via"], rtt.fields["outcome"]) == ("kernel", ProbeOutcome.REPLY)
    assert [point.measurement for point in observations(Remote("db", 1), 5)] == ["truechimer_tcp"]


def gather(config, rounds=1):
    """The points of the last of some rounds of a collector on this machine."""

    async def run():
        collector = Connections(Host(), config, dict)
        await collector.open()
        try:
            for _ in range(rounds):
                points = await collector.collect()
            return points
        finally:
            await collector.close()

    return asyncio.run(run())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machines_own_connections_are_found(address):
    """A real socket pair of each family, seen from both of its ends: one with and one without a port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        client = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        client.connect((address, port))
        server = stack.enter_context(listener.accept()[0])
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        points = gather(ConnectionsConfig(ports=(port,), loopback=True))
        assert gather(ConnectionsConfig(ports=(port,))) == []
    tcp = {point.tags["peer"]: point.fields for point in points if point.measurement == "truechimer_tcp"}
    plain = address.removeprefix("::ffff:")
    bracketed = f"[{plain}]" if ":" in plain else plain
    assert set(tcp) == {plain, f"{bracketed}:{port}"}
    for fields in tcp.values():
        assert fields["connections"] == 1
        assert 0 < fields["min_rtt_seconds"] <= fields["srtt_seconds"] * 2
    kernel = [point for point in points if point.measurement == "truechimer_rtt"]
    assert {point.tags["peer"] for point in kernel} == set(tcp)


def test_without_pyroute2_the_collector_says_what_to_install(monkeypatch):
    """An optional dependency: it lacks something, says what, and the agent goes on."""
    monkeypatch.setitem(sys.modules, "pyroute2", None)
    for name in [name for name in sys.modules if name.startswith("pyroute2.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "truechimer_agent.connections.sockdiag", raising=False)
    with pytest.raises(Lacking) as raised:
        gather(ConnectionsConfig())
    assert raised.value.hint == INSTALL


def test_an_agent_without_the_section_loads_nothing_of_it():
    """What is not configured costs nothing: pyroute2 is not there."""
    code = (
        "import sys, truechimer_agent.daemon, truechimer_agent.assembly;"
        "print([name for name in sys.modules if name.startswith('pyroute2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_section_is_checked():
    """Ports, networks and numbers that cannot be are refused by name."""
    good = parse_agent('[connections]\nports = [5432]\nremotes = ["10.0.0.0/8", "fd00::7"]\n').config
    assert good.connections == ConnectionsConfig(ports=(5432,), remotes=("10.0.0.0/8", "fd00::7"))
    assert parse_agent("").config.connections is None
    for wrong in (
        "ports = [0]",
        'remotes = ["10.0.0.1/8"]',
        'remotes = ["db"]',
        "limit = 0",
        "interval_s = 0",
    ):
        with pytest.raises(ConfigError, match=wrong.partition(" ")[0]):
            parse_agent(f"[connections]\n{wrong}\n")
