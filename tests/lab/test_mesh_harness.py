"""The lab's mesh: its truth is the agents' truth, its lies are those that were told."""

import struct
from pathlib import Path
from typing import Any

import pytest
from lab.harness import Mesh, Network, wait_until, wall_ns
from lab.harness.lyingagent import FACES, Lie, lie_ns, node_id

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def test_the_truth_of_every_node_lies_in_its_own_bound(network: Network, tmp_path: Path) -> None:
    """Clocks that drift and step: each agent's bound of UTC - W holds what the harness says of that W."""
    with Mesh(network, tmp_path / "mesh", nodes=3, ntp_interval_s=1.0) as mesh:
        mesh.nodes["n1"].clock.drift(80)
        mesh.nodes["n2"].clock.set_ns(-300_000_000)
        mesh.start()
        mesh.wait_synchronised()
        wait_until(lambda: len(bounds(mesh)) == 3, "bounds of all nodes")
        mesh.nodes["n2"].clock.step_ns(1_000_000_000)
        stepped_ns = wall_ns()
        wait_until(
            lambda: min(each[0] for each in bounds(mesh).values()) > stepped_ns + 10**9,
            "bounds after the step",
        )
        found = bounds(mesh)
        truth = mesh.truth()
        for name, (true_ns, lower_s, upper_s) in found.items():
            offset_s = -truth.ahead_s(name, true_ns)
            assert lower_s <= offset_s <= upper_s, name
        assert truth.ahead_s("n2", stepped_ns + 10**9) == pytest.approx(0.7, abs=1e-9)
        assert truth.ahead_s("n2", stepped_ns - 10**9) == -0.3


def bounds(mesh: Mesh) -> dict[str, Any]:
    """By node, its last bound: true time in ns (to the bound's width), least and greatest offset in s."""
    path = "/api/v1/series?measurement=truechimer_bound&fields=lower_seconds,upper_seconds&since=1m"
    return {
        each["tags"]["node"]: (
            int(each["time_s"][-1] * 1e9),
            each["fields"]["lower_seconds"][-1],
            each["fields"]["upper_seconds"][-1],
        )
        for each in mesh.ask(path)["series"]
        if each["fields"]["lower_seconds"][-1] is not None
    }


def test_a_lie_reaches_those_that_it_is_told_to(tmp_path: Path) -> None:
    """To all alike, or another to each; who is told nothing, or does not say who it is, hears the truth."""
    with Lie(tmp_path / "lie", "lab") as lie:
        cells = memoryview((tmp_path / "lie").read_bytes()).cast("q")
        assert lie_ns(cells, None) == 0
        names = [f"n{number}" for number in range(FACES)]
        ids = [struct.pack("=q", node_id("lab", name)) for name in names]
        lie.tell(20_000_000)
        cells = memoryview((tmp_path / "lie").read_bytes()).cast("q")
        assert {lie_ns(cells, each) for each in [None, *ids]} == {20_000_000}
        lie.tell_each({name: 1 - number for number, name in enumerate(names[1:])})
        cells = memoryview((tmp_path / "lie").read_bytes()).cast("q")
        assert [lie_ns(cells, each) for each in ids] == [0, *(1 - number for number in range(FACES - 1))]
        assert lie_ns(cells, None) == 0
