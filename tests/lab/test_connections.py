"""The kernel's view of real connections over a link whose delay and loss are known."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab.harness import Agent, Analyzer, Constant, Host, Network, wait_until
from lab.harness.fleet import ANALYZER_PORT, agent_toml, analyzer_toml

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
PORT = 5432
ONE_WAY_S = 0.015
RTT_S = 2 * ONE_WAY_S
INTERVAL_S = 0.5
CLOCK_S = 0.001
"""After a retransmission the kernel measures by TCP time stamps, in milliseconds."""
TOTAL_RETRANS = 100
"""Of linux/tcp.h's tcp_info."""


def series(host: Host, measurement: str, *fields: str) -> dict[str, list[dict[str, Any]]]:
    """The points of a measurement by peer, oldest first."""
    path = f"/api/v1/series?measurement={measurement}&fields={','.join(fields)}&since=1h"
    found = host.request("GET", URL + path).json()["series"]
    return {
        each["tags"]["peer"]: [
            dict(zip(fields, values, strict=True))
            for values in zip(*(each["fields"][name] for name in fields), strict=True)
        ]
        for each in found
    }


@contextmanager
def connected(near: Host, family: int, listener: socket.socket, address: str) -> Iterator[tuple[Any, Any]]:
    """Both ends of a connection to `address`."""
    with near.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect((address, PORT))
        server = listener.accept()[0]
        with server:
            server.settimeout(30)
            yield client, server


def echo(client: socket.socket, server: socket.socket) -> None:
    client.sendall(b"?")
    assert server.recv(1) == b"?"
    server.sendall(b"!")
    assert client.recv(1) == b"!"


def agent_of(stack: ExitStack, host: Host, directory: Path, peers: str = "") -> None:
    """An analyzer and an agent on a host, which watches its connections to port 5432 and nothing else."""
    stack.enter_context(Analyzer(host, analyzer_toml(directory / "analyzer")))
    config = agent_toml(directory / host.name, node=host.name, servers=[], sinks=[URL])
    config.write_text(
        f"{config.read_text()}[connections]\nports = [{PORT}]\ninterval_s = {INTERVAL_S}\n"
        + (f'[mesh]\nlisten = "127.0.0.1:0"\npeers = ["{peers}"]\n' if peers else "")
    )
    stack.enter_context(Agent(host, config, wait=False))


def test_round_trips_are_the_links_and_what_was_sent_again_is_counted(
    network: Network, tmp_path: Path
) -> None:
    """IPv4, plain and inside IPv6: min_rtt is the link's delay, retransmissions are the sockets' own sum."""
    near, far = network.host("near"), network.host("far")
    link = network.link(near, far)
    link.set(delay=Constant(ONE_WAY_S))
    with ExitStack() as stack:
        listener = stack.enter_context(far.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.bind((link.far_address, PORT))
        listener.listen()
        agent_of(stack, near, tmp_path)
        wait_until(
            lambda: collected_twice(near), "the collector's first rounds, after which connections count whole"
        )
        ends = [
            stack.enter_context(connected(near, family, listener, address))
            for family, address in (
                (socket.AF_INET, link.far_address),
                (socket.AF_INET6, f"::ffff:{link.far_address}"),
            )
        ]
        for client, server in ends:
            for _ in range(5):
                echo(client, server)
        link.forward.set(loss=0.2)
        for client, server in ends:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(40):
                client.sendall(b"?" * 1000)
            received = 0
            while received < 40_000:
                received += len(server.recv(65_536))
        link.forward.set(loss=0.0)
        for client, server in ends:
            echo(client, server)
        truth = sum(retransmitted(client) for client, _ in ends)
        lost = link.forward.counters.lost
        peer = f"{link.far_address}:{PORT}"
        points = wait_until(
            lambda: all_counted(near, peer, truth),
            f"{truth} retransmissions of {peer}",
            evidence=lambda: str(series(near, "truechimer_tcp", "retransmitted", "segments_sent")),
        )
        assert lost > 0
        assert truth > 0
        assert sum(point["segments_sent"] for point in points) > truth
        assert points[-1]["connections"] == 2
        least_s = [point["min_rtt_seconds"] for point in points]
        print(f"link {RTT_S} s, min_rtt {min(least_s):.6f} s; {truth} sent again, {lost} lost by the link")
        assert RTT_S - CLOCK_S <= min(least_s) <= 1.5 * RTT_S
        kernel = series(near, "truechimer_rtt", "outcome", "rtt_seconds")[peer]
        assert kernel
        assert all(point["outcome"] == 0 and point["rtt_seconds"] >= RTT_S - CLOCK_S for point in kernel)


def collected_twice(host: Host) -> bool:
    """The collector has done a round, so that what connects now is new to it."""
    try:
        found = host.request(
            "GET", URL + "/api/v1/series?measurement=truechimer_collector&fields=runs_total&since=1h"
        )
    except OSError:
        return False
    return any(
        each["tags"]["collector"] == "connections" and (each["fields"]["runs_total"][-1] or 0) >= 1
        for each in found.json()["series"]
    )


def all_counted(host: Host, peer: str, truth: int) -> list[dict[str, Any]] | None:
    fields = ("connections", "min_rtt_seconds", "segments_sent", "retransmitted")
    points = series(host, "truechimer_tcp", *fields).get(peer, [])
    counted = sum(point["retransmitted"] for point in points)
    assert counted <= truth
    return points if points and counted == truth else None


def retransmitted(sock: socket.socket) -> int:
    """The socket's own figure."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("=I", raw, TOTAL_RETRANS)[0])


def test_an_ipv6_peer_of_the_mesh_is_called_by_its_name(network: Network, tmp_path: Path) -> None:
    """The server's agent sees the connection from its side: the client is a node of the mesh."""
    near, far = network.host("near"), network.host("far")
    with ExitStack() as stack:
        listener = stack.enter_context(far.socket(socket.AF_INET6, socket.SOCK_STREAM))
        listener.bind((far.address6, PORT))
        listener.listen()
        agent_of(stack, far, tmp_path, peers=f"db-7@[{near.address6}]")
        ends = stack.enter_context(connected(near, socket.AF_INET6, listener, far.address6))
        echo(*ends)
        points = wait_until(
            lambda: series(far, "truechimer_tcp", "connections", "min_rtt_seconds").get("db-7"), "the peer"
        )
        assert points[-1]["connections"] == 1
        assert points[-1]["min_rtt_seconds"] > 0
