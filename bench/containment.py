"""Five real chronyd servers, one 37 ms off, both cores loaded: it is named, and every interval holds.

Usage (as root, after .ci/install-lab): python bench/containment.py [--rounds 200]

Each round runs `truechimer agent once --json` and `truechimer clocks --json` on a host of the lab. All hosts
share one kernel clock, so the true offset is 0 and every [lower_s, upper_s] must contain it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.harness import CpuLoad, Network, truechimer, wait_until
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

URL = f"http://127.0.0.1:{ANALYZER_PORT}"


def verdicts(servers: list[dict[str, Any]]) -> dict[str, str]:
    return {server["server"]: server["verdict"] for server in servers}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    misses = misnamed = 0
    widths: dict[str, list[float]] = {"agent once": [], "clocks": []}
    with tempfile.TemporaryDirectory() as name, Network() as network:
        folder = Path(name)
        with Fleet(network, folder, [0.0, 0.0, 0.0, 0.0, 0.037]) as fleet:
            *honest, liar = fleet.addresses
            expected = dict.fromkeys(honest, "selected") | {liar: "falseticker"}
            fleet.analyzer()
            config = agent_toml(folder / "agent", node="n1", servers=fleet.addresses, sinks=[URL])
            fleet.agent(config)

            def node() -> dict[str, Any]:
                answer = truechimer(fleet.host, "clocks", "--store", URL, "--json", check=True).json
                return dict(answer["nodes"][0]) if answer["nodes"] else {}

            wait_until(lambda: verdicts(node().get("servers", [])) == expected, "the first verdicts")
            with CpuLoad(fleet.host, os.cpu_count() or 1, folder):
                for _ in range(options.rounds):
                    once = truechimer(
                        fleet.host, "agent", "once", "--config", str(config), "--json", check=True
                    ).json
                    stored = node()
                    for what, bound, servers in (
                        ("agent once", once["bound"], once["servers"]),
                        ("clocks", stored, stored["servers"]),
                    ):
                        misnamed += verdicts(servers) != expected
                        contains = bound["lower_s"] is not None and bound["lower_s"] <= 0 <= bound["upper_s"]
                        misses += not contains
                        if contains:
                            widths[what].append(bound["upper_s"] - bound["lower_s"])
    print(f"{options.rounds} rounds of both commands, {os.cpu_count()} cores loaded")
    for what, seen in widths.items():
        print(f"{what}: median width {statistics.median(seen) * 1e6:.0f} µs, widest {max(seen) * 1e6:.0f} µs")
    print(f"intervals that miss the truth or are absent: {misses}; rounds with a wrong verdict: {misnamed}")
    return 1 if misses or misnamed else 0


if __name__ == "__main__":
    sys.exit(main())
