"""Losses by direction as agents tell them, against the links' own counts: many trials (root, the lab).

Usage: python bench/mesh_loss.py [--nodes 6] [--seconds 60] [--blocks 20] [--hz 20]

First every link loses 5 % there and 1 % back for a while, reorders and duplicates; what each of both ways
dropped must be what the agents at its ends tell, exactly. Then each link is blocked in one direction at
random, over and over: what is told must be of that direction alone, and exact. Exit code 1 when anything was
told wrongly.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.harness import Constant, Network, Normal
from lab.harness.lossymesh import LossyMesh, lossy


def blocks(fleet: LossyMesh, rng: random.Random, number: int) -> int:
    """Block one direction of each link for 1 to 5 s; how many were told rightly."""
    before, dropped = fleet.counts(), fleet.dropped()
    chosen = [rng.choice((link.forward, link.backward)) for link in fleet.links.values()]
    for direction in chosen:
        direction.set(partitioned=True)
    time.sleep(rng.uniform(1, 5))
    for direction in chosen:
        direction.set(partitioned=False)
    fleet.wait_reported()
    lost = fleet.lost_since(before)
    wrong = {way for way in lost if lost[way] != way.direction.counters.dropped - dropped[way]}
    for way in wrong:
        print(f"  trial {number}: {way.near} to {way.far}: told {lost[way]} WRONGLY")
    blocked = {way for way in lost if way.direction in chosen}
    return sum(way not in wrong and lost[way] > 0 for way in blocked) if len(wrong - blocked) == 0 else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--hz", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Network() as network,
        LossyMesh(network, Path(folder), options.nodes, interval_s=1 / options.hz) as fleet,
    ):
        for link in fleet.links.values():
            link.forward.set(delay=Normal(0.012, 0.002))
            link.backward.set(delay=Constant(0.002))
        fleet.wait_settled()
        before = fleet.counts()
        wrong = lossy(fleet, options.seconds)
        told = {path: counts - before[path] for path, counts in fleet.counts().items()}
        total = sum(told.values(), Counter())
        print(f"{len(fleet.paths)} paths, {len(fleet.links)} links, {options.seconds:g} s of loss")
        print(", ".join(f"{name} {total[name]}" for name in sorted(total)))
        print(f"ways told wrongly: {len(wrong)} of {2 * len(fleet.links)}", *wrong, sep="\n  ")
        right = sum(blocks(fleet, rng, number) for number in range(options.blocks))
        trials = options.blocks * len(fleet.links)
        print(f"blocked directions told rightly: {right} of {trials}")
    return 0 if not wrong and right == trials else 1


if __name__ == "__main__":
    sys.exit(main())
