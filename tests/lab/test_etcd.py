"""A real etcd whose members are 300 ms apart and pause: the default settings flap, the advised ones do not.

bench/etcd_lab.py is the same for ten minutes each, with many kills.
"""

from collections.abc import Iterator

import pytest
from lab.etcd.experiment import Outcome, Plan, run
from lab.etcd.pausing import Pausing
from lab.etcd.settings import Settings
from lab.harness import Network

pytestmark = pytest.mark.lab

PAUSE_S = 2.2
"""Longer than any timer of the default settings, 1.9 s, and what reaches the followers meanwhile."""
PAUSING = Pausing(shortest_s=PAUSE_S, longest_s=PAUSE_S, rest_s=1.8, more_s=0.0, leader_share=0.75)
SECONDS = 18.0
SLACK_S = 1.0


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """The three phases, once for all tests."""
    with Network() as network:
        yield run(network, tmp_path_factory.mktemp("etcd"), Plan(SECONDS, 1, PAUSING))


def test_the_default_settings_flap(outcome: Outcome) -> None:
    """Each pause of the leader outlasts every timer of 1 to 2 s, and so it loses its office."""
    assert outcome.default.settings == Settings(100, 1000)
    assert len(outcome.default.leaders_stood_s) >= 2
    assert outcome.default.changes >= 2


def test_what_was_measured_beside_it_is_true(outcome: Outcome) -> None:
    """Round trips of 300 ms, never less than the links take, and pauses as long as they were made."""
    measured = outcome.measured
    assert measured.least_rtt_s >= 0.256
    assert measured.typical_rtt_s == pytest.approx(0.3, abs=0.03)
    assert PAUSE_S - 0.2 <= measured.longest_pause_s <= PAUSE_S + SLACK_S
    assert measured.pauses >= 4


def test_the_advised_settings_do_not_flap_under_the_same_pauses(outcome: Outcome) -> None:
    """The leader stands as often and as long, and keeps its office: no term begins."""
    assert len(outcome.advised.leaders_stood_s) == len(outcome.default.leaders_stood_s)
    assert min(outcome.advised.leaders_stood_s) >= PAUSE_S
    assert (outcome.advised.changes, outcome.advised.terms) == (0, 0)


def test_a_killed_leader_is_replaced_within_the_predicted_budget(outcome: Outcome) -> None:
    """Not before a timer can end, and not later than 99.9 % of what was predicted."""
    (replaced,) = outcome.killed.replaced
    assert outcome.budget.least_s - SLACK_S <= replaced.wrote_s <= outcome.budget.p999_s + SLACK_S
