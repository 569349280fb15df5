"""What happens to a mesh's clocks while it is recorded: drifts that wander, steps, slews, blocked NTP."""

import math
import random
import threading
from contextlib import ExitStack
from dataclasses import dataclass

from lab.harness import Firewall, Mesh, monotonic_s, wall_ns

WANDER_PPM = 2.0
MOST_DRIFT_PPM = 150.0


@dataclass(frozen=True, slots=True)
class Disturbances:
    """Every how many seconds some node's W is stepped, its oscillator wanders, its W begins to be slewed.

    `never`: the node whose NTP is blocked from before its agent's start; `blocked`: one that loses it after
    `blocked_after_s`.
    """

    step_every_s: float = 20.0
    wander_every_s: float = 10.0
    slew_every_s: float = math.inf
    largest_step_s: float = 2.0
    never: str | None = None
    blocked: str | None = None
    blocked_after_s: float = 30.0

    @property
    def without_ntp(self) -> set[str | None]:
        """The nodes without it, at some time."""
        return {self.never, self.blocked}


@dataclass(slots=True)
class Happened:
    """From when to when (Unix ns) it was recorded, from when on NTP was blocked; how often what was done."""

    began_ns: int
    ended_ns: int = 0
    blocked_ns: int = 0
    steps: int = 0
    slews: int = 0


def drifting(mesh: Mesh, rng: random.Random) -> dict[str, float]:
    """Give every node's oscillator an error of its own; by name, in ppm."""
    drifts = {name: rng.uniform(-MOST_DRIFT_PPM, MOST_DRIFT_PPM) for name in mesh.nodes}
    for name, ppm in drifts.items():
        mesh.nodes[name].clock.drift(ppm)
    return drifts


def disturb(
    mesh: Mesh, seconds: float, rng: random.Random, drifts: dict[str, float], plan: Disturbances
) -> Happened:
    """Let things happen to a running mesh for so long."""
    pause = threading.Event()
    began_s = monotonic_s()
    happened = Happened(wall_ns())
    due = {
        "step": rng.uniform(0, plan.step_every_s),
        "wander": plan.wander_every_s,
        "slew": plan.slew_every_s,
    }
    with ExitStack() as rules:
        while (at_s := monotonic_s() - began_s) < seconds:
            clock = mesh.nodes[name := rng.choice(list(mesh.nodes))].clock
            if at_s >= due["step"]:
                due["step"] = at_s + rng.uniform(0.5, 1.5) * plan.step_every_s
                size_s = plan.largest_step_s * 10 ** rng.uniform(-3, 0) * rng.choice((-1, 1))
                # Back to where it was, once it has gone too far.
                far = abs(clock.shift_ns / 1e9 + size_s) > plan.largest_step_s
                clock.step_ns(round(-clock.shift_ns if far else size_s * 1e9))
                happened.steps += 1
            elif at_s >= due["wander"]:
                due["wander"] = at_s + plan.wander_every_s
                clock.drift(drifts[name] + rng.uniform(-WANDER_PPM, WANDER_PPM))
            elif at_s >= due["slew"]:
                due["slew"] = at_s + plan.slew_every_s
                clock.slew(rng.choice((0.0, rng.uniform(-450, 450))))
                happened.slews += 1
            if plan.blocked and not happened.blocked_ns and at_s >= plan.blocked_after_s:
                rules.enter_context(Firewall(mesh.nodes[plan.blocked].host, "replies"))
                happened.blocked_ns = wall_ns()
            pause.wait(0.05)
    happened.ended_ns = wall_ns()
    return happened
