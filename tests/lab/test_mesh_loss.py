"""Losses by direction as six agents tell them, held against the links' own counts of what they dropped.

``TRUECHIMER_MESH_LOSS_S`` lengthens the lossy stretch; bench/mesh_loss.py has many trials of both.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from lab.harness import Constant, Network, Normal
from lab.harness.meshfleet import MeshFleet, lossy

pytestmark = pytest.mark.lab

LOSSY_S = float(os.environ.get("TRUECHIMER_MESH_LOSS_S", "10"))
BLOCKED_S = 3.0
LEAST_PROBES = 2000


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshFleet]:
    """Six nodes that probe each other 20 times a second, over links that are slower there than back."""
    with (
        Network() as network,
        MeshFleet(network, tmp_path_factory.mktemp("mesh"), 6, interval_s=0.05) as fleet,
    ):
        for link in fleet.links.values():
            link.forward.set(delay=Normal(0.012, 0.002))
            link.backward.set(delay=Constant(0.002))
        fleet.wait_settled()
        yield fleet


def test_each_directions_losses_are_the_links_own_count(fleet: MeshFleet) -> None:
    """5 % there and 1 % back, reordered and duplicated: exact on each of 30 ways, nothing unknown."""
    before = fleet.counts()
    assert lossy(fleet, LOSSY_S) == []
    told = {path: counts - before[path] for path, counts in fleet.counts().items()}
    total = sum(told.values(), Counter())
    assert total["sent"] >= LEAST_PROBES
    assert total["unknown"] == total["undetermined"] == 0
    assert total["lost_forward"] > total["lost_backward"] > 20
    assert min(total["duplicated"], total["reordered"]) > 0


def test_a_blocked_direction_is_told_from_the_other(fleet: MeshFleet) -> None:
    """One direction of each of 15 links is blocked for a while, then the other one: 30 trials of 30."""
    before, dropped = fleet.counts(), fleet.dropped()
    for blocked in ("forward", "backward"):
        for link in fleet.links.values():
            getattr(link, blocked).set(partitioned=True)
        time.sleep(BLOCKED_S)
        for link in fleet.links.values():
            getattr(link, blocked).set(partitioned=False)
        time.sleep(2 * fleet.timeout_s)
    fleet.wait_reported()
    trials = 0
    for way, lost in fleet.lost_since(before).items():
        assert (way, lost) == (way, way.direction.counters.dropped - dropped[way])
        trials += lost >= BLOCKED_S / 0.05 / 2
    assert trials == 30
