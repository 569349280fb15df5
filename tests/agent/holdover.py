"""An hour of good polls, then silence: how fast the bound grows, and whether it still holds the truth."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from agent.simulation import S0, Server, Simulation

SECOND = 10**9
DAY_S = 86_400.0


class Wandering(Simulation):
    """An oscillator with a constant error, a daily wave of up to 2 ppm and a faster one of up to 1 ppm."""

    def __init__(self, rng: random.Random, servers: list[Server]) -> None:
        super().__init__(rng, servers, x_ns=rng.randrange(10**9), frequency_ppm=rng.uniform(-200, 200))
        self.waves = [
            (rng.uniform(0, 2), DAY_S, rng.uniform(0, math.tau)),
            (rng.uniform(0, 1), rng.uniform(600, 3600), rng.uniform(0, math.tau)),
        ]

    def truth_ns(self, steady_ns: int) -> float:
        """UTC − S at that S."""
        at_s = (steady_ns - S0) / SECOND
        waved_ns = sum(
            ppm
            * 1000
            * period_s
            / math.tau
            * (math.cos(phase) - math.cos(math.tau * at_s / period_s + phase))
            for ppm, period_s, phase in self.waves
        )
        return float(super().truth_ns(steady_ns)) + waved_ns


@dataclass(frozen=True)
class Held:
    """What the silence brought: when it was told, how fast the bound grew, where it missed the truth.

    ``measured_ppm`` is how far the frequency bounds were apart when the silence began.
    """

    told_s: float
    measured_ppm: float
    growth_ppm: float
    width_s: float
    checks: int
    misses: int
    unbounded: int


def hold(seed: int, *, good_s: float = 3600.0, blocked_s: float = 1800.0, interval_s: float = 16.0) -> Held:
    """Four servers polled for ``good_s``, then blocked; looked at every 10 s and at the end of every poll."""
    rng = random.Random(seed)
    simulation = Wandering(rng, [Server(f"s{number}") for number in range(4)])
    interval_ns = round(interval_s * SECOND)
    while simulation.now_ns < S0 + good_s * SECOND:
        before = simulation.round(burst=4, interval_ns=interval_ns)
    began_ns = simulation.now_ns
    for server in simulation.servers:
        server.silent = True
    told_s = math.nan
    checks = misses = unbounded = 0
    bound = before
    for second in range(10, round(blocked_s) + 1, 10):
        while simulation.now_ns + interval_ns <= began_ns + second * SECOND:
            bound = simulation.round(burst=2, interval_ns=interval_ns)
            if math.isnan(told_s) and bound.status.name == "HOLDOVER":
                told_s = (simulation.now_ns - began_ns) / SECOND
        bound = simulation.estimator.at(max(simulation.now_ns, began_ns + second * SECOND))
        checks += 1
        unbounded += bound.interval is None
        misses += bound.interval is not None and not simulation.contains_truth(bound)
    width_ns = bound.interval.width_ns if bound.interval else math.nan
    elapsed_s = (bound.steady_ns - before.steady_ns) / SECOND
    return Held(
        told_s,
        (before.drift.upper_ppb - before.drift.lower_ppb) / 1000,
        (width_ns - before.interval.width_ns) / elapsed_s / 1000,
        width_ns / SECOND,
        checks,
        misses,
        unbounded,
    )
