"""Akka's φ accrual: a normal tail on the intervals, moved by the pause that is acceptable.

akka-remote/src/main/scala/akka/remote/PhiAccrualFailureDetector.scala (2.5), after
Hayashibara, Défago, Yared and Katayama, "The φ Accrual Failure Detector", SRDS 2004. The tail is the
logistic approximation 1 / (1 + e^(y(1.5976 + 0.070566 y²))), so a threshold is a fixed number of deviations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.detectors.windows import sliding_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.detectors.heartbeats import Heartbeats

_LINEAR, _CUBIC = 1.5976, 0.070566
_AT_ONCE = 1 << 18
_LEAST_AT_ONCE = 1 << 11
_PATIENCE = 6


def phi(since_s: float, mean_s: float, deviation_s: float) -> float:
    """φ ``since_s`` after the last heartbeat; ``mean_s`` already contains the acceptable pause.

    Akka's two branches, as written there: −log10(e / (1 + e)) beyond the mean, −log10(1 − 1 / (1 + e)) up to
    it, with e = exp(−y(1.5976 + 0.070566 y²)). Beyond y ≈ 19 its e is 0 and φ is infinite.
    """
    y = (since_s - mean_s) / deviation_s
    exponent = -y * (_LINEAR + _CUBIC * y * y)
    if since_s > mean_s:
        e = math.exp(exponent)
        return math.inf if e == 0 else -math.log10(e / (1 + e))
    e = math.exp(min(exponent, 700.0))
    return -math.log10(1 - 1 / (1 + e))


def deviations_for(threshold: float) -> float:
    """How many standard deviations beyond the mean φ reaches ``threshold`` (> 0): 5.2 at 8.

    The root of y(1.5976 + 0.070566 y²) = ln(10^threshold − 1), Cardano's: the cubic has one, as it rises.
    """
    logit = threshold * math.log(10) + math.log1p(-(10.0**-threshold))
    p, q = _LINEAR / _CUBIC, -logit / _CUBIC
    root = math.sqrt(q * q / 4 + p**3 / 27)
    return math.cbrt(-q / 2 + root) + math.cbrt(-q / 2 - root)


@dataclass(frozen=True, slots=True)
class Akka:
    """Suspects mean + ``pause_s`` + so many deviations (at least ``min_deviation_s`` each) after the last.

    The history begins with ``heartbeat_s`` ± a quarter and holds ``window`` intervals; an interval that ended
    a suspicion is not learned. Defaults are those of ``akka.cluster.failure-detector``: about 4.5 s, whatever
    the network. Akka rounds to whole milliseconds; this does not.
    """

    threshold: float = 8.0
    pause_s: float = 3.0
    heartbeat_s: float = 1.0
    window: int = 1000
    min_deviation_s: float = 0.1

    @property
    def name(self) -> str:
        """The detector and its setting."""
        return f"akka-φ({self.threshold:.4g}, pause {self.pause_s:.6g}s)"

    def deadlines_s(self, heard: Heartbeats) -> NDArray[np.float64]:
        """When the peer would be suspected, as of each arrival (m,)."""
        arrived_s = heard.arrived_s
        timeout_s = np.empty(len(arrived_s))
        if not len(arrived_s):
            return timeout_s
        y = deviations_for(self.threshold)
        history_s = np.array([self.heartbeat_s * 0.75, self.heartbeat_s * 1.25])
        timeout_s[0] = self._timeouts_s(history_s, y)[-1]
        begin, step = 1, _AT_ONCE
        while begin < len(arrived_s):
            end = min(len(arrived_s), begin + step)
            intervals_s = arrived_s[begin:end] - arrived_s[begin - 1 : end - 1]
            kept, here_s, rounds = self._chunk(history_s, intervals_s, float(timeout_s[begin - 1]), y)
            timeout_s[begin:end] = here_s
            history_s = np.concatenate([history_s, intervals_s[kept][-self.window :]])[-self.window :]
            begin = end
            step = max(_LEAST_AT_ONCE, step // 4) if rounds > _PATIENCE else min(_AT_ONCE, step * 2)
        timeout_s += arrived_s
        return timeout_s

    def _chunk(
        self, history_s: NDArray[np.float64], intervals_s: NDArray[np.float64], before_s: float, y: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], int]:
        """Which of some intervals are learned, the timeout after each, and how many rounds that took.

        What is learned depends on the timeouts before it, and those on what was learned: whether an interval
        is kept follows from earlier ones only, so each round settles at least the first that was wrong, and
        what no longer changes is what one by one would give.
        """
        kept = np.ones(len(intervals_s), dtype=np.bool_)
        rounds = 0
        while True:
            rounds += 1
            learned_s = np.concatenate([history_s, intervals_s if kept.all() else intervals_s[kept]])
            after_s = self._timeouts_s(learned_s, y)
            timeout_s = after_s[len(history_s) - 1 + np.cumsum(kept)]
            # Available is φ < threshold, so an interval as long as the timeout is not learned.
            keeps = np.empty_like(kept)
            keeps[0] = intervals_s[0] < before_s
            np.less(intervals_s[1:], timeout_s[:-1], out=keeps[1:])
            if np.array_equal(keeps, kept):
                return kept, timeout_s, rounds
            kept = keeps

    def _timeouts_s(self, intervals_s: NDArray[np.float64], y: float) -> NDArray[np.float64]:
        mean_s, variance = sliding_moments(intervals_s, self.window)
        deviation_s = np.sqrt(variance, out=variance)
        np.maximum(deviation_s, self.min_deviation_s, out=deviation_s)
        deviation_s *= y
        mean_s += self.pause_s
        mean_s += deviation_s
        return mean_s
