"""The mesh among real agents: what is proven holds, and a liar is named (in full: bench/mesh_lab.py)."""

from pathlib import Path
from typing import Any

import pytest
from lab.harness import Network
from lab.mesh.disturbing import Disturbances
from lab.mesh.judging import Bounds, Containment, Naming, unix_ns
from lab.mesh.proving import judge_disturbed, judge_lies
from lab.mesh.recording import Lie, record_disturbed, record_lies

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

ROUNDS = 300
SECONDS = 18.0


def test_what_the_mesh_proves_holds_the_truth(network: Network, tmp_path: Path) -> None:
    """Steps, drifts, asymmetric links with loss, one node without NTP: 300 rounds, and nothing misses.

    A pair with a direct line, neither stepped lately, is known five times better than both nodes' own
    bounds of UTC would tell; the node without NTP is bounded by its peers. bench/mesh_lab.py takes longer.
    """
    plan = Disturbances(step_every_s=4.0, wander_every_s=2.0, never="n5", blocked="n4", blocked_after_s=3.0)
    recording = record_disturbed(
        network, tmp_path / "mesh", seconds=SECONDS, interval_s=SECONDS / ROUNDS, plan=plan
    )
    found, direct = judge_disturbed(recording)
    print(found, direct, sep="\n")
    assert found.answers >= ROUNDS
    assert recording.happened.steps >= 2
    for name, bounds in found.every.items():
        assert bounds.held > 0, name
        assert bounds.missed == 0, f"{name}\n{found}"
    assert not found.named
    assert direct.ratio(0.0) <= 0.2
    assert {by for (name, by) in found.utc_by if name == "n5"} == {"peers"}


def test_a_liar_is_named_within_three_rounds_and_nobody_else(network: Network, tmp_path: Path) -> None:
    """One of six is off by 20 ms, three times over: certain by the third round, and epsilon_1 holds."""
    recording = record_lies(
        network, tmp_path / "mesh", trials=3, lie=Lie(), interval_s=0.5, honest_s=2.0, lying_rounds=3
    )
    found = judge_lies(recording)
    print(found)
    assert found.trials == found.within(3) == 3, str(found)
    assert not found.honest_named
    assert found.epsilon_k["holds"] == found.answers
    assert found.pairs_k.missed == 0


def document(**fields: Any) -> dict[str, Any]:
    """A cluster's part of an answer about a and b, which are 1 s apart at second 5."""
    pair = {"a": "a", "b": "b", "lower_s": 0.9, "upper_s": 1.1, "lower_k_s": 0.8, "upper_k_s": 1.2}
    inconsistent = {"certain": fields.pop("certain", [])}
    return {
        "at": "1970-01-01T00:00:05.000001Z",
        "epsilon_s": 1.1,
        "epsilon_k_s": 1.2,
        "nodes": [],
        "pairs": [pair | fields],
        "inconsistent": inconsistent,
    }


def truth(name: str, at_ns: int) -> float:
    """B's clock is ahead by a second."""
    assert at_ns == 5_000_001_000
    return 1.0 if name == "b" else 0.0


def test_a_bound_that_leaves_the_truth_out_is_found() -> None:
    """The judge can say no: of pairs, of epsilon, of who is named."""
    good, bad = Containment(), Containment()
    good.judge(document(), truth)
    assert {name: (each.held, each.missed) for name, each in good.every.items() if each.held} == {
        "pairs": (1, 0),
        "pairs, k": (1, 0),
        "epsilon": (1, 0),
        "epsilon_k": (1, 0),
    }
    bad.judge(document(upper_s=0.99) | {"epsilon_k_s": 0.5}, truth)
    assert (bad.pairs.missed, bad.pairs_k.missed, bad.epsilon.missed, bad.epsilon_k.missed) == (1, 0, 0, 1)
    assert "1.000000000 s not in [0.900000000, 0.990000000]" in str(bad)
    bounds = Bounds()
    bounds.judge("nothing is said", None, 1.0, 5.0)
    assert (bounds.held, bounds.missed) == (0, 0)
    naming = Naming()
    assert not naming.answered(document(), ["liar"], truth)
    assert naming.answered(document(certain=["liar"]), ["liar"], truth)
    assert not naming.answered(document(certain=["a", "liar"]), ["liar"], truth)
    assert len(naming.honest_named) == 1
    assert naming.epsilon_k == {"holds": 3}


def test_instants_are_exact() -> None:
    """To the nanosecond, with any fraction."""
    assert unix_ns("1970-01-01T00:00:05Z") == 5 * 10**9
    assert unix_ns("2026-11-22T20:00:00.000123456Z") % 10**9 == 123_456
