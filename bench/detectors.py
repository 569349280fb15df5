"""How long every detector takes over ten million probes, and how much memory: ``python bench/detectors.py``.

    python bench/detectors.py [--probes 10000000] [--overtaking]

Replay (deadlines or timeouts) and judgement (mistakes, detection time) are both counted, making the probes is
not. One process, one thread: the goal is of processor time, which is the elapsed time where a core is free.
"""

from __future__ import annotations

import argparse
import resource
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer import detectors as d

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL_S = 30.0
INTERVAL_S = 0.1


def probes(count: int, overtaking: bool) -> tuple[np.ndarray, np.ndarray]:
    """When each was sent and how long it took: exponential delays, bursts of them, stops, losses (NaN)."""
    rng = np.random.default_rng(11)
    delay_s = rng.exponential(0.002, count)
    delay_s += 0.001
    bursts = rng.integers(0, count, count // 20_000)
    for begin in bursts:
        delay_s[begin : begin + 200] += rng.exponential(0.05)
    for begin in rng.integers(0, count, max(1, count // 200_000)):
        # A stopped host: what waited arrives together.
        stop_s = min(200.0, 0.5 * (1 + rng.pareto(1.5)))
        some = delay_s[begin : begin + int(stop_s / INTERVAL_S)]
        some += np.maximum(0.0, stop_s - INTERVAL_S * np.arange(len(some)))
    sent_s = np.arange(count) * INTERVAL_S
    if overtaking:
        delay_s[rng.integers(0, count, count // 500)] += 0.15
    else:
        # Heartbeats on one connection: none arrives before those sent earlier.
        delay_s = np.maximum.accumulate(sent_s + delay_s) - sent_s
    delay_s[rng.integers(0, count, count // 1000)] = np.nan
    return sent_s, delay_s


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--probes", type=int, default=10_000_000)
    options.add_argument("--overtaking", action="store_true")
    args = options.parse_args()
    sent_s, delay_s = probes(args.probes, args.overtaking)
    made_gib = peak_gib()
    began, began_cpu = perf_counter(), process_time()
    heard = d.heartbeats(sent_s, sent_s + delay_s, INTERVAL_S)
    asked = d.Requests(sent_s, delay_s)
    _ = heard.fresh, asked.known, asked.replies_s
    print(f"{args.probes:,} probes, {len(heard.arrived_s):,} arrived, overtaking: {heard.fresh is not None}")
    print(f"{'order of arrival':38} {process_time() - began_cpu:7.2f} s")
    silent: list[d.Detector] = [
        d.Fixed(1.0),
        d.Akka(),
        d.Akka(pause_s=0.0, heartbeat_s=INTERVAL_S, min_deviation_s=0.001),
        d.Cassandra(),
        d.Cassandra(first_s=2 * INTERVAL_S),
        d.NfdS(0.2),
        d.NfdE(0.2),
        d.Bertier(),
        d.TwoWindow(0.2),
    ]
    for detector in silent:
        timed(detector.name, lambda detector=detector: beat(detector, heard))
    for request in (d.Fixed(1.0), d.Percentile(2.0), d.Jacobson()):
        timed(request.name + ", requests", lambda request=request: ask(request, asked))
    total_s, elapsed_s = process_time() - began_cpu, perf_counter() - began
    goal = f"goal {GOAL_S:g} s: {'met' if total_s <= GOAL_S else 'MISSED'}"
    print(f"{'total':38} {total_s:7.2f} s   {goal}; elapsed {elapsed_s:.2f} s")
    print(f"peak memory {peak_gib():.2f} GiB, of which the probes took {made_gib:.2f} GiB to make")


def beat(detector: d.Detector, heard: d.Heartbeats) -> str:
    found = d.judge(heard, detector.deadlines_s(heard))
    return f"{found.mistakes:8} mistakes, detection {found.detection_mean_s:.3f} s"


def ask(detector: d.RequestDetector, asked: d.Requests) -> str:
    found = d.judge_requests(asked, detector.timeouts_s(asked))
    return f"{found.mistakes:8} mistakes, timeout {found.timeout_mean_s:.3f} s"


def timed(name: str, replay: Callable[[], str]) -> None:
    began = process_time()
    found = replay()
    print(f"{name:38} {process_time() - began:7.2f} s   {found}")


if __name__ == "__main__":
    main()
