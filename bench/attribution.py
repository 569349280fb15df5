"""Is each pause found, and its cause told right? Stops caused on purpose, held against what was told of them.

Usage: python bench/attribution.py [--each 30] [--only NAME ...] [--seed N] [--show]

Run as root. A stop of at least two intervals must be seen, an interval being what the collector itself told
(on a busy machine the watch looks less often than asked, and says so); of all that was seen while a cause
was at work, 95 % must be told right over all causes and 90 % for each, and no wrong cause with a confidence
above 0.9 (``unknown`` is not right, but not wrong either). What this machine does not allow is named as not
run.
The exit code is 1 when any of that is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import attribution_causes
import attribution_swap
import attribution_victims
from agent.listeninghost import ListeningHost
from attribution_causes import NotRunError, Scenario, Subject, Truth

from truechimer.codes import Cause
from truechimer.config.model import PausesConfig
from truechimer_agent.collectors.stalls import Stalls

if TYPE_CHECKING:
    from truechimer_agent.collecting import Observation

SCENARIOS = (*attribution_causes.SCENARIOS, *attribution_swap.SCENARIOS, *attribution_victims.SCENARIOS)
CERTAIN = 0.9
OVERALL, EACH = 0.95, 0.9
NS = 1e9


@dataclass(slots=True)
class Judged:
    """What was told of one scenario's stops."""

    scenario: Scenario
    told: Counter[str] = field(default_factory=Counter)
    injected: int = 0
    long: int = 0
    found: int = 0
    wrong_certain: int = 0
    interval_s: float = 0.0
    not_run: str = ""
    details: list[str] = field(default_factory=list)

    @property
    def right(self) -> int:
        return sum(number for cause, number in self.told.items() if cause in self.scenario.causes)

    @property
    def total(self) -> int:
        return sum(self.told.values())

    @property
    def is_met(self) -> bool:
        """Nothing seen at all is not met."""
        enough = self.total > 0 and self.right >= EACH * self.total
        return enough and self.found == self.long and not self.wrong_certain


def judge(
    scenario: Scenario, truths: list[tuple[float, float]], pauses: list[Observation], interval_s: float
) -> Judged:
    """Pauses by the truths that they overlap; ``truths`` are (start, end) in seconds of S.

    A truth is held against the pause that covers most of it; in a storm every pause counts.
    """
    is_exact = scenario.kind == "exact"
    judged = Judged(scenario, injected=len(truths), interval_s=interval_s)
    for start_s, end_s in truths:
        near = [(overlap_s(pause, start_s, end_s), pause) for pause in pauses]
        near = [(covered_s, pause) for covered_s, pause in near if covered_s > 0]
        if is_exact and end_s - start_s >= 2 * interval_s:
            judged.long += 1
            judged.found += bool(near)
        if scenario.kind != "storm":
            near = sorted(near, key=lambda each: -each[0])[:1]
        for _covered_s, pause in near:
            cause, confidence = pause.tags["cause"], float(pause.fields["confidence_ratio"])
            judged.told[cause] += 1
            is_right = cause in scenario.causes
            judged.wrong_certain += not is_right and confidence > CERTAIN
            if not is_right:
                judged.details.append(f"{cause} {confidence:.2f} {rounded(pause.fields)}")
    return judged


def rounded(fields: dict[str, float | int]) -> dict[str, float]:
    """A pause's evidence, to print."""
    left_out = ("steady_seconds", "epoch", "confidence_ratio", "interval_seconds")
    return {name: round(value, 3) for name, value in fields.items() if name not in left_out and value}


def overlap_s(pause: Observation, start_s: float, end_s: float) -> float:
    """How much of a stretch a pause covers."""
    began_s = float(pause.fields["steady_seconds"])
    return min(end_s, began_s + float(pause.fields["duration_seconds"])) - max(start_s, began_s)


async def by_meter(host: ListeningHost, scenario: Scenario, each: int, rng: random.Random) -> list[Truth]:
    """Stops of a stall meter."""
    stalls = Stalls(host, PausesConfig())
    await stalls.open()
    loop = asyncio.get_running_loop()
    try:
        assert stalls.meter_pid is not None
        await asyncio.sleep(1)
        subject = Subject(
            stalls.meter_pid,
            lambda: asyncio.run_coroutine_threadsafe(stalls.collect(), loop).result(),
        )
        truths: list[Truth] = await asyncio.to_thread(scenario.inject, subject, each, rng)
        await asyncio.sleep(0.3)
    finally:
        await stalls.close()
    return truths


async def run(scenario: Scenario, each: int, rng: random.Random) -> Judged:
    """One scenario with a meter or another collector of its own."""
    host = ListeningHost()
    try:
        if scenario.watch is not None:
            truths = await scenario.watch(host, each, rng)
        else:
            truths = await by_meter(host, scenario, each, rng)
    except NotRunError as why:
        return Judged(scenario, not_run=str(why))
    stretches = [
        (host.steady_of_mono_ns(truth.start_ns) / NS, host.steady_of_mono_ns(truth.end_ns) / NS)
        for truth in truths
    ]
    pauses = [
        pause
        for pause in host.of("truechimer_pause")
        if scenario.runtime is None or pause.tags["runtime"] == scenario.runtime
    ]
    return judge(scenario, stretches, pauses, told_interval_s(host))


def told_interval_s(host: ListeningHost) -> float:
    """How far apart the looks were by the collector's own word; at least what was asked for."""
    windows = host.of("truechimer_pause_window")
    told_s = [float(window.fields.get("interval_seconds", 0.0)) for window in windows]
    return max(told_s, default=0.0) or PausesConfig().interval_ms / 1e3


def report(results: list[Judged]) -> bool:
    """The confusion matrix and what is asked of it; whether all is met."""
    causes = [cause for cause in Cause if any(result.told[cause] for result in results)]
    columns = "".join(f"{cause:>10}" for cause in causes)
    print(f"{'caused':26}{columns}   right  found/long  wrong>0.9  interval")
    for result in results:
        name = f"{result.scenario.name:26}"
        if result.not_run:
            print(f"{name}not run: {result.not_run}")
            continue
        share = f"{result.right / result.total:8.1%}" if result.total else "       -"
        recall = (
            f"{result.found:6}/{result.long}"
            if result.scenario.kind == "exact"
            else f"({result.scenario.kind})"
        )
        told = "".join(f"{result.told[cause]:10}" for cause in causes)
        met = "MET" if result.is_met else "NOT MET"
        interval = f"{result.interval_s * 1e3:7.1f} ms"
        print(f"{name}{told}{share}{recall:>12}{result.wrong_certain:11}{interval}  {met}")
    ran = [result for result in results if not result.not_run]
    total = sum(result.total for result in ran)
    right = sum(result.right for result in ran)
    asked = {
        f"pauses of two intervals found: {sum(r.found for r in ran)} of {sum(r.long for r in ran)}": all(
            result.found == result.long for result in ran
        ),
        f"right cause: {right} of {total}": total > 0 and right >= OVERALL * total,
        "right cause for each: 90 %": all(r.total and r.right >= EACH * r.total for r in ran),
        f"wrong with confidence above {CERTAIN}: {sum(r.wrong_certain for r in ran)}": not any(
            result.wrong_certain for result in ran
        ),
    }
    for text, is_met in asked.items():
        print(f"{text}: {'MET' if is_met else 'NOT MET'}")
    return all(asked.values())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--only", nargs="*", default=[], help="scenarios whose names contain one of these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print the evidence of what was not told right")
    options = parser.parse_args()
    results = []
    for scenario in SCENARIOS:
        if options.only and not any(part in scenario.name for part in options.only):
            continue
        rng = random.Random(f"{options.seed} {scenario.name}")
        result = asyncio.run(run(scenario, options.each, rng))
        print(f"{scenario.name}: {result.total} pauses judged", file=sys.stderr)
        if options.show:
            print("\n".join(f"  {line}" for line in result.details[:40]), file=sys.stderr)
        results.append(result)
    return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
