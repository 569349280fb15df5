"""Losses by direction as six agents tell them, held against the links' own counts of what they dropped.

``TRUECHIMER_MESH_LOSS_S`` lengthens the lossy stretch; bench/mesh_loss.py has many trials of both.
"""

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.harness import Constant, Network, Normal
from lab.harness.clocks import wait_until
from lab.harness.lossymesh import LossyMesh, lossy

from truechimer_analyzer.answers import answer
from truechimer_analyzer.stores import Batch, open_store

pytestmark = pytest.mark.lab

LOSSY_S = float(os.environ.get("TRUECHIMER_MESH_LOSS_S", "10"))
BLOCKED_S = 3.0
LEAST_PROBES = 2000


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LossyMesh]:
    """Six nodes that probe each other 20 times a second, over links that are slower there than back."""
    with (
        Network() as network,
        LossyMesh(network, tmp_path_factory.mktemp("mesh"), 6, interval_s=0.05) as fleet,
    ):
        for link in fleet.links.values():
            link.forward.set(delay=Normal(0.012, 0.002))
            link.backward.set(delay=Constant(0.002))
        fleet.wait_settled()
        yield fleet


def test_each_directions_losses_are_the_links_own_count(fleet: LossyMesh) -> None:
    """5 % there and 1 % back, reordered and duplicated: exact on each of 30 ways, nothing unknown."""
    before = fleet.counts()
    assert lossy(fleet, LOSSY_S) == []
    told = {path: counts - before[path] for path, counts in fleet.counts().items()}
    total = sum(told.values(), Counter())
    assert total["sent"] >= LEAST_PROBES
    assert total["unknown"] == total["undetermined"] == 0
    assert total["lost_forward"] > total["lost_backward"] > 20
    assert min(total["duplicated"], total["reordered"]) > 0


def test_a_blocked_direction_is_told_from_the_other(fleet: LossyMesh) -> None:
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


def answered(fleet: LossyMesh, directory: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What `truechimer rtt` says of each path by all that was sent so far."""
    measurements = ("truechimer_rtt", "truechimer_path", "truechimer_reflection")
    samples = [one for name in measurements for one in fleet.sink.samples(name)]
    store = open_store(f"embedded:{directory}")
    try:
        store.write(Batch(directory.name.encode(), samples))
        document: Any = answer("rtt", {"since": "1h", "via": "stamp"}, store)
    finally:
        store.close()
    return {(path["node"], path["peer"]): path for path in document["paths"]}


def test_rtt_reports_the_losses_that_the_links_counted(fleet: LossyMesh, tmp_path: Path) -> None:
    """After loss and blocks: the sums of what was lost there and back, path by path."""
    fleet.wait_reported()
    paths, counts = answered(fleet, tmp_path / "store"), fleet.counts()
    assert paths.keys() == counts.keys()
    for path, told in paths.items():
        assert (told["lost_forward"], told["lost_backward"]) == (
            counts[path]["lost_forward"],
            counts[path]["lost_backward"],
        )
        assert told["lost_undetermined"] == 0


def test_rtt_tells_which_direction_is_blocked_while_it_is(fleet: LossyMesh, tmp_path: Path) -> None:
    """One direction of 15 links: no path is told by the other direction than its own, 18 are by theirs.

    Those are the paths of the 9 links that are probed both ways: their ends know of each other's probes.
    """
    own = {path: "lost_forward" if path in fleet.links else "lost_backward" for path in fleet.paths}
    mutual = [(near, far) for near, far in fleet.paths if (far, near) in fleet.paths]
    assert len(mutual) == 18
    fleet.wait_reported()
    before = answered(fleet, tmp_path / "before")
    for link in fleet.links.values():
        link.forward.set(partitioned=True)
    rounds = itertools.count()

    def settled() -> bool:
        after = answered(fleet, tmp_path / f"round{next(rounds)}")
        for path, count in own.items():
            other = "lost_backward" if count == "lost_forward" else "lost_forward"
            assert (path, after[path][other]) == (path, before[path][other])
        return all(after[path][own[path]] > before[path][own[path]] for path in mutual)

    try:
        wait_until(settled, "the blocked direction of 18 paths", timeout_s=90.0, every_s=2.0)
    finally:
        for link in fleet.links.values():
            link.forward.set(partitioned=False)


def test_every_probe_bounds_the_true_difference_of_two_steady_clocks(fleet: LossyMesh) -> None:
    """Over links that are slower there than back: no interval misses it, none is narrower than its trip."""
    anchors_ns = {name: fleet.anchor_ns(name) for name in fleet.hosts}
    probes = fleet.sink.samples("truechimer_rtt", lambda one: "lower_seconds" in one.fields)
    assert len(probes) >= LEAST_PROBES
    for probe in probes:
        truth_s = (anchors_ns[probe.tags["peer"]] - anchors_ns[probe.tags["node"]]) / 1e9
        lower_s, upper_s = probe.fields["lower_seconds"], probe.fields["upper_seconds"]
        assert lower_s <= truth_s <= upper_s
        assert probe.fields["rtt_seconds"] <= upper_s - lower_s
