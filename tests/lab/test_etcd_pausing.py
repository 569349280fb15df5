"""The pauses that an etcd has to bear: the same for the same seed, one at a time, as long as asked for."""

from itertools import pairwise

import pytest
from lab.etcd.pausing import Pausing

pytestmark = pytest.mark.lab

SECONDS = 600.0


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_rests_between_pauses_and_ends_in_time(seed: int) -> None:
    """Of ten minutes: at least the rest between two, lengths within their bounds, leader and followers."""
    pausing = Pausing(shortest_s=0.3, longest_s=3.0, rest_s=3.0, more_s=4.0, leader_share=0.5)
    pauses = pausing.schedule(SECONDS, seed)
    assert all(0.3 <= pause.length_s <= 3.0 for pause in pauses)
    assert all(
        after.at_s - (before.at_s + before.length_s) >= 3.0 - 1e-9 for before, after in pairwise(pauses)
    )
    assert pauses[-1].at_s + pauses[-1].length_s <= SECONDS
    assert {pause.follower for pause in pauses} == {None, 0, 1}


def test_both_phases_get_the_same_pauses_and_other_seeds_get_others() -> None:
    """What is compared under the default and the advised settings is the same."""
    pausing = Pausing()
    assert pausing.schedule(SECONDS, 1) == pausing.schedule(SECONDS, 1) != pausing.schedule(SECONDS, 2)
