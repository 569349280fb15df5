import numpy as np
import pytest

from truechimer.codes import Judgement
from truechimer_analyzer.skew.consequences import commit_wait_s, judge_max_offset, lww_gap_s
from truechimer_analyzer.skew.constraints import Constraints
from truechimer_analyzer.skew.epsilon import measure


def robust(weights_s):
    """ε_1 of nodes 1 to 4 with these bounds of y_b − y_a."""
    tail, head = zip(*weights_s, strict=True)
    return measure(Constraints.of(5, tail, head, list(weights_s.values())), np.zeros(5), np.zeros(5)).robust


def apart(by_s):
    """Nodes within 1 ms of each other, of whom 3 is ``by_s`` ahead."""
    at = {1: 0.0, 2: 0.0, 3: by_s, 4: 0.0}
    return {(a, b): at[b] - at[a] + 0.001 for a in at for b in at if a != b}


@pytest.mark.parametrize(
    ("by_s", "configured_s", "judgement"),
    [
        (0.0, 0.002, Judgement.PROVEN_WITHIN),
        (0.0, 0.0005, Judgement.UNPROVEN),
        (0.1, 0.0985, Judgement.PROVEN_BEYOND),
        (0.1, 0.0995, Judgement.UNPROVEN),
        (0.1, 0.1015, Judgement.PROVEN_WITHIN),
        (-0.1, 0.05, Judgement.PROVEN_BEYOND),
    ],
)
def test_a_configured_maximum_is_within_beyond_or_unproven(by_s, configured_s, judgement):
    """Within by the worst pair's upper bound, beyond by the lower bound of some pair, in either direction."""
    assert judge_max_offset(robust(apart(by_s)), configured_s) is judgement


def test_nothing_is_within_while_a_pair_is_unproven():
    """A pair without a path leaves any limit unproven."""
    weights_s = apart(0.0)
    for node in (1, 2, 4):
        del weights_s[node, 3]
    assert judge_max_offset(robust(weights_s), 1e6) is Judgement.UNPROVEN


def test_nothing_is_within_while_a_liar_is_among_them():
    """ε_1 speaks of the others; of a proven liar's clock nothing is proven, neither within nor beyond."""
    weights_s = apart(0.0)
    weights_s[1, 3], weights_s[3, 1] = 0.021, -0.019
    weights_s[2, 3], weights_s[3, 2] = -0.019, 0.021
    found = robust(weights_s)
    assert found.epsilon_s == pytest.approx(0.001)
    assert judge_max_offset(found, 1.0) is Judgement.UNPROVEN
    assert judge_max_offset(found, 0.0001) is Judgement.UNPROVEN


def test_waiting_and_gap_are_epsilon():
    """After ε by a clock all others have passed its timestamp; a cut-off adds to what can be confused."""
    assert commit_wait_s(0.25) == 0.25
    assert lww_gap_s(0.25) == 0.25
    assert lww_gap_s(0.25, resolution_s=0.001) == 0.251
