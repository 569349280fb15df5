"""Which detector is taken: the simplest, unless another was clearly quicker on the past at equal mistakes."""

import numpy as np

from truechimer_analyzer import detectors as d
from truechimer_analyzer.detectors.knobs import request_knobs
from truechimer_analyzer.timeouts.choosing import quickest

COUNT = 4000
PAST = slice(0, 2000)


def chosen(rtt_s: np.ndarray, timeout_s: float) -> tuple[str | None, float, list[np.ndarray]]:
    asked = d.Requests(np.arange(float(len(rtt_s))), rtt_s)

    def judged(limits: list[np.ndarray]) -> tuple[int, float]:
        found = d.judge_requests(asked, limits[0], PAST)
        return found.mistakes, found.timeout_mean_s or 0.0

    return quickest([request_knobs(asked)], [PAST], [np.full(len(rtt_s), timeout_s)], judged)


def test_a_steady_path_keeps_its_fixed_timeout() -> None:
    rng = np.random.default_rng(1)
    name, _, limits = chosen(0.01 + rng.exponential(0.002, COUNT), 0.025)
    assert name is None
    assert limits[0].tolist() == [0.025] * COUNT


def test_where_delays_come_and_go_the_one_that_follows_is_taken() -> None:
    """A path that is slow every other ten minutes: Jacobson's timeout follows, at no more mistakes."""
    rng = np.random.default_rng(2)
    slow = (np.arange(COUNT) // 600) % 2 == 1
    rtt_s = np.where(slow, 0.5, 0.02) * (1 + rng.uniform(0, 0.05, COUNT))
    allowed = int(np.count_nonzero(rtt_s[PAST] > 0.52))
    name, setting, limits = chosen(rtt_s, 0.52)
    assert name == "jacobson K"
    assert setting > 0
    assert np.count_nonzero(rtt_s[PAST] > limits[0][PAST]) <= allowed
    assert limits[0][PAST].mean() < 0.95 * 0.52


def test_the_future_is_not_looked_at() -> None:
    """What comes after the past changes neither the choice nor the setting."""
    rng = np.random.default_rng(3)
    rtt_s = np.where((np.arange(COUNT) // 600) % 2 == 1, 0.5, 0.02) * (1 + rng.uniform(0, 0.05, COUNT))
    before = chosen(rtt_s, 0.52)
    rtt_s[PAST.stop :] = 9.0
    assert chosen(rtt_s, 0.52)[:2] == before[:2]
