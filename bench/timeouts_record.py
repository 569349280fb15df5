"""Records round trips of a real ping through the lab's disturbed links, for bench/timeouts_quality.py.

Usage (as root in the lab): python bench/timeouts_record.py FOLDER [--seconds 300] [--rate 100] [--seed 1]

lab-network.csv.gz: a link whose delay, loss or rate changes every 20 s or so: log-normal, heavy-tailed,
ten times as slow, losses of 2 %, a queue that fills. lab-pauses.csv.gz: a steady link that stands still now
and then for 30 ms to 3 s, as a stopped host does: what was sent meanwhile comes together afterwards.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.harness import Network
from lab.harness.delays import LogNormal, Pareto

from truechimer_analyzer.importing.asking import Wish
from truechimer_analyzer.importing.columns import columns
from truechimer_analyzer.importing.lines import blocks_of
from truechimer_analyzer.importing.placing import Tally, placed

if TYPE_CHECKING:
    from lab.harness.link import Link
    from lab.harness.network import Host

    from truechimer_analyzer.stores import Columns

QUIET = LogNormal(median_s=0.0005, sigma=0.5)
LAWS: tuple[dict[str, object], ...] = (
    {"delay": QUIET},
    {"delay": LogNormal(median_s=0.005, sigma=0.8)},
    {"delay": Pareto(scale_s=0.001, shape=2.2)},
    {"delay": QUIET, "loss": 0.02},
    {"delay": QUIET, "rate_bps": 70_000, "queue_bytes": 20_000},
)
CHANGE_EVERY_S, STOP_EVERY_S = 20.0, 12.0


def change(link: Link, until_s: float, rng: np.random.Generator) -> None:
    """Another law every 20 s or so; the quiet one half of the time."""
    while time.monotonic() < until_s:
        law = LAWS[0] if rng.random() < 0.5 else LAWS[rng.integers(1, len(LAWS))]
        link.set(**({"loss": 0.0, "rate_bps": None} | law))
        time.sleep(float(rng.uniform(0.5, 1.5)) * CHANGE_EVERY_S)


def stop(link: Link, until_s: float, rng: np.random.Generator) -> None:
    """The program that carries the packets stops."""
    link.set(delay=QUIET)
    carrier = link._process
    assert carrier is not None
    while time.monotonic() < until_s:
        time.sleep(float(rng.exponential(STOP_EVERY_S)))
        carrier.signal(signal.SIGSTOP)
        time.sleep(min(3.0, 0.03 * float(1 + rng.pareto(1.0))))
        carrier.signal(signal.SIGCONT)


def ping(host: Host, address: str, seconds: float, rate_hz: float, log: Path) -> None:
    """All replies with their times, as iputils prints them."""
    count = round(seconds * rate_hz)
    told = host.run(
        *("ping", "-D", "-n", "-i", f"{1 / rate_hz:g}", "-c", str(count), "-W", "10", address),
        check=False,
        timeout_s=seconds + 60,
    )
    log.write_text(told.stdout)


def probes_of(log: Path) -> Columns:
    """What `truechimer import` makes of it."""
    wish = Wish("ping")
    with blocks_of(log) as blocks:
        (found,) = columns(placed(wish.parse(blocks), Tally()), wish.labels())
    return found


def write(path: Path, probes: Columns) -> None:
    """Epoch seconds and milliseconds; empty where lost."""
    order = np.argsort(probes.time_ns, kind="stable")
    with gzip.open(path, "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("time", "rtt_ms"))
        for row in order.tolist():
            rtt_ms = 1e3 * float(probes.fields["rtt_seconds"][row])
            rows.writerow((f"{probes.time_ns[row] / 1e9:.6f}", "" if np.isnan(rtt_ms) else f"{rtt_ms:.3f}"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--rate", type=float, default=100.0)
    options.add_argument("--seed", type=int, default=1)
    args = options.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with Network() as network:
        here = network.host("here")
        threads = []
        for number, (name, disturb) in enumerate((("lab-network", change), ("lab-pauses", stop))):
            link = network.link(here, network.host(name), seed=args.seed + number)
            until_s = time.monotonic() + args.seconds
            log = args.folder / f"{name}.txt"
            rng = np.random.default_rng([args.seed, number])
            threads += [
                threading.Thread(target=disturb, args=(link, until_s, rng), daemon=True),
                threading.Thread(target=ping, args=(here, link.far_address, args.seconds, args.rate, log)),
            ]
        for thread in threads:
            thread.start()
        for thread in threads[1::2]:
            thread.join()
    for name in ("lab-network", "lab-pauses"):
        found = probes_of(args.folder / f"{name}.txt")
        write(args.folder / f"{name}.csv.gz", found)
        lost = int(np.isnan(found.fields["rtt_seconds"]).sum())
        print(f"{name}: {len(found)} probes, {lost} lost")


if __name__ == "__main__":
    main()
