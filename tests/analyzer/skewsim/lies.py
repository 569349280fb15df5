"""Ways to lie: what a node can add to the bounds of its own exchanges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("two_faced", "constant", "drifting", "jumping", "answers", "probes", "small", "utc")
SMALL_S = (1e-6, 50e-6)
LARGE_S = (50e-6, 0.1)


@dataclass(frozen=True)
class Lie:
    """``node`` lies in exchanges of one kind, from ``since_s`` on, by ``size_s`` times a factor per peer."""

    node: int
    kind: str
    size_s: float
    since_s: float
    factor: np.ndarray
    """Per peer."""

    @classmethod
    def draw(cls, rng: np.random.Generator, nodes: int, kind: str) -> Lie:
        """Who lies, from when on, how much: log-uniform, small ones within what delays leave open."""
        least, most = (
            SMALL_S if kind == "small" else LARGE_S if rng.uniform() < 0.7 else (SMALL_S[0], LARGE_S[1])
        )
        size_s = float(np.exp(rng.uniform(np.log(least), np.log(most)))) * rng.choice((-1, 1))
        factor = rng.uniform(-1, 1, nodes + 1)
        if kind in ("constant", "drifting", "jumping"):
            factor = np.ones(nodes + 1)
        elif kind != "utc" and rng.uniform() < 0.3:
            # To one peer only.
            factor *= np.arange(nodes + 1) == rng.integers(1, nodes + 1)
        return cls(int(rng.integers(1, nodes + 1)), kind, size_s, float(rng.integers(0, 3)), factor)

    def shift_s(self, a: np.ndarray, b: np.ndarray, at_s: np.ndarray) -> np.ndarray:
        """What is added to the bounds of y_b − y_a of exchanges at ``at_s``."""
        peer = np.where(a == self.node, b, a)
        # Its clock further ahead makes y_b − y_a larger where it is b.
        sign = np.where(b == self.node, 1.0, -1.0)
        touched = (a == self.node) | (b == self.node)
        if self.kind == "answers":
            touched &= (b == self.node) & (a != 0)
        elif self.kind == "probes":
            touched &= a == self.node
        elif self.kind == "utc":
            touched &= a == 0
        elif self.kind != "constant":
            touched &= a != 0
        size_s = np.full(len(a), self.size_s)
        if self.kind == "drifting":
            size_s = size_s * np.maximum(0.0, at_s - self.since_s)
        factor = np.where(peer == 0, 1.0, self.factor[peer])
        return np.where(touched & (at_s >= self.since_s), sign * size_s * factor, 0.0)
