"""The host's own time daemon held against proven time: real chronyd, told apart from right servers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab.harness import ChronyClient, ChronyServer, Network, ShiftedClock, truechimer, wait_until
from lab.harness.clocks import monotonic_s
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

from truechimer.codes import Leap
from truechimer_agent.timedaemons import chrony

pytestmark = pytest.mark.lab

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
SHIFT_S = 0.037


def clocks(fleet: Fleet) -> dict[str, Any]:
    """The one node of `truechimer clocks`, by the analyzer's HTTP."""
    nodes = fleet.host.request("GET", f"{URL}/api/v1/clocks").json()["nodes"]
    return nodes[0] if nodes else {}


def disagreement(node: dict[str, Any]) -> dict[str, Any] | None:
    return next((flag for flag in node.get("flags", []) if flag["flag"] == "daemon_disagrees"), None)


def agrees(fleet: Fleet) -> dict[str, Any] | None:
    """The daemon's word once it is held against a bound and meets it."""
    daemon = clocks(fleet).get("daemon")
    return daemon if daemon and daemon["agrees"] else None


def words(fleet: Fleet) -> int:
    path = "/api/v1/series?measurement=truechimer_daemon&fields=stratum&since=1h"
    return sum(len(one["time_s"]) for one in fleet.host.request("GET", URL + path).json()["series"])


def test_a_chronyd_that_is_37_ms_off_is_found_within_a_minute(network: Network, tmp_path: Path) -> None:
    """It agrees at first; then its one server goes 37 ms behind, while the agent's three stay right."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0, 0.0]) as fleet:
        *right, followed = fleet.servers
        with ChronyClient(fleet.host, [followed.address]) as chronyd:
            chronyd.wait_synchronised()
            fleet.analyzer()
            servers = [server.address for server in right]
            config = agent_toml(
                tmp_path / "agent", node="n1", servers=servers, sinks=[URL], chrony=chronyd.socket
            )
            fleet.agent(config)
            daemon = wait_until(lambda: agrees(fleet), "a daemon that agrees", timeout_s=60)
            assert (daemon["name"], daemon["stratum"], daemon["reachable_sources"]) == ("chrony", 2, 1)
            assert daemon["lower_s"] <= 0 <= daemon["upper_s"]
            assert disagreement(clocks(fleet)) is None

            followed.doffset(SHIFT_S)
            began_s = monotonic_s()
            flag = wait_until(lambda: disagreement(clocks(fleet)), "the disagreement", timeout_s=120)
            took_s = monotonic_s() - began_s
            print(f"found after {took_s:.1f} s: {flag}")
            assert took_s < 60
            evidence = flag["evidence"]
            assert evidence["daemon"] == "chrony"
            # UTC − W: the daemon believes W to be ahead by what its server is behind; W is right.
            assert evidence["daemon_lower_s"] <= -SHIFT_S <= evidence["daemon_upper_s"]
            assert evidence["lower_s"] <= 0 <= evidence["upper_s"]
            assert evidence["daemon_upper_s"] < evidence["lower_s"]
            node = clocks(fleet)
            assert (node["state"], node["daemon"]["agrees"]) == ("ok", False)
            table = truechimer(
                fleet.host, "clocks", "--store", URL, env={"COLUMNS": "200"}, check=True
            ).stdout
            print(table)
            assert "daemon_disagrees" in table


def test_a_user_without_privileges_may_ask_chronyd(network: Network, tmp_path: Path) -> None:
    """As the agent's own user does: chronyc's own choice is port 323 of loopback, open for both reports."""
    server = ChronyServer(network.host("ntp"))
    host = network.host("node")
    asking = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    report = ("chronyc", "-n", "-c", "-m", "tracking", "sources")
    with server, ChronyClient(host, [server.address], command_port=323) as chronyd:
        chronyd.wait_synchronised()
        said = host.run(*asking, *report).stdout
        believed = chrony.parse(said)
        assert (believed.leap, believed.stratum, believed.reachable_sources) == (Leap.NONE, 2, 1)
        refused = host.run(
            *asking, "chronyc", "-n", "-c", "-m", "-h", str(chronyd.socket), "tracking", check=False
        )
        assert refused.exit_code != 0, "the socket's folder is for root alone"


def test_a_step_that_the_daemon_mends_is_no_disagreement(
    network: Network, tmp_path: Path, shifted_clock: Callable[[], ShiftedClock]
) -> None:
    """The wall clock of agent and chronyd jumps by half a second; chronyd measures anew and says so."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0]) as fleet:
        shift = shifted_clock()
        with ChronyClient(fleet.host, fleet.addresses, env=shift.env) as chronyd:
            chronyd.wait_synchronised()
            fleet.analyzer()
            config = agent_toml(
                tmp_path / "agent", node="n1", servers=fleet.addresses, sinks=[URL], chrony=chronyd.socket
            )
            fleet.agent(config, env=shift.env)
            wait_until(lambda: agrees(fleet), "a daemon that agrees", timeout_s=60)
            for size_ns in (500_000_000, -500_000_000):
                shift.step_ns(size_ns)
                target = words(fleet) + 3

                def quiet(target: int = target) -> bool:
                    assert disagreement(clocks(fleet)) is None
                    return words(fleet) >= target

                wait_until(quiet, "three more words of the daemon", timeout_s=120)
            daemon = wait_until(lambda: agrees(fleet), "a daemon that agrees again", timeout_s=60)
            assert daemon["lower_s"] <= -shift.shift_ns / 1e9 <= daemon["upper_s"]
