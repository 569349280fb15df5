"""NTP blocked by a firewall: when it is told, how fast the bound grows meanwhile, and whether it holds.

Usage: python bench/holdover.py [--simulated 100] [--lab] [--warm-up 180] [--blocked 180] [--interval 16]

Simulated: hosts whose oscillators wander, an hour of good polls every 16 s, then 30 minutes of silence; true
time is known, and looked for in the bound every 10 s. --lab (as root, after .ci/install-lab): four real
chronyd servers, a real agent and analyzer, and an nftables rule that drops the replies; all hosts share one
kernel clock, so the true offset is 0.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from agent.holdover import hold
from lab.harness import Firewall, Network, wait_until
from lab.harness.clocks import monotonic_s, wall_ns
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
MAX_DRIFT_PPM = 500.0
FIELDS = ("lower_seconds", "upper_seconds", "frequency_lower_ppm", "frequency_upper_ppm", "status")
HOLDOVER = 2
EVERY_S = 5.0


def simulated(hosts: int) -> bool:
    """Print what the hosts of seeds 0, 1, … fared; whether every bound held the truth."""
    held = [hold(seed) for seed in range(hosts)]
    measured, growth = [each.measured_ppm for each in held], [each.growth_ppm for each in held]
    checks, misses = sum(each.checks for each in held), sum(each.misses for each in held)
    unbounded = sum(each.unbounded for each in held)
    print(f"{hosts} simulated hosts: 1 h of polls every 16 s, then 30 min of silence")
    print(f"  told after {spread([each.told_s for each in held], 1, 's')}: {held[0].told_s / 16:.1f} polls")
    print(f"  frequency bounds are {spread(measured, 2, 'ppm')} apart when silence begins")
    print(f"  the bound grows by   {spread(growth, 2, 'ppm')}; by max_drift_ppm it would be 1000")
    widths_ms = [1e3 * each.width_s for each in held]
    print(f"  width after 30 min   {spread(widths_ms, 1, 'ms')}; it would be 1800 ms")
    print(f"  {checks} looks: the truth was outside of {misses} bounds, and {unbounded} times there was none")
    return not misses and not unbounded


def spread(values: list[float], digits: int, unit: str) -> str:
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


def real(warm_up_s: float, blocked_s: float, interval_s: float) -> bool:
    """Print what one real agent told while a rule dropped its servers' replies."""
    with (
        tempfile.TemporaryDirectory() as name,
        Network() as network,
        Fleet(network, Path(name), [0.0, 0.0, 0.0, 0.0]) as fleet,
    ):

        def node() -> dict[str, Any]:
            nodes = fleet.host.request("GET", f"{URL}/api/v1/clocks").json()["nodes"]
            return dict(nodes[0]) if nodes else {}

        fleet.analyzer()
        config = agent_toml(
            Path(name) / "agent", node="n1", servers=fleet.addresses, sinks=[URL], interval_s=interval_s
        )
        fleet.agent(config)
        wait_until(lambda: node().get("status") == "synchronized", "the first bound")
        time.sleep(warm_up_s)
        began_s = monotonic_s()
        misses = looks = 0
        with Firewall(fleet.host, "replies"):
            wait_until(lambda: node()["state"] == "sources_blocked", "sources_blocked", timeout_s=120)
            told_s, told_at_s = monotonic_s() - began_s, wall_ns() / 1e9
            while monotonic_s() - began_s < blocked_s:
                found = node()
                looks += 1
                held = found["lower_s"] is not None and found["lower_s"] <= 0 <= found["upper_s"]
                misses += not held or found["state"] != "sources_blocked"
                time.sleep(EVERY_S)
        path = f"/api/v1/series?measurement=truechimer_bound&fields={','.join(FIELDS)}&since=1h"
        (series,) = fleet.host.request("GET", URL + path).json()["series"]
        path = "/api/v1/series?measurement=truechimer_ntp&fields=reach&since=1h&tag.server="
        (polls,) = fleet.host.request("GET", f"{URL}{path}{fleet.addresses[0]}").json()["series"]
    print(f"real agent, polls every {interval_s:g} s, replies dropped by nftables")
    lost = lost_polls(polls, told_at_s)
    print(f"  sources_blocked after {told_s:.1f} s: {lost} polls of the first server had been lost")
    return report(series, looks, misses)


def lost_polls(series: dict[str, Any], until_s: float) -> int:
    """How many polls in a row had no answer when it was told, by the reach register."""
    reach = [
        int(reach)
        for at_s, reach in zip(series["time_s"], series["fields"]["reach"], strict=True)
        if at_s <= until_s
    ]
    return (reach[-1] & -reach[-1]).bit_length() - 1 if reach[-1] else 8


def report(series: dict[str, Any], looks: int, misses: int) -> bool:
    """Print the growth between the shipped bounds; whether all was well."""
    rows = list(zip(series["time_s"], *(series["fields"][name] for name in FIELDS), strict=True))
    held = [row for row in rows if row[5] == HOLDOVER]
    print("  seconds    width   grown by  measured")
    before = held[0]
    for row in held[1:]:
        width_s, seconds = row[2] - row[1], row[0] - before[0]
        grown_ppm = (width_s - (before[2] - before[1])) / seconds * 1e6
        at_s = row[0] - held[0][0]
        print(f"  {at_s:7.0f} {width_s * 1e3:7.3f} ms {grown_ppm:6.1f} ppm {row[4] - row[3]:6.1f} ppm")
        before = row
    first, last = held[0], held[-1]
    growth_ppm = ((last[2] - last[1]) - (first[2] - first[1])) / (last[0] - first[0]) * 1e6
    print(f"  all in all {growth_ppm:.1f} ppm; by max_drift_ppm it would be {2 * MAX_DRIFT_PPM:g}")
    print(f"  {looks} looks at the analyzer's answer, {misses} without the truth or without the flag")
    return not misses and growth_ppm < MAX_DRIFT_PPM


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--simulated", type=int, default=100, metavar="HOSTS")
    parser.add_argument("--lab", action="store_true")
    parser.add_argument("--warm-up", type=float, default=180.0, metavar="S")
    parser.add_argument("--blocked", type=float, default=180.0, metavar="S")
    parser.add_argument("--interval", type=float, default=16.0, metavar="S")
    options = parser.parse_args()
    well = simulated(options.simulated) if options.simulated else True
    if options.lab:
        well = real(options.warm_up, options.blocked, options.interval) and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
