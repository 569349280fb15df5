"""NTP blocked by a real firewall: told within three polls, and the bound grows no faster than it must."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lab.harness import Agent, Firewall, Network, truechimer, wait_until
from lab.harness.clocks import monotonic_s
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
POLL_S = 2.0
TIMEOUT_S = 0.3
SHIPPED_S = 6.0
"""From a change of status to the answer: a second to the estimator's next round, two to the spool's next
pair of batches, and room for a busy machine."""
MAX_DRIFT_PPM = 500.0
HOLDOVER = 2


def node(fleet: Fleet) -> dict[str, Any]:
    """The one node of the analyzer's answer."""
    nodes = fleet.host.request("GET", f"{URL}/api/v1/clocks").json()["nodes"]
    return nodes[0] if nodes else {}


def flags(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {flag["flag"]: flag for flag in found.get("flags", [])}


def configured(fleet: Fleet, directory: Path) -> Path:
    config = agent_toml(
        directory / "agent", node="n1", servers=fleet.addresses, sinks=[URL], interval_s=POLL_S
    )
    config.write_text(config.read_text().replace("[ntp]", f"[ntp]\ntimeout_s = {TIMEOUT_S}"))
    return config


def frequency_width_ppm(found: dict[str, Any]) -> float:
    lower, upper = found["frequency_lower_ppm"], found["frequency_upper_ppm"]
    return float("inf") if lower is None else float(upper - lower)


def assert_everybody_agrees(fleet: Fleet, agent: Agent, status: str, code: int, reason: int) -> None:
    """The segment, /healthz and /metrics say what the analyzer says."""
    document = agent.request("GET", "/healthz").json()
    assert document["bound"]["status"] == status
    metrics = agent.request("GET", "/metrics").body.decode()
    lines = [line for line in metrics.splitlines() if line.startswith("truechimer_bound_")]
    values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}
    assert (values["truechimer_bound_status"], values["truechimer_bound_reason"]) == (code, reason)
    runtime = {"TRUECHIMER_RUNTIME_DIR": str(fleet.directory / "agent/run")}
    now = truechimer(fleet.host, "now", "--json", env=runtime, check=True).json
    assert now["status"] == status
    assert now["lower_s"] <= 0 <= now["upper_s"]


@pytest.mark.parametrize(
    ("packets", "what", "outcome"),
    [
        ("replies", "drop", "lost"),
        ("requests", "drop", "not_permitted"),
        ("queries", "reject", "refused"),
    ],
)
def test_a_firewall_is_told_within_three_polls_and_the_bound_holds(
    network: Network, tmp_path: Path, packets: Any, what: Any, outcome: str
) -> None:
    """Four servers, all blocked at once for a dozen polls: holdover all the time, and then back."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0, 0.0]) as fleet, ExitStack() as rules:
        fleet.analyzer()
        agent = fleet.agent(configured(fleet, tmp_path))
        wait_until(lambda: node(fleet).get("status") == "synchronized", "a bound in the store")
        wait_until(lambda: frequency_width_ppm(node(fleet)) < MAX_DRIFT_PPM, "a measured frequency")
        assert "sources_blocked" not in flags(node(fleet))
        hosts = [server.host for server in fleet.servers] if packets == "queries" else [fleet.host]
        blocked_s = monotonic_s()
        for host in hosts:
            rules.enter_context(Firewall(host, packets, what))
        wait_until(
            lambda: "sources_blocked" in flags(node(fleet)),
            "the flag",
            timeout_s=3 * POLL_S + 2 * TIMEOUT_S + SHIPPED_S,
            evidence=lambda: str(node(fleet)),
        )
        told_s = monotonic_s() - blocked_s
        print(f"{packets} {what}: sources_blocked after {told_s:.1f} s, {told_s / POLL_S:.1f} polls")
        found = node(fleet)
        assert (found["state"], found["status"]) == ("sources_blocked", "holdover")
        assert flags(found)["sources_blocked"]["evidence"]["silent"] == dict.fromkeys(
            fleet.addresses, outcome
        )
        assert_everybody_agrees(fleet, agent, "holdover", 2, 4)
        while monotonic_s() - blocked_s < 12 * POLL_S:
            found = node(fleet)
            assert found["status"] == "holdover"
            assert found["lower_s"] <= 0 <= found["upper_s"]
        assert_growth_is_as_proven(fleet, 5)
        rules.close()
        wait_until(lambda: node(fleet)["status"] == "synchronized", "the servers to be heard again")
        assert flags(node(fleet))["sources_blocked"]["clears_at"] is not None


def assert_growth_is_as_proven(fleet: Fleet, least_s: float) -> None:
    """From the last synchronized bound on the width grows by the measured frequency, not by max_drift_ppm.

    Ageing begins with the last replies, a little before that bound.
    """
    names = ("lower_seconds", "upper_seconds", "frequency_lower_ppm", "frequency_upper_ppm", "status")
    path = f"/api/v1/series?measurement=truechimer_bound&fields={','.join(names)}&since=1h"
    (series,) = fleet.host.request("GET", URL + path).json()["series"]
    rows = list(zip(series["time_s"], *(series["fields"][name] for name in names), strict=True))
    held = next(number for number, row in enumerate(rows) if row[5] == HOLDOVER)
    (first_s, low, high, *_), (last_s, lower, upper, f_low, f_high, _) = rows[held - 1], rows[-1]
    assert last_s - first_s >= least_s
    growth_ppm = ((upper - lower) - (high - low)) / (last_s - first_s) * 1e6
    print(f"grows by {growth_ppm:.1f} ppm; {f_high - f_low:.1f} ppm measured, {2 * MAX_DRIFT_PPM:g} assumed")
    assert 0 < growth_ppm <= 1.5 * (f_high - f_low) < MAX_DRIFT_PPM


def test_a_blocked_majority_is_told_while_the_rest_still_answers(network: Network, tmp_path: Path) -> None:
    """Two of four: those that answer are no majority, and the bound goes on from what was known."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0, 0.0]) as fleet:
        fleet.analyzer()
        agent = fleet.agent(configured(fleet, tmp_path))
        wait_until(lambda: node(fleet).get("status") == "synchronized", "a bound in the store")
        silent = fleet.addresses[:2]
        with Firewall(fleet.host, "replies", only=silent):
            wait_until(
                lambda: "sources_blocked" in flags(node(fleet)),
                "the flag",
                timeout_s=3 * POLL_S + 2 * TIMEOUT_S + SHIPPED_S,
                evidence=lambda: str(node(fleet)),
            )
            found = node(fleet)
            assert set(flags(found)["sources_blocked"]["evidence"]["silent"]) == set(silent)
            assert found["lower_s"] <= 0 <= found["upper_s"]
            assert_everybody_agrees(fleet, agent, "holdover", 2, 4)
