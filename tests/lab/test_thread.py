"""The whole thread on real servers: NTP to agent to store to answer."""

import json
from functools import partial
from pathlib import Path

import pytest
from lab.harness import CpuLoad, Network, ShiftedClock, truechimer, wait_until, wall_ns
from lab.harness.clocks import monotonic_s
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

pytestmark = pytest.mark.lab

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
ROUNDS = 15


def clocks(fleet: Fleet) -> dict[str, object]:
    """The one node of `truechimer clocks`, by the analyzer's HTTP."""
    answer = fleet.host.request("GET", f"{URL}/api/v1/clocks").json()
    nodes = answer["nodes"]
    return nodes[0] if nodes else {}


def verdicts(servers: list[dict[str, object]]) -> dict[str, object]:
    return {server["server"]: server["verdict"] for server in servers}


def test_a_falseticker_is_named_and_every_interval_contains_the_truth(
    network: Network, tmp_path: Path
) -> None:
    """Five chronyd servers, one 37 ms off, both cores loaded: by a single look and by the store's answer."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0, 0.0, 0.037]) as fleet:
        *honest, liar = fleet.addresses
        expected = dict.fromkeys(honest, "selected") | {liar: "falseticker"}
        fleet.analyzer()
        config = agent_toml(tmp_path / "agent", node="n1", servers=fleet.addresses, sinks=[URL])
        fleet.agent(config)
        wait_until(
            lambda: verdicts(clocks(fleet).get("servers", [])) == expected, "the verdicts in the store"
        )
        wait_until(
            lambda: clocks(fleet)["lower_s"] is not None,
            "the bound, which is told up to a second after the replies that it rests on",
            timeout_s=5,
        )
        with CpuLoad(fleet.host, 2, tmp_path):
            for _ in range(ROUNDS):
                once = truechimer(
                    fleet.host, "agent", "once", "--config", str(config), "--json", check=True
                ).json
                assert verdicts(once["servers"]) == expected
                assert once["bound"]["lower_s"] <= 0 <= once["bound"]["upper_s"]
                node = clocks(fleet)
                assert verdicts(node["servers"]) == expected
                assert node["lower_s"] <= 0 <= node["upper_s"]
        answer = truechimer(fleet.host, "clocks", "--store", URL, "--json", check=True).json
        assert verdicts(answer["nodes"][0]["servers"]) == expected
        now = truechimer(
            fleet.host,
            "now",
            "--json",
            env={"TRUECHIMER_RUNTIME_DIR": str(tmp_path / "agent/run")},
            check=True,
        ).json
        assert now["lower_s"] <= 0 <= now["upper_s"]
        assert now["status"] == "synchronized"


def test_a_drifting_server_becomes_a_falseticker(network: Network, tmp_path: Path) -> None:
    """500 ppm among three good ones: it is found out by its own history or by the majority."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0, 0.0]) as fleet:
        fleet.servers[3].dfreq(2000)
        drifting = fleet.addresses[3]
        fleet.analyzer()
        fleet.agent(agent_toml(tmp_path / "agent", node="n1", servers=fleet.addresses, sinks=[URL]))

        def found() -> bool:
            node = clocks(fleet)
            if not node:
                return False
            assert node["lower_s"] is None or node["lower_s"] <= 0 <= node["upper_s"]
            return verdicts(node["servers"]).get(drifting) in ("falseticker", "unusable")

        wait_until(found, "the drifting server to be named", timeout_s=60)


@pytest.mark.parametrize("kernel_timestamps", [True, False])
def test_steps_of_the_wall_clock_are_told_once_and_the_bound_holds(
    network: Network, tmp_path: Path, shifted_clock: type[ShiftedClock], kernel_timestamps: bool
) -> None:
    """±0.5 s: one event each, within 1 ms in size, stamped within 2 s, answered within 5 s."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0]) as fleet:
        shift = shifted_clock()
        fleet.analyzer()
        config = agent_toml(tmp_path / "agent", node="n1", servers=fleet.addresses, sinks=[URL])
        if not kernel_timestamps:
            config.write_text(config.read_text().replace("[ntp]", "[ntp]\nkernel_timestamps = false"))
        fleet.agent(config, env=shift.env)
        wait_until(lambda: clocks(fleet).get("lower_s") is not None, "a bound in the store")
        for count, size_ns in enumerate((500_000_000, -500_000_000, -500_000_000), start=1):
            assert_holds(clocks(fleet), shift)
            stepped_at_ns, began_s = wall_ns(), monotonic_s()
            shift.step_ns(size_ns)
            at_s, size_s = wait_for_step(fleet, count)
            told_s = wait_until(partial(newest_step, fleet, size_ns), "the step in clocks", timeout_s=10)
            assert monotonic_s() - began_s <= 5
            assert size_s == pytest.approx(size_ns / 1e9, abs=1e-3)
            assert at_s == pytest.approx(stepped_at_ns / 1e9, abs=2)
            assert told_s == pytest.approx(size_ns / 1e9, abs=1e-3)
            assert_holds(clocks(fleet), shift)
        assert len(step_events(fleet)) == 3


def wait_for_step(fleet: Fleet, count: int) -> tuple[float, float]:
    """When and by how much the newest of `count` steps was."""
    wait_until(lambda: len(step_events(fleet)) >= count, "the step's event", timeout_s=10)
    events = step_events(fleet)
    assert len(events) == count
    return events[-1]


def assert_holds(node: dict[str, object], shift: ShiftedClock) -> None:
    truth_s = -shift.shift_ns / 1e9
    assert node["lower_s"] <= truth_s <= node["upper_s"], json.dumps(node)


def newest_step(fleet: Fleet, size_ns: int) -> float | None:
    for flag in clocks(fleet)["flags"]:
        if flag["flag"] == "stepped" and abs(flag["evidence"]["size_s"] - size_ns / 1e9) < 0.1:
            return float(flag["evidence"]["size_s"])
    return None


def step_events(fleet: Fleet) -> list[tuple[float, float]]:
    path = "/api/v1/series?measurement=truechimer_clock_event&fields=size_seconds&tag.kind=step&since=1h"
    series = fleet.host.request("GET", URL + path).json()["series"]
    return [
        (at_s, size_s)
        for one in series
        for at_s, size_s in zip(one["time_s"], one["fields"]["size_seconds"], strict=True)
    ]


def test_a_wall_clock_that_is_hours_off_files_its_samples_under_true_time(
    network: Network, tmp_path: Path, shifted_clock: type[ShiftedClock]
) -> None:
    """Seven hours behind from the start: the bound says so and samples land where they belong."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0]) as fleet:
        shift = shifted_clock(-7 * 3600 * 10**9)
        fleet.analyzer()
        config = agent_toml(tmp_path / "agent", node="n1", servers=fleet.addresses, sinks=[URL])
        fleet.agent(config, env=shift.env)
        node = wait_until(lambda: (node := clocks(fleet)).get("lower_s") is not None and node, "a bound")
        assert_holds(node, shift)
        assert node["state"] == "offset"
        path = "/api/v1/series?measurement=truechimer_ntp&fields=delay_seconds&since=1h"
        series = fleet.host.request("GET", URL + path).json()["series"]
        times_s = [at_s for one in series for at_s in one["time_s"]]
        assert times_s
        assert all(abs(at_s - wall_ns() / 1e9) < 120 for at_s in times_s)


def test_no_server_answers(network: Network, tmp_path: Path) -> None:
    """A finding, not a failure: the agent runs, the node is unsynchronised and the servers say why."""
    with Fleet(network, tmp_path, []) as fleet:
        fleet.analyzer()
        config = agent_toml(
            tmp_path / "agent",
            node="n1",
            servers=["127.0.0.1:9", "10.77.0.250", "no-such-name.invalid"],
            sinks=[URL],
        )
        config.write_text(config.read_text().replace("[ntp]", "[ntp]\ntimeout_s = 0.5"))
        fleet.agent(config, wait=False)
        node = wait_until(
            lambda: len((node := clocks(fleet)).get("servers", [])) == 3 and node, "the servers in the store"
        )
        assert node["lower_s"] is None
        assert node["judgement"] == "unproven"
        assert node["state"] in ("unsynchronised", "sources_blocked")
        assert set(verdicts(node["servers"]).values()) == {"unusable"}
        answer = truechimer(
            fleet.host, "now", "--json", env={"TRUECHIMER_RUNTIME_DIR": str(tmp_path / "agent/run")}
        )
        assert answer.exit_code == 3
        assert answer.json["status"] == "unknown"


def test_a_two_two_split_is_said_with_its_camps(network: Network, tmp_path: Path) -> None:
    """Two servers 100 ms behind the two others: no bound, and who agrees with whom."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.1, 0.1]) as fleet:
        fleet.analyzer()
        config = agent_toml(tmp_path / "agent", node="n1", servers=fleet.addresses, sinks=[URL])
        fleet.agent(config, wait=False)

        def flag() -> dict[str, object] | None:
            flags = clocks(fleet).get("flags", [])
            found = [each["evidence"] for each in flags if each["flag"] == "no_majority"]
            return found[0] if found and len(found[0]["camps"]) == 2 else None

        evidence = wait_until(flag, "the split")
        assert evidence["split"] == "2–2"
        camps = sorted(camp["servers"] for camp in evidence["camps"])
        assert camps == [fleet.addresses[:2], fleet.addresses[2:]]
        node = clocks(fleet)
        assert (node["state"], node["judgement"], node["lower_s"]) == ("no_majority", "unproven", None)
