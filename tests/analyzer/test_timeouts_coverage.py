"""Advised timeouts held against known truths; bench/timeouts_coverage.py has more of them, 1000 times."""

import numpy as np
import pytest
from bench.timeouts_coverage import TRUTHS, cover

from truechimer_analyzer.timeouts import tail

REPETITIONS = 40


def held(truth: str) -> float:
    """The share of answers whose truth is within both the target and the bound shown, over all targets."""
    cells = cover(TRUTHS[truth], REPETITIONS, seed=7).values()
    answered = sum(cell.answered for cell in cells)
    assert answered >= REPETITIONS
    return sum(min(cell.held, cell.kept_upper) for cell in cells) / answered


@pytest.mark.parametrize("truth", ["log-normal", "rare 12 s", "AR(1) 0.9", "bursts"])
def test_what_is_advised_keeps_its_promise(truth: str) -> None:
    assert held(truth) >= 0.9


def test_counting_every_sample_as_independent_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bounds without the design effect miss what is promised where replies are slow together."""
    monkeypatch.setattr(tail, "design_effect", lambda *_: 1.0)
    assert held("bursts") < 0.85


def test_the_chosen_rank_follows_from_the_target_alone() -> None:
    """Of independent delays the k-th slowest is chosen for one k, so that choosing costs no confidence."""
    rng = np.random.default_rng(3)
    times, path = np.arange(5000) * 60.0, np.zeros(5000, dtype=np.intp)
    ranks = set()
    for _ in range(20):
        chosen = tail.measure(rng.permutation(5000) / 5000 + 1, times, path, np.array([5000])).smallest(0.01)
        assert chosen is not None
        ranks.add(chosen.seen)
    assert max(ranks) - min(ranks) <= 8
