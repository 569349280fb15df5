"""A mesh of clocks whose truth is known: oscillators, wall clocks, delays, and the bounds that rounds give.

Times are seconds of true time; y is S − UTC of each node (index 0 is UTC, y = 0). Rates are within each
node's stated bounds and often at their ends. Every second each node exchanges with its peers at some moment
of that second; what was learnt is aged by the stated bounds of both oscillators and kept while it is tighter
than what comes after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.skew.constraints import Constraints

if TYPE_CHECKING:
    from analyzer.skewsim.lies import Lie

ROUND_S = 1.0
POLL_ROUNDS = 16
PPM = 1e-6


@dataclass
class World:
    """``blocked`` nodes never hear of UTC; ``lie`` changes what one node says."""

    rng: np.random.Generator
    nodes: int
    degree: int
    blocked: frozenset[int] = frozenset()
    lie: Lie | None = None
    peer_delay_s: tuple[float, float] = (10e-6, 60e-6)
    server_delay_s: tuple[float, float] = (1e-3, 8e-3)
    loss: float = 0.05
    now_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        rng, count = self.rng, self.nodes + 1
        self.y_s = np.append(0.0, rng.uniform(-2, 2, self.nodes))
        middle_ppm = np.append(0.0, rng.uniform(-50, 50, self.nodes))
        self.rate_lower, self.rate_upper = (middle_ppm - 2) * PPM, (middle_ppm + 2) * PPM
        self.rate_lower[0] = self.rate_upper[0] = 0.0
        self.rate = rng.uniform(self.rate_lower, self.rate_upper)
        self.wall_s = -self.y_s + np.append(0.0, rng.uniform(-5e-3, 5e-3, self.nodes))
        self.wall_rate = np.zeros(count)
        self.wall_lower_s, self.wall_upper_s = self.wall_s.copy(), self.wall_s.copy()
        peers = [
            (node, peer)
            for node in range(1, count)
            for peer in rng.permutation([other for other in range(1, count) if other != node])[: self.degree]
        ]
        heard = [(0, node) for node in range(1, count) if node not in self.blocked]
        # An exchange (a, b) bounds y_b − y_a.
        self.a, self.b = (np.array(each, dtype=np.intp) for each in zip(*peers, *heard, strict=True))
        self.lower_s = np.full(len(self.a), -np.inf)
        self.upper_s = np.full(len(self.a), np.inf)

    def round(self) -> Constraints:
        """A second passes. What is kept then, true at the end of it unless somebody lies."""
        began_s, at_s = self.y_s.copy(), self.rng.uniform(0.2, 0.9, len(self.a))
        lower_s, upper_s = self._exchanges(began_s, at_s)
        self.now_s += ROUND_S
        self.y_s = began_s + self.rate * ROUND_S
        self._walls()
        self.lower_s = np.maximum(self._aged(self.lower_s, ROUND_S, lower=True), lower_s)
        self.upper_s = np.minimum(self._aged(self.upper_s, ROUND_S, lower=False), upper_s)
        self._wander()
        tail, head = np.append(self.a, self.b), np.append(self.b, self.a)
        return Constraints.of(self.nodes + 1, tail, head, np.append(self.upper_s, -self.lower_s))

    def _aged(self, bound_s: np.ndarray, age_s: np.ndarray | float, *, lower: bool) -> np.ndarray:
        """A bound of y_b − y_a after ``age_s``, by the stated rates."""
        if lower:
            return bound_s + age_s * (self.rate_lower[self.b] - self.rate_upper[self.a])
        return bound_s + age_s * (self.rate_upper[self.b] - self.rate_lower[self.a])

    def _exchanges(self, began_s: np.ndarray, sent_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the exchanges of this round, sent ``sent_s`` after its beginning, say at its end."""
        rng, a, b = self.rng, self.a, self.b
        server = a == 0
        least = np.where(server, self.server_delay_s[0], self.peer_delay_s[0])
        most = np.where(server, self.server_delay_s[1], self.peer_delay_s[1])
        # Each way its own delay, now and then a long queue.
        there, back, stay = (
            rng.uniform(least, most) * np.where(rng.uniform(size=len(a)) < 0.05, 10, 1) for _ in range(3)
        )
        t1, t2 = sent_s, sent_s + there
        t3, t4 = t2 + stay, t2 + stay + back
        upper_s = began_s[b] + self.rate[b] * t2 - began_s[a] - self.rate[a] * t1 + there
        lower_s = began_s[b] + self.rate[b] * t3 - began_s[a] - self.rate[a] * t4 - back
        if self.lie is not None:
            shift_s = self.lie.shift_s(a, b, self.now_s + sent_s)
            upper_s, lower_s = upper_s + shift_s, lower_s + shift_s
        # T2 − s1 was true of b at t2 and a at t1, T3 − s4 of b at t3 and a at t4.
        upper_s += (ROUND_S - t2) * self.rate_upper[b] - (ROUND_S - t1) * self.rate_lower[a]
        lower_s += (ROUND_S - t3) * self.rate_lower[b] - (ROUND_S - t4) * self.rate_upper[a]
        missing = rng.uniform(size=len(a)) < self.loss
        missing |= server & ((int(self.now_s) + b) % POLL_ROUNDS != 0) & (self.now_s > 0)
        return np.where(missing, -np.inf, lower_s), np.where(missing, np.inf, upper_s)

    def _walls(self) -> None:
        """W − S moves, sometimes by a step; told are its least and most over the round, widened a little."""
        rng, before_s = self.rng, self.wall_s.copy()
        self.wall_s = before_s + self.wall_rate * ROUND_S
        stepped = rng.uniform(size=len(before_s)) < 0.01
        self.wall_s += np.where(stepped, rng.uniform(-0.1, 0.1, len(before_s)), 0.0)
        self.wall_s[0] = 0.0
        read_s = rng.uniform(0, 1e-6, (2, len(before_s)))
        self.wall_lower_s = np.minimum(before_s, self.wall_s) - read_s[0]
        self.wall_upper_s = np.maximum(before_s, self.wall_s) + read_s[1]

    def _wander(self) -> None:
        """Rates change, often to an end of what is stated; slews begin and end."""
        rng, count = self.rng, self.nodes + 1
        moved = self.rate + rng.normal(0, 0.3 * PPM, count)
        extreme = rng.uniform(size=count)
        moved = np.where(extreme < 0.02, self.rate_lower, np.where(extreme > 0.98, self.rate_upper, moved))
        self.rate = np.clip(moved, self.rate_lower, self.rate_upper)
        anew = rng.uniform(size=count) < 0.05
        self.wall_rate = np.where(anew, rng.uniform(-500, 500, count) * PPM, self.wall_rate)

    @property
    def wall_error_s(self) -> np.ndarray:
        """W − UTC, the truth."""
        return self.y_s + self.wall_s
