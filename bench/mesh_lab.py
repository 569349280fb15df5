"""The mesh's proof: six real agents that probe each other, their answers held against the truth.

Usage (as root in the lab):
    python bench/mesh_lab.py contain [--seconds 1020] [--seed 1] [--slews]
    python bench/mesh_lab.py lie [--trials 50] [--seed 1] [--interval-s 1.0] [--lie-us 20000]
    python bench/mesh_lab.py two-faced [--trials 20] [--seed 1]

contain: oscillators off by up to 150 ppm that wander, steps of wall clocks up to 2 s, half of the pairs
joined by asymmetric links with jitter and loss, one node without NTP, another that loses it. `skew` is
asked as of every round of probes (0.2 s), and all that it proves is held against the truth.
lie: one of six agents is ahead by 20 ms in its STAMP answers for some rounds, again and again; `skew` is
asked as of the end of every round. two-faced: ahead to some, behind to others. Lies of less than a round
trip need not be seen: then epsilon_1 has to hold all the same.

The exit code is 1 when something that is proven misses the truth, when an honest node is named, and when
the liar is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.harness import Network
from lab.mesh.disturbing import Disturbances
from lab.mesh.proving import judge_disturbed, judge_lies
from lab.mesh.recording import Disturbed, Lie, Lied, record_disturbed, record_lies

US = 1000
ROUNDS = 3
UNSEEN_NS = 1_000_000
"""Without links: what a busy machine makes of a round trip."""
RATIO = 0.2


def contained(options: argparse.Namespace, folder: Path) -> bool:
    """The first experiment; whether it went as it must."""
    if not options.judge:
        plan = Disturbances(never="n5", blocked="n4", slew_every_s=15.0 if options.slews else float("inf"))
        with Network() as network:
            record_disturbed(
                network,
                folder,
                seconds=options.seconds,
                interval_s=options.interval_s or 0.2,
                plan=plan,
                seed=options.seed,
            )
    recording = Disturbed.load(folder)
    happened = recording.happened
    length_s = (happened.ended_ns - happened.began_ns) / 1e9
    print(f"{length_s:.0f} s, {happened.steps} steps, {happened.slews} slews", flush=True)
    found, direct = judge_disturbed(recording)
    print(found)
    print(f"pairs that are linked directly, with NTP: {direct}")
    misses = sum(bounds.missed for bounds in found.every.values())
    return not misses and not found.named and direct.ratio() <= RATIO


def lied(options: argparse.Namespace, folder: Path) -> bool:
    """The second experiment; whether it went as it must."""
    lie_ns, apart_s = options.lie_us * US, options.apart_ms / 1000
    if not options.judge:
        with Network() as network:
            record_lies(
                network,
                folder,
                trials=options.trials,
                lie=Lie(lie_ns, options.experiment == "two-faced"),
                interval_s=options.interval_s or 1.0,
                apart_s=apart_s,
                history_s=options.history_s,
                seed=options.seed,
            )
    recording = Lied.load(folder)
    found = judge_lies(recording)
    print(
        f"lies of {options.lie_us} µs, {options.apart_ms:g} ms apart, a round is {recording.interval_s:g} s"
    )
    print(found)
    seen = lie_ns > 2e9 * apart_s + UNSEEN_NS
    return (
        (found.within(ROUNDS) == found.trials or not seen)
        and not found.honest_named
        and not found.epsilon_k["misses"]
        and not found.pairs_k.missed
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiment", choices=("contain", "lie", "two-faced"))
    parser.add_argument("--seconds", type=float, default=1020.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slews", action="store_true", help="wall clocks are slewed by up to 450 ppm too")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--interval-s", type=float, help="of probes: a round (0.2; when it lies, 1)")
    parser.add_argument("--lie-us", type=int, default=20_000)
    parser.add_argument("--apart-ms", type=float, default=0.0, help="one way between nodes")
    parser.add_argument(
        "--history-s", type=float, default=240.0, help="of honest exchanges before the first lie"
    )
    parser.add_argument("--folder", type=Path, help="keep everything there")
    parser.add_argument("--judge", action="store_true", help="what --folder holds, again")
    options = parser.parse_args()
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tc-mesh-") as name:
        folder = options.folder or Path(name) / "mesh"
        good = (contained if options.experiment == "contain" else lied)(options, folder)
    print(f"{'as it must be' if good else 'NOT as it must be'}, after {time.perf_counter() - began_s:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
