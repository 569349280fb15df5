"""No drift is claimed of a clock that is stepped, put to sleep or paused: by the agent's own samples."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import pytest
from agent.campaign.host import NS, Host, Month, SimulatedClocks, Steering, Stop
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore

from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.samples import Sample
from truechimer_agent.collecting import Observation
from truechimer_agent.collectors.wallclock import Wallclock
from truechimer_agent.hostclock import HostClock
from truechimer_analyzer.answers import answer

LENGTH_S = 420
ROUND_NS = NS // 4
FREQUENCY_PPM = 35.0
RECOVERY_S = 2.0


class Arriving(ArrayStore):
    """Samples that arrive when they are made: nobody sees what is later than ``now_s``."""

    def __init__(self, samples: list[Sample], arrived_s: list[float]) -> None:
        self._all = sorted(zip(arrived_s, range(len(samples)), samples, strict=True))
        super().__init__([], 0.0)

    def advance(self, now_s: float) -> None:
        known = [sample for arrived, _, sample in self._all if arrived <= now_s]
        super().__init__(known, now_s)


@dataclass
class Story:
    """A host whose W is disciplined to UTC's rate within 1 ppm, but for what happens to it."""

    stops: list[Stop]
    steerings: list[Steering]

    def samples(self, seed: int) -> tuple[list[Sample], list[float]]:
        """What the agent would send, and when (in true seconds after T0)."""
        rng = random.Random(seed)
        host = Host(
            Month(made.T0, 10**18, Leap.NONE),
            frequency_ppm=FREQUENCY_PPM,
            waves=[],
            stops=self.stops,
            steerings=[Steering(0, round(-FREQUENCY_PPM * 1000)), *self.steerings],
            wall_error_ns=200_000,
            raw_start_ns=1000 * NS,
        )
        clocks = SimulatedClocks(host, rng)
        clock = HostClock(clocks, None)
        told: list[Observation] = []
        collector = Wallclock(clock, told.append)
        samples: list[Sample] = []
        arrived_s: list[float] = []
        recovered_ns = 0

        def take(observation: Observation) -> None:
            true_s = host.true_ns(clocks.awake_ns) / NS
            samples.append(
                made.sample(observation.measurement, true_s, observation.fields, **observation.tags)
            )
            arrived_s.append(true_s)

        clock.on_epoch(lambda: told.append(self._bound(host, clock, clocks, BoundStatus.DISRUPTED)))
        asyncio.run(collector.open())
        for round_number in range(LENGTH_S * 4):
            clocks.awake_ns = round_number * ROUND_NS
            epoch = clock.steady().epoch
            told += asyncio.run(collector.collect())
            if clock.steady().epoch != epoch:
                recovered_ns = clocks.awake_ns + round(RECOVERY_S * NS)
            if clocks.awake_ns == recovered_ns or (
                round_number % 40 == 20 and clocks.awake_ns > recovered_ns
            ):
                told.append(self._bound(host, clock, clocks, BoundStatus.SYNCHRONIZED))
            for observation in told:
                take(observation)
            told.clear()
        asyncio.run(collector.close())
        return samples, arrived_s

    @staticmethod
    def _bound(host: Host, clock: HostClock, clocks: SimulatedClocks, status: BoundStatus) -> Observation:
        offset_s = (host.utc_ns(clocks.awake_ns) - host.wall_ns(clocks.awake_ns)) / NS
        good = status is BoundStatus.SYNCHRONIZED
        fields: dict[str, float | int] = {
            "status": int(status),
            "reason": int(BoundReason.NONE if good else BoundReason.DISRUPTED),
            "frequency_lower_ppm": -FREQUENCY_PPM - 2.0,
            "frequency_upper_ppm": -FREQUENCY_PPM + 2.0,
            "servers_used": 4,
            "servers_rejected": 0,
            "steady_seconds": clock.steady_now_ns() / NS,
            "epoch": clock.steady().epoch,
        }
        if good:
            fields |= {"lower_seconds": offset_s - 0.002, "upper_seconds": offset_s + 0.002}
        return Observation("truechimer_bound", clock.steady_now_ns(), fields)


def seen(story: Story, seed: int = 1) -> list[dict[str, Any]]:
    """The node's answers every 3 s."""
    samples, arrived_s = story.samples(seed)
    store = Arriving(samples, arrived_s)
    answers = []
    now_s = 1.0
    while now_s < arrived_s[-1] + 3:
        store.advance(now_s)
        answers += answer("clocks", {}, store)["nodes"]  # type: ignore[arg-type, operator]
        now_s += 3.0 if now_s > arrived_s[-1] - 900 else 30.0
    return answers


def drifting(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        flag for node in answers for flag in [*node["flags"], *node["pending"]] if flag["flag"] == "drifting"
    ]


def steered(at_s: float, ppm: float, step_s: float = 0.0) -> Steering:
    """W ``ppm`` off UTC's rate from then on, after a step."""
    return Steering(round(at_s * NS), round((ppm - FREQUENCY_PPM) * 1000), round(step_s * NS))


def test_a_drift_is_found_by_these_samples() -> None:
    """The control: 150 ppm are flagged within a minute."""
    answers = seen(Story([], [steered(100, 150)]))
    assert drifting(answers)
    assert answers[-1]["state"] == "drifting"


@pytest.mark.parametrize("step_s", [20e-6, 0.001, -0.001, 0.5, -0.5, 3600.0, -3600.0])
def test_no_drift_before_or_after_a_step(step_s: float) -> None:
    answers = seen(Story([], [steered(103.3, 0.0, step_s), steered(217.9, 0.0, -step_s)]))
    assert drifting(answers) == []
    assert [event["kind"] for event in answers[-1]["events"]].count("step") == 2
    assert "stepped" in {flag["flag"] for flag in answers[-1]["flags"]}


@pytest.mark.parametrize("length_s", [0.3, 5.0, 600.0, 7200.0])
@pytest.mark.parametrize("traced", [True, False])
def test_no_drift_before_during_or_after_a_suspend_or_a_pause(length_s: float, traced: bool) -> None:
    stops = [Stop(round(at_s * NS), round(length_s * NS), traced) for at_s in (103.3, 131.0)]
    answers = seen(Story(stops, []))
    assert drifting(answers) == []
    kinds = [event["kind"] for event in answers[-1]["events"]]
    if length_s < 3000:
        assert kinds.count("suspend") == (2 if traced else 0)


def test_no_drift_from_a_fast_slew_between_steps() -> None:
    """8 % for two seconds, as chrony does, and a step right after a suspend."""
    steerings = [steered(100, 80_000), steered(102, 0.0), steered(150.2, 0.0, 0.3)]
    assert drifting(seen(Story([Stop(150 * NS, 5 * NS, True)], steerings))) == []
