"""A short campaign of simulated hosts; bench/coverage.py is the long one."""

import pytest
from agent.campaign import tally as classes
from agent.campaign.engine import run
from agent.campaign.scenario import KINDS
from agent.campaign.tally import Tally

SEED = 20261124


@pytest.mark.parametrize("kind", KINDS)
def test_no_interval_misses_the_truth_while_the_assumptions_hold(kind):
    """Every bound of the estimator and every answer of a reader, over three hosts of each kind."""
    total = Tally(kind)
    for number in range(3):
        total.add(run(SEED, number, kind))
    assert total.checks > 1000
    assert total.misses[classes.MISSED] == 0, total.findings
    if kind not in ("camps", "alone", "conspiracy", "leap", "mixed"):
        assert total.covered_ns > 0.97 * total.total_ns


@pytest.mark.parametrize(("number", "kind"), [(6, "suspend"), (8, "suspend"), (18, "mixed"), (457, None)])
def test_scenarios_that_once_missed_the_truth(number, kind):
    """Publishing between a sleep and its discovery; reading through a leap; a doubt not yet published."""
    tally = run(2 if kind else 11, number, kind)
    assert tally.misses[classes.MISSED] == 0, tally.findings


def test_a_server_that_contradicts_itself_for_ever_never_blanks_the_node():
    """While the others agree there is an interval, but for the second in which all are asked."""
    for number in range(4):
        tally = run(SEED, number, "contradictor")
        assert tally.misses[classes.MISSED] == 0, tally.findings
        assert tally.covered_ns > 0.99 * tally.total_ns
        assert tally.longest_gap_ns < 1.5e9


def test_when_no_majority_agrees_nothing_is_published():
    """Liars that contradict each other and the truth by minutes."""
    for number in range(3):
        tally = run(SEED, number, "camps")
        assert tally.covered_ns == 0
        assert not tally.misses
