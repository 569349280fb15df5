"""collectors/reflector: who probes this node, under which name; and what it says when it cannot listen."""

import asyncio
import contextlib
import socket
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from agent.listeninghost import checked, in_loop, until
from agent.reflectinghost import Peer

from truechimer.config.model import AgentConfig, MeshConfig
from truechimer.errors import TruechimerError
from truechimer.readings import SystemClocks
from truechimer_agent.assembly import collectors_of, parts_of
from truechimer_agent.collecting import Lacking
from truechimer_agent.collectors import reflector as module
from truechimer_agent.collectors.reflector import MOST_STRANGERS, Reflections
from truechimer_agent.hostclock import HostClock
from truechimer_agent.mesh.members import node_id
from truechimer_agent.stamp.key import Key
from truechimer_agent.stamp.packet import decode_reply, encode_request
from truechimer_agent.stamp.stamps import stamp_down

SECRET = b"the secret of this mesh"
PEERS = ("b@127.0.0.2", "c@[::1]:8620")
CONFIG = MeshConfig(listen="127.0.0.1:0", peers=PEERS)


@contextlib.asynccontextmanager
async def reflections(config=CONFIG):
    """A collector that is open."""
    collector = Reflections(HostClock(SystemClocks(), None), config, "prod", "a")
    await collector.open()
    try:
        yield collector
    finally:
        await collector.close()


def request(sequence, *, sender="b", ssid=9, key=None, sent_ns=10**9):
    sent = stamp_down(sequence + sent_ns)
    return encode_request(sequence, sent, ssid, node_id("prod", sender), key)


async def told(collector):
    """The totals' fields, and (peer, fields) of each session; all are as declared."""
    (totals, *rest) = [checked(one) for one in await collector.collect()]
    assert totals.measurement == "truechimer_reflector"
    assert {one.measurement for one in rest} <= {"truechimer_reflection"}
    return totals.fields, [(one.tags["peer"], one.fields) for one in rest]


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "mesh.key"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


@in_loop
async def test_a_members_probes_are_told_by_its_name_and_since_the_last_point():
    """requests, replayed since then; seen_total of the session; silent sessions are left out."""
    async with reflections() as collector:
        with Peer(collector) as peer:
            for sequence in range(3):
                peer.ask(request(sequence))
            peer.silence(request(2), request(3))
        totals, rows = await told(collector)
        assert totals["requests_total"] == 5
        assert totals["replies_total"] == 4
        assert totals["replayed_total"] == 1
        assert totals["residence_seconds_max"] > 0
        ((name, fields),) = rows
        assert name == "b"
        assert [fields[part] for part in ("requests", "replayed", "limited", "session", "seen_total")] == [
            4, 1, 0, 9, 4,
        ]  # fmt: skip
        assert (await told(collector))[1] == []
        with Peer(collector) as peer:
            peer.ask(request(4))
        ((_, fields),) = (await told(collector))[1]
        assert (fields["requests"], fields["replayed"], fields["seen_total"]) == (1, 0, 5)


@in_loop
async def test_a_members_sessions_are_points_of_their_own():
    """Two at one moment would be one in most stores: they are a millisecond apart at least."""
    async with reflections() as collector:
        with Peer(collector) as peer:
            for ssid in (9, 10, 11):
                peer.ask(request(0, ssid=ssid))
        points = [one for one in await collector.collect() if one.tags]
    assert sorted(one.fields["session"] for one in points) == [9, 10, 11]
    moments = sorted(one.steady_ns for one in points)
    assert [later - sooner for sooner, later in pairwise(moments)] == [10**6] * 2


@in_loop
async def test_without_a_key_strangers_are_in_the_totals_alone():
    """Names and addresses of strangers are anybody's: they would fill the store."""
    async with reflections() as collector:
        with Peer(collector) as peer:
            peer.ask(request(0, sender="who"))
            peer.ask(request(0)[:44])
        totals, rows = await told(collector)
    assert totals["replies_total"] == 2
    assert rows == []


@in_loop
async def test_a_plain_sender_at_a_members_address_is_that_member():
    """Another program's probes: nothing but the address tells."""
    async with reflections() as collector:
        with Peer(collector, source="127.0.0.2") as peer:
            peer.ask(request(0)[:44])
        assert [name for name, _ in (await told(collector))[1]] == ["b"]


@in_loop
async def test_with_a_key_strangers_are_told_by_address_and_bounded(key_file):
    """Whoever has the key but is in nobody's list; 64 of them, ever."""
    async with reflections(replace(CONFIG, key_file=key_file)) as collector:
        for number in range(MOST_STRANGERS + 5):
            with Peer(collector, source=f"127.0.1.{number}") as peer:
                data = request(0, sender=f"stranger {number}", key=Key(SECRET), sent_ns=number)
                assert decode_reply(peer.ask(data), Key(SECRET)).identity.node_id == node_id("prod", "a")
        names = [name for name, _ in (await told(collector))[1]]
    assert len(names) == MOST_STRANGERS
    assert names[0] == "127.0.1.0"


@in_loop
async def test_a_wrong_key_and_none_are_counted(key_file):
    """The two most likely mistakes of who distributes keys."""
    async with reflections(replace(CONFIG, key_file=key_file)) as collector:
        with Peer(collector) as peer:
            peer.socket.send(request(0))
            peer.silence(request(0, key=Key(b"another secret 16")), request(0, key=Key(SECRET)))
        totals, _ = await told(collector)
    assert (totals["unauthenticated_total"], totals["forged_total"], totals["replies_total"]) == (1, 1, 1)


@in_loop
async def test_members_of_a_file_are_learnt_anew_when_it_changes(tmp_path):
    """A node that is added is told by its name from the next points on."""
    path = tmp_path / "peers"
    path.write_text("x@10.0.0.9\n")
    async with reflections(replace(CONFIG, peers=(), peers_file=path)) as collector:
        with Peer(collector) as peer:
            peer.ask(request(0))
            assert (await told(collector))[1] == []
            path.write_text("x@10.0.0.9\nb@127.0.0.2\n")
            await told(collector)
            await told(collector)
            peer.ask(request(1))
            assert [name for name, _ in (await told(collector))[1]] == ["b"]


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", ":0", "localhost:0"])
@in_loop
async def test_it_listens_where_it_is_told_and_tells_its_port(listen):
    """Port 0 is any free one; an empty host is every address of both families."""
    async with reflections(replace(CONFIG, listen=listen)) as collector:
        with Peer(collector, "::1" if "[" in listen else "127.0.0.1") as peer:
            peer.socket.send(request(0))
            if listen != "localhost:0":
                assert decode_reply(peer.socket.recv(2000), None).sequence == 0
        assert 0 < collector.port < 65_536
    assert collector.port is None


@in_loop
async def test_a_taken_port_is_said_with_the_way_to_find_out_who_has_it():
    """Nothing else is listened on instead."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(Lacking, match=f"127.0.0.1:{port}: another program has that port") as caught:
            async with reflections(replace(CONFIG, listen=f"127.0.0.1:{port}")):
                pass
    assert "ss -ulnp" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (PermissionError(13, "no"), "no permission", "CAP_NET_BIND_SERVICE"),
        (OSError(99, "x"), "no such", "[::]"),
    ],
)
@in_loop
async def test_what_else_keeps_it_from_listening_is_explained(monkeypatch, error, says, hint):
    """No permission for port 862, an address of another host's."""

    def refuse(*_):
        raise error

    monkeypatch.setattr(module, "ReflectorSocket", refuse)
    with pytest.raises(Lacking, match=says) as caught:
        async with reflections():
            pass
    assert hint in caught.value.hint


@in_loop
async def test_a_host_name_without_an_address_is_said():
    """A typing error in listen."""
    with pytest.raises(Lacking, match=r"host\.invalid has no address"):
        async with reflections(replace(CONFIG, listen="host.invalid:0")):
            pass


@in_loop
async def test_a_key_that_is_not_to_be_used_is_said(key_file):
    """Open to everybody, or not there."""
    key_file.chmod(0o644)
    for path, says in ((key_file, "open to every user"), (key_file.with_name("absent"), "No such file")):
        with pytest.raises(Lacking, match=says) as caught:
            async with reflections(replace(CONFIG, key_file=path)):
                pass
        assert caught.value.hint


@in_loop
async def test_a_reflector_that_broke_is_begun_anew(monkeypatch):
    """It is said once, and then it answers again, as another instance."""
    async with reflections() as collector:
        monkeypatch.setattr(collector._reflector, "accept", lambda *_: 1 / 0)
        with Peer(collector) as peer:
            peer.socket.send(request(0))
        await until(lambda: collector._reflecting.failure is not None)
        with pytest.raises(TruechimerError, match="ZeroDivisionError"):
            await collector.collect()
        with Peer(collector) as peer:
            assert decode_reply(peer.ask(request(0)), None).sequence == 0
        assert (await told(collector))[0]["replies_total"] == 1


@in_loop
async def test_closing_leaves_the_interpreter_as_it_was():
    """The switch interval is shortened while the reflector runs; closing twice does no harm."""
    before_s = sys.getswitchinterval()
    async with reflections() as collector:
        assert sys.getswitchinterval() == pytest.approx(module.SWITCH_INTERVAL_S)
        await collector.close()
        await collector.close()
    assert sys.getswitchinterval() == pytest.approx(before_s)


def test_it_runs_where_there_is_a_mesh():
    """No [mesh], no open port."""
    clock = HostClock(SystemClocks(), None)
    for mesh, runs in ((None, False), (CONFIG, True)):
        config = AgentConfig(node="a", mesh=mesh)
        collectors = collectors_of(parts_of(config, clock, lambda _: None, None))
        assert ("reflector" in collectors) is runs


def test_once_leaves_the_port_alone(monkeypatch):
    """A look at a host whose agent runs must not complain of the port that the agent has."""
    from truechimer_agent import once

    collector = Reflections(HostClock(SystemClocks(), None), CONFIG, "prod", "a")
    asyncio.run(once._once("reflector", collector, None))
    assert collector.port is None
