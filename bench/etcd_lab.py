"""A real etcd under 300 ms and pauses: the default settings, the advised ones, and leaders that are killed.

Usage (as root in the lab): python bench/etcd_lab.py [--minutes 10] [--kills 20] [--seed 1]

Debian's etcd-server, three members in namespaces of their own, 300 ms of round trip (log-normal, by the
userspace link), one member after the other stopped for 0.3 to 3 s, half of the time the leader: first with
the default settings while agents beside it measure, then with what `timeouts` advises, under the same pauses.
Then the leader is killed, over and over. Exit code 1 when the default settings do not flap, the advised ones
do, or a leader is replaced later than predicted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.etcd.experiment import Plan, run
from lab.etcd.pausing import Pausing
from lab.harness import Network


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each of both phases")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep everything there: etcd's logs, truechimer's store")
    options = parser.parse_args()
    began_s = time.perf_counter()

    def say(text: str) -> None:
        load = " ".join(f"{one:.1f}" for one in os.getloadavg())
        print(f"[{time.perf_counter() - began_s:5.0f} s, load {load}] {text}", flush=True)

    version = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True).stdout
    say(f"{version.splitlines()[0]}, {os.cpu_count()} cores")
    plan = Plan(60 * options.minutes, options.kills, Pausing(), options.seed, say)
    with tempfile.TemporaryDirectory(prefix="tc-etcd-") as folder, Network() as network:
        found = run(network, options.folder or Path(folder), plan)
    wrote_s = sorted(one.wrote_s for one in found.killed.replaced)
    within_s = (found.advice.failover_s or {}).get("max", found.budget.p999_s)
    late = sum(one_s > within_s for one_s in wrote_s)
    lost = sum(one.terms > 1 for one in found.killed.replaced)
    say(
        f"{len(wrote_s)} leaders replaced within {wrote_s[0]:.2f} to {wrote_s[-1]:.2f} s, mean "
        f"{statistics.fmean(wrote_s):.2f} s; {late} later than predicted; {lost} lost a round; "
        f"members that came back caused {found.killed.disturbed} elections"
    )
    good = found.default.changes >= 2 and not found.advised.changes and not late
    say("as it must be" if good else "NOT as it must be")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
