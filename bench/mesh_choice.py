"""What graph the mesh's choice of peers makes, beside the same with independent weights.

Usage: python bench/mesh_choice.py [--degree 8] [--nodes 10 30 100 1000 10000] [--trials 20]

Every node picks ``degree`` peers; a line joins two nodes when either picks the other. ``gone`` nodes at
random do not answer, and nobody has changed a list yet. Connected: of the trials, those in which all that are
left are joined. In-degree: how many observers a node has, least and most over all trials. Alone: nodes that
nobody observes, on average. Diameter: exact.
Exit code 1 when any trial of the mesh's own choice is not connected.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "agent"))

from truechimer_agent.mesh.choice import Choice

INDEPENDENT_MOST = 1000
"""Independent weights take n² hashes a trial: beyond this they are drawn instead, which is the same."""


def rings(names: list[str], degree: int, _: random.Random) -> list[list[int]]:
    """The mesh's own choice."""
    choice = Choice(names, degree)
    number = {name: at for at, name in enumerate(names)}
    return [[number[peer] for peer in choice.peers_of(name)] for name in names]


def independent(names: list[str], degree: int, rng: random.Random) -> list[list[int]]:
    """Highest random weights of (own name, peer's name)."""
    count = len(names)
    if count > INDEPENDENT_MOST:
        picks = []
        for own in range(count):
            others = rng.sample(range(count - 1), degree)
            picks.append([other + (other >= own) for other in others])
        return picks
    found = []
    for own in names:
        keyed = hashlib.blake2b(key=own.encode(), digest_size=8)

        def weight(peer: int, keyed: hashlib.blake2b = keyed) -> bytes:
            digest = keyed.copy()
            digest.update(names[peer].encode())
            return digest.digest()

        others = (peer for peer in range(count) if names[peer] != own)
        found.append(heapq.nlargest(min(degree, count - 1), others, key=weight))
    return found


def diameter(picks: list[list[int]], left: list[int]) -> int | None:
    """The longest of all shortest ways between those left, None when there is none for some pair."""
    at = {node: place for place, node in enumerate(left)}
    ways: list[set[int]] = [set() for _ in left]
    for node in left:
        for peer in picks[node]:
            if peer in at:
                ways[at[node]].add(at[peer])
                ways[at[peer]].add(at[node])
    everybody = (1 << len(left)) - 1
    reach = [1 << place for place in range(len(left))]
    steps = 0
    while any(mask != everybody for mask in reach):
        further = []
        for place, known in enumerate(reach):
            mask = known
            for peer in ways[place]:
                mask |= reach[peer]
            further.append(mask)
        if further == reach:
            return None
        reach, steps = further, steps + 1
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--degree", type=int, default=8)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 30, 100, 300, 1000, 3000, 10_000])
    parser.add_argument("--trials", type=int, default=20, help="of up to 1,000 nodes; fewer of more")
    options = parser.parse_args()
    print(f"degree {options.degree}")
    print(
        f"{'weights':<12}{'nodes':>7}{'gone':>6}{'trials':>8}{'connected':>11}{'in-degree':>12}{'alone':>8}{'diameter':>10}"
    )
    whole = True
    for count in options.nodes:
        trials = max(3, min(options.trials, options.trials * 1000 // count))
        for word, choose in (("rings", rings), ("independent", independent)):
            for gone in (0.0, 0.3):
                connected = longest = alone = 0
                in_degrees: list[int] = []
                for trial in range(trials):
                    rng = random.Random(f"{count} {trial}")
                    names = [f"node-{trial}-{number}" for number in range(count)]
                    picks = choose(names, options.degree, rng)
                    left = sorted(rng.sample(range(count), count - round(gone * count)))
                    seen = dict.fromkeys(left, 0)
                    for node in left:
                        for peer in picks[node]:
                            if peer in seen:
                                seen[peer] += 1
                    alone += sum(not observers for observers in seen.values())
                    in_degrees += [min(seen.values()), max(seen.values())]
                    steps = diameter(picks, left)
                    connected += steps is not None
                    longest = max(longest, steps or 0)
                if word == "rings":
                    whole = whole and connected == trials
                spread = f"{min(in_degrees)}-{max(in_degrees)}"
                print(
                    f"{word:<12}{count:>7}{gone:>6.0%}{trials:>8}{connected / trials:>11.0%}"
                    f"{spread:>12}{alone / trials:>8.2f}{longest:>10}",
                    flush=True,
                )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
