"""Does what the mesh proves contain the truth? Simulated meshes, honest ones and ones with a liar.

Usage: python bench/skew_truth.py [--rounds 100000] [--meshes 1600] [--seed N] [--jobs N]

Honest: 3 to 9 nodes, 2 to 5 peers each; oscillators within ±2 ppm of what is stated and often at its ends,
steady clocks seconds apart, wall clocks slewed and stepped; peers 10 to 60 µs away each way and servers 1 to
8 ms, one packet in twenty in a queue ten times as long, one in twenty lost; up to half of the nodes never
hear of UTC. Every bound of every pair and of every node against UTC is held against the truth in every round.

Liars: one in each mesh, for 12 rounds: two-faced, constant, drifting, jumping, in its answers only, in its
probes only, within the delays' slack, about UTC. The exit code is 1 when a bound of honest clocks misses the
truth, an honest node is named, or 20 ms in one node's answers are not pinned on it at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from analyzer.skewsim.campaign import Honest, Lied, honest, lied, rounds_until_named
from analyzer.skewsim.lies import KINDS

ROUNDS_PER_MESH = 100
ROUNDS_PER_LIAR = 12
NAMED_TRIALS = 200


def honest_share(job: tuple[int, int]) -> Honest:
    """Some meshes, from one seed on."""
    tally = Honest()
    for seed in range(*job):
        honest(seed, ROUNDS_PER_MESH, tally)
    return tally


def lied_share(job: tuple[int, int, int]) -> tuple[int, Lied]:
    """Some meshes of one kind of liar."""
    first, meshes, kind = job
    tally = Lied()
    for seed in range(first, first + meshes):
        lied(seed, ROUNDS_PER_LIAR, tally, KINDS[kind])
    return kind, tally


def report_honest(tallies: list[Honest]) -> bool:
    """Whether there was no miss."""
    total = {
        name: sum(getattr(each, name) for each in tallies)
        for name in ("meshes", "rounds", "bounds", "misses", "inconsistent", "epsilon_misses")
    }
    print(
        f"honest: {total['meshes']:,} meshes, {total['rounds']:,} rounds, {total['bounds']:,} bounds, "
        f"misses {total['misses']}, contradictions {total['inconsistent']}, "
        f"ε or ε_1 missed {total['epsilon_misses']}"
    )
    ratios = [ratio for each in tallies for ratio in each.ratios]
    widths_s = [width_s for each in tallies for width_s in each.blocked_widths_s]
    blocked, bounded = sum(each.blocked for each in tallies), sum(each.blocked_bounded for each in tallies)
    print(
        f"  a pair's bounds are {statistics.median(ratios):.4f} as wide as its nodes' own intervals of UTC "
        f"together (median of {len(ratios):,}, 99 %: {statistics.quantiles(ratios, n=100)[98]:.4f})"
    )
    print(
        f"  nodes without servers: bounded through peers {bounded:,} of {blocked:,} times, "
        f"median width {statistics.median(widths_s) * 1e3:.2f} ms"
    )
    return not (total["misses"] or total["inconsistent"] or total["epsilon_misses"])


def report_lied(tallies: dict[int, list[Lied]]) -> bool:
    """Whether ε_1 was true of all honest clocks, and none of them named."""
    columns = [each.name for each in dataclasses.fields(Lied) if each.name != "rounds"]
    print("  ".join(("liar".ljust(10), *(column.rjust(13) for column in columns))))
    totals = dict.fromkeys(columns, 0)
    for kind, each in sorted(tallies.items()):
        sums = {column: sum(getattr(tally, column) for tally in each) for column in columns}
        totals = {column: totals[column] + sums[column] for column in columns}
        print("  ".join((KINDS[kind].ljust(10), *(f"{sums[column]:13,}" for column in columns))))
    print("  ".join(("all".ljust(10), *(f"{totals[column]:13,}" for column in columns))))
    return not any(totals[column] for column in ("honest_named", "more_than_one", "robust_misses", "unsaid"))


def main() -> int:
    """Both campaigns, and how soon 20 ms are pinned on who lies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--meshes", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    began_s = time.perf_counter()
    print(f"seed {options.seed}", flush=True)
    first = options.seed * 1_000_000
    meshes = -(-options.rounds // ROUNDS_PER_MESH)
    jobs = [(first + start, first + min(meshes, start + 20)) for start in range(0, meshes, 20)]
    share = -(-options.meshes // len(KINDS))
    kinds = [(first, share, kind) for kind in range(len(KINDS))]
    with multiprocessing.Pool(options.jobs) as pool:
        good = report_honest(pool.map(honest_share, jobs, chunksize=1))
        tallies: dict[int, list[Lied]] = {}
        for kind, tally in pool.map(lied_share, kinds, chunksize=1):
            tallies.setdefault(kind, []).append(tally)
    good &= report_lied(tallies)
    for loss in (0.0, 0.3):
        rounds = [rounds_until_named(first + seed, loss) for seed in range(NAMED_TRIALS)]
        good &= all(each is not None and each <= (1 if loss == 0 else 3) for each in rounds)
        print(
            f"20 ms in one of 6 nodes' answers, {loss:.0%} lost: named in round "
            + ", ".join(f"{number}: {rounds.count(number)}" for number in sorted(set(rounds), key=str))
        )
    print(f"{time.perf_counter() - began_s:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
