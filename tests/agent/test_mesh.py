"""The mesh collector over real sockets on loopback, against the real reflector and against bad ones."""

import asyncio
import contextlib
import socket
import threading

import pytest
from agent.meshhost import MeshHost, key_file, reflector
from agent.probinghost import outcomes as all_outcomes
from agent.probinghost import until

from truechimer.codes import ProbeOutcome
from truechimer.readings import SystemClocks
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.mesh.members import node_id
from truechimer_agent.stamp.key import Key, load_key
from truechimer_agent.stamp.reflector import Reflector

AHEAD_NS = 3_600 * 10**9 + 12_345


def outcomes(probes):
    """What became of them, less this machine's own stalls."""
    return all_outcomes(probes) - {ProbeOutcome.OWN_STALL}


async def probed(host, count):
    """Probe until so many probes have ended and were told."""
    async with host.probing():
        await until(lambda: len(host.probes) >= count)
        await host.mesh.finish(2.0)
        await host.mesh.collect()
    return host.probes


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("secret", [None, "secret"])
def test_replies_bound_the_difference_of_two_steady_clocks(family, secret, tmp_path):
    """The peer's S is ahead by a known amount: every interval holds it, and is as wide as the round trip."""
    path = None if secret is None else key_file(tmp_path, secret)
    key = None if path is None else load_key(path)
    with reflector(ahead_ns=AHEAD_NS, key=key, family=family) as port:
        place = f"127.0.0.1:{port}" if family == socket.AF_INET else f"[::1]:{port}"
        host = MeshHost(f"b@{place}", key_file=path)
        probes = asyncio.run(probed(host, 10))
        truth_s = AHEAD_NS / 1e9
    assert outcomes(probes) == {ProbeOutcome.REPLY}
    replies = [probe for probe in probes if probe.fields["outcome"] == ProbeOutcome.REPLY]
    assert len(replies) >= 5
    shift_s = 0.02  # the two anchors were not read at one instant, but far less than this apart
    for probe in replies:
        fields = probe.fields
        assert fields["lower_seconds"] - shift_s <= truth_s <= fields["upper_seconds"] + shift_s
        width_s = fields["upper_seconds"] - fields["lower_seconds"]
        assert width_s >= fields["rtt_seconds"] >= 0
        assert fields["reflector_seconds"] >= 0
        assert (fields["peer_epoch"], fields["epoch"]) == (7, 1)
        assert probe.tags == {"peer": "b", "via": "stamp"}
        assert "dscp" not in fields


def test_all_bounds_hold_together():
    """Each must contain the one true difference, so they all overlap, drift over the test allowed for."""
    with reflector(ahead_ns=AHEAD_NS) as port:
        host = MeshHost(f"b@127.0.0.1:{port}")
        probes = [one for one in asyncio.run(probed(host, 20)) if "lower_seconds" in one.fields]
    assert len(probes) >= 10
    lower_s = max(probe.fields["lower_seconds"] for probe in probes)
    upper_s = min(probe.fields["upper_seconds"] for probe in probes)
    assert lower_s <= upper_s


def test_paths_are_counted():
    """All came back, in order, none twice; the session is named and what the peer had seen."""
    with reflector() as port:
        host = MeshHost(f"b@127.0.0.1:{port}")
        asyncio.run(probed(host, 10))
    counts = host.counts()
    assert counts["sent"] == counts["received"] >= 10
    assert sum(counts.values()) == 2 * counts["sent"]
    row = next(one.fields for one in host.observations if one.measurement == "truechimer_path")
    assert 1 <= row["session"] < 1 << 16
    assert row["reflected_total"] <= counts["sent"]
    assert row["epoch"] == 1


def test_a_class_of_service_is_a_path_of_its_own():
    """It is marked, has its own session, and its samples say so; the replies come back in it."""
    with reflector() as port:
        host = MeshHost(f"b@127.0.0.1:{port}", dscp=(0, 46))
        asyncio.run(probed(host, 20))
    rows = [one.fields for one in host.observations if one.measurement == "truechimer_path"]
    assert {row.get("dscp", 0) for row in rows if row["received"]} == {0, 46}
    assert len({row["session"] for row in rows}) == 2
    assert {probe.fields.get("dscp", 0) for probe in host.probes} == {0, 46}
    assert {probe.tags["peer"] for probe in host.probes} == {"b"}


@contextlib.contextmanager
def listener(act, family=socket.AF_INET):
    """A UDP socket on loopback whose packets are given to ``act(sock, data, sender)``; gives the port."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    data, sender = sock.recvfrom(4096)
                    if not data:
                        return
                    act(sock, data, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            with socket.socket(family, socket.SOCK_DGRAM) as poke:
                poke.sendto(b"", sock.getsockname())
            thread.join()


def test_silence_is_lost_and_nobody_knows_where():
    """No reply has ever come."""
    with listener(lambda *_: None) as port:
        host = MeshHost(f"b@127.0.0.1:{port}", timeout_s=0.3)
        probes = asyncio.run(probed(host, 3))
    assert outcomes(probes) == {ProbeOutcome.LOST}
    assert all(probe.fields.keys() == {"outcome", "steady_seconds", "epoch"} for probe in probes)
    counts = host.counts()
    assert counts["undetermined"] == counts["sent"] == len(probes)


def test_nobody_listening_is_refused():
    """The host is up and its agent is down; no probe is counted as lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    host = MeshHost(f"b@127.0.0.1:{port}")
    assert outcomes(asyncio.run(probed(host, 5))) == {ProbeOutcome.REFUSED}
    counts = host.counts()
    assert counts["sent"] >= 5
    assert counts["sent"] == sum(counts.values())


def test_a_name_that_does_not_resolve_is_told():
    """Its probes are samples too."""
    host = MeshHost("b@no-such-name.invalid")
    probes = asyncio.run(probed(host, 2))
    assert outcomes(probes) == {ProbeOutcome.UNRESOLVED}
    assert {probe.tags["peer"] for probe in probes} == {"b"}


def test_another_nodes_answer_is_a_bad_reply_and_said_once(caplog):
    """A wrong address in the member list: both names are told, and nothing is counted as received."""
    with reflector("x") as port:
        host = MeshHost(f"b@127.0.0.1:{port}")
        probes = asyncio.run(probed(host, 5))
    assert outcomes(probes) == {ProbeOutcome.BAD_REPLY}
    assert not any("rtt_seconds" in probe.fields for probe in probes)
    said = [record.getMessage() for record in caplog.records if "another node answers" in record.message]
    assert len(said) == 1
    assert "listed=b" in said[0]
    assert host.counts()["received"] == 0


def test_the_name_of_the_node_that_answers_instead_is_told(caplog):
    """When it is in the list, or this node itself."""
    with reflector("a") as port:
        host = MeshHost(f"b@127.0.0.1:{port}")
        asyncio.run(probed(host, 2))
    assert "listed=b answers=a" in caplog.text


@pytest.mark.parametrize("theirs", [None, "other"])
def test_a_peer_with_another_key_or_none_is_never_believed(theirs, tmp_path, caplog):
    """Without the key its answers are no replies; with another it does not even answer."""
    key = None if theirs is None else Key(b"other" * 8)
    with reflector(key=key) as port:
        host = MeshHost(f"b@127.0.0.1:{port}", timeout_s=0.3, key_file=key_file(tmp_path, "secret"))
        probes = asyncio.run(probed(host, 5))
    expected = ProbeOutcome.BAD_REPLY if theirs is None else ProbeOutcome.LOST
    assert outcomes(probes) == {expected}
    assert caplog.text.count("bad reply") == (theirs is None)
    assert host.counts()["received"] == 0


def test_a_peer_that_is_none_of_ours_is_measured_without_bounds():
    """A stateless STAMP reflector: round trips, and losses whose direction is unknown."""

    def answer(sock, data, sender):
        sequence = int.from_bytes(data[:4])
        if sequence % 3 != 1:
            reply = data[:16] + data[4:12] + data[:14] + bytes(2) + b"\x40" + bytes(3)
            assert len(reply) == 44
            sock.sendto(reply, sender)

    with listener(answer) as port:
        host = MeshHost(f"b@127.0.0.1:{port}", timeout_s=0.3)
        probes = asyncio.run(probed(host, 12))
    assert outcomes(probes) == {ProbeOutcome.REPLY, ProbeOutcome.LOST}
    replies = [probe.fields for probe in probes if probe.fields["outcome"] == ProbeOutcome.REPLY]
    assert replies
    assert not any("lower_seconds" in fields or "peer_epoch" in fields for fields in replies)
    counts = host.counts()
    assert counts["unknown"] == counts["sent"] - counts["received"] >= 3
    assert (counts["lost_forward"], counts["lost_backward"], counts["undetermined"]) == (0, 0, 0)


def test_a_probe_in_flight_while_this_host_stalled_is_not_lost_by_the_peer():
    """What the stall log covers is its own."""
    with listener(lambda *_: None) as port:
        host = MeshHost(f"b@127.0.0.1:{port}", timeout_s=0.3)
        host.stalls.add(0, 1 << 63)
        probes = asyncio.run(probed(host, 3))
    assert all_outcomes(probes) == {ProbeOutcome.OWN_STALL}


def test_a_new_epoch_during_the_exchange_voids_its_times():
    """S before and after are not comparable: no round trip, no bounds."""

    async def scenario(host):
        async with host.probing():
            await until(lambda: host.mesh._sending._rounds._settling._waiting)
            host.clock.begin_epoch()
            await host.mesh.collect()
        return host.probes

    with reflector() as port:
        host = MeshHost(f"b@127.0.0.1:{port}")
        first = asyncio.run(scenario(host))[0]
    assert first.fields["outcome"] == ProbeOutcome.OWN_STALL
    assert first.fields.keys() == {"outcome", "steady_seconds", "epoch"}


def test_a_restarted_reflector_is_told_by_its_instance():
    """Losses are refused while it is away; afterwards the session goes on."""

    async def scenario(host, port):
        async with host.probing():
            with reflector(port=port, instance=1):
                await until(lambda: len(host.probes) >= 5)
            await until(lambda: ProbeOutcome.REFUSED in outcomes(host.probes))
            known = len(host.probes)
            with reflector(port=port, instance=2):
                await until(lambda: ProbeOutcome.REPLY in outcomes(host.probes[known:]))
                await host.mesh.finish(2.0)
                await host.mesh.collect()

    with reflector() as port:
        pass
    host = MeshHost(f"b@127.0.0.1:{port}")
    asyncio.run(scenario(host, port))
    counts = host.counts()
    assert counts["received"] >= 6
    assert counts["lost_forward"] == counts["lost_backward"] == 0
    assert len({one.fields["session"] for one in host.observations if "session" in one.fields}) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path):
    """Nothing is sent with it."""
    path = key_file(tmp_path, "secret")
    path.chmod(0o644)
    host = MeshHost("b@127.0.0.1:9", key_file=path)
    with pytest.raises(Lacking, match="open to every user"):
        asyncio.run(host.mesh.open())


def test_members_come_and_go_with_their_file(tmp_path):
    """A new one is probed, one that stays keeps its session, one that left is probed no more."""
    path = tmp_path / "peers"

    async def scenario(host, near, far):
        async with host.probing():
            with pytest.raises(CollectFailure, match="No such file"):
                await host.mesh.collect()
            path.write_text(f"a@127.0.0.1:1\nb@127.0.0.1:{near}\n")
            await host.mesh.collect()
            await until(lambda: len(host.probes) >= 3)
            path.with_suffix(".new").write_text(f"# new\nb@127.0.0.1:{near}\nc@127.0.0.1:{far}\n")
            path.with_suffix(".new").replace(path)
            await host.mesh.collect()
            await until(lambda: any(probe.tags["peer"] == "c" for probe in host.probes))
            path.with_suffix(".new").write_text(f"c@127.0.0.1:{far}\n")
            path.with_suffix(".new").replace(path)
            await host.mesh.collect()
            await until(lambda: len(host.mesh._sending._paths) == 1)
            path.write_text("c@\n")
            await host.mesh.collect()
            await until(lambda: host.mesh._file.complaint is not None)
            with pytest.raises(CollectFailure, match="line 1"):
                await host.mesh.collect()
            await host.mesh.finish(2.0)

    with reflector("b") as near, reflector("c") as far:
        host = MeshHost(peers_file=path)
        asyncio.run(scenario(host, near, far))
    rows = [one for one in host.observations if one.measurement == "truechimer_path"]
    assert len({row.fields["session"] for row in rows if row.tags["peer"] == "b"}) == 1
    for peer in "bc":
        counts = host.counts(peer)
        assert counts["sent"] >= counts["received"] + counts["unknown"] > 0


def test_only_as_many_are_probed_as_the_degree_says():
    """The choice is rendezvous hashing's; all the others are left alone."""
    with reflector() as port:
        host = MeshHost(*(f"n{number}@127.0.0.1:{port}" for number in range(20)), degree=3)
        asyncio.run(probed(host, 6))
    assert len({probe.tags["peer"] for probe in host.probes}) == 3


@contextlib.contextmanager
def held_reflector(late):
    """Node b's reflector, which sends one reply only when it is told to, and the next one then never."""
    held, drops = [], threading.Event()
    reflecting = Reflector(None, node_id("c", "b"), 1)
    clocks = SystemClocks()

    def act(sock, data, sender):
        now_ns = clocks.read().wall_ns
        accepted = reflecting.accept(data, b"\x7f\0\0\1", sender, now_ns)
        reply = reflecting.prepare(data, accepted, now_ns, 64, 1)
        reflecting.finish(reply, now_ns)
        sequence = accepted.request.sequence
        if sequence == late:
            held.append(lambda: sock.sendto(reply, sender))
        elif drops.is_set():
            drops.clear()
        else:
            sock.sendto(reply, sender)

    with listener(act) as port:
        yield port, lambda: (held[0](), drops.set())


def test_a_late_reply_is_taken_back_from_later_losses():
    """Told as lost on the way back, then received: the next such loss is not told, so the sum is right."""

    # A busy machine may have stalled meanwhile; what is counted is the same.
    silent = {ProbeOutcome.LOST, ProbeOutcome.OWN_STALL}

    async def scenario(host, release):
        async with host.probing():
            await until(lambda: silent & all_outcomes(host.probes))
            await host.mesh.collect()
            told = host.counts()
            assert (told["lost_backward"], told["lost_forward"]) == (1, 0)
            release()
            known = len(host.probes)
            await until(lambda: silent & all_outcomes(host.probes[known:]))
            await host.mesh.finish(2.0)
            await host.mesh.collect()

    with held_reflector(late=2) as (port, release):
        host = MeshHost(f"b@127.0.0.1:{port}", timeout_s=0.3)
        asyncio.run(scenario(host, release))
    counts = host.counts()
    assert counts["lost_backward"] == 1
    assert counts["sent"] == counts["received"] + 1
    rows = [one.fields for one in host.observations if one.measurement == "truechimer_path"]
    assert min(min(row[name] for name in counts) for row in rows) >= 0
