"""Does every interval contain the truth? A campaign against hosts, networks and servers of known truth.

Usage: python bench/coverage.py [--exchanges 1000000] [--seed N] [--kind KIND]

Simulated scenarios, drawn from the seed, of everything that the assumptions allow at once: 1 to 7 servers,
the tolerated number lying by 1 ms to 1 h or drifting up to 500 ppm, contradicting themselves, smearing or
lying of leap seconds; delays as asymmetric as 50:1, losses to 30 %; steps of the wall clock, slews of 500 ppm
and of 8 %; suspends, pauses without a trace, leap seconds; an oscillator that wanders by ±2 ppm a day and
±1 ppm in 10 min; 0.1 % bad stamps. What runs is the agent's own estimator, clock watch and publisher, and the
library's reader. The exit code is 1 when an interval misses the truth although the assumptions hold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from agent.campaign import tally as classes
from agent.campaign.engine import run
from agent.campaign.scenario import KINDS
from agent.campaign.tally import Tally

NS = 1e9
HEADINGS = ("scenario", "runs", "exchanges", "checks", "misses", "interval", "longest gap", "width / (b)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--kind", choices=KINDS, help="one kind of scenario only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.jobs} processes", flush=True)
    began_s = time.perf_counter()
    tallies = simulate(options.seed, options.exchanges, options.kind, options.jobs)
    report(tallies, time.perf_counter() - began_s)
    return 1 if any(tally.misses[classes.MISSED] for tally in tallies.values()) else 0


def simulate(seed: int, exchanges: int, kind: str | None, jobs: int) -> dict[str, Tally]:
    """Scenarios 0, 1, 2 … of a seed until so many exchanges are done; the sums by kind."""
    sums: dict[str, Tally] = {}
    done = 0
    with multiprocessing.Pool(jobs) as pool:
        for tally in pool.imap_unordered(partial(run, seed, kind=kind), range(10**9)):
            sums.setdefault(tally.kind, Tally(tally.kind)).add(tally)
            done += tally.exchanges
            if done >= exchanges:
                break
        pool.terminate()
    return {name: sums[name] for name in KINDS if name in sums}


def report(tallies: dict[str, Tally], elapsed_s: float) -> None:
    total = Tally("all")
    print("{:>13} {:>5} {:>10} {:>10} {:>7} {:>9} {:>12} {:>12}".format(*HEADINGS))
    for tally in tallies.values():
        total.add(tally)
        _row(tally)
    _row(total)
    print("\nintervals that miss the truth:")
    for why, count in sorted(total.misses.items()):
        print(f"  {count:>8}  {why}")
    print(f"  {total.misses[classes.MISSED]:>8}  in all while the assumptions hold")
    for finding in total.findings[:10]:
        print(f"  {finding}")
    print(f"longest time a pause without a trace stayed hidden: {total.longest_hidden_ns / NS:.1f} s")
    print(
        f"{total.replies} replies, {total.bad_stamps} of honest servers bad; "
        f"{total.epochs} epochs; {elapsed_s:.0f} s, {total.exchanges / elapsed_s:.0f} exchanges/s"
    )
    print(
        "width / (b): median of the published width over that of the last honest exchange alone, aged "
        "at the measured frequency bounds; "
        f"aged at ±500 ppm instead: {_median(total.ratios_at_most)} in all"
    )


def _row(tally: Tally) -> None:
    share = tally.covered_ns / tally.total_ns if tally.total_ns else 0.0
    print(
        f"{tally.kind:>13} {tally.scenarios:>5} {tally.exchanges:>10} {tally.checks:>10} "
        f"{tally.misses[classes.MISSED]:>7} {share:>9.2%} {tally.longest_gap_ns / NS:>10.1f} s "
        f"{_median(tally.ratios):>12}"
    )


def _median(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f}" if ratios else "–"


if __name__ == "__main__":
    sys.exit(main())
