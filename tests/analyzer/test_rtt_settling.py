"""Losses that no later reply tells: settled by what the peer saw, and never wrongly."""

import json
from typing import Any

import numpy as np
import pytest
from analyzer.mesh_path import MeshPath
from analyzer.synthetic import NS, T0, ArrayStore
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.answers import answer
from truechimer_analyzer.rtt.settling import Level, Probes, Reflections, Settled, settle


def told(path: MeshPath, since: str = "1h", **options: str) -> dict[str, Any]:
    """The answer's one path."""
    store = ArrayStore(path.samples, path.until_s)
    document: dict[str, Any] = answer("rtt", {"since": since, **options}, store)  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    (found,) = document["paths"]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_while_the_way_back_is_blocked_the_answer_already_says_so(seed: int) -> None:
    """Of the losses that the sender's row tells, only the last seconds stay open."""
    found = told(MeshPath(seed, until_s=160, back=(60, 1e9)))
    assert found["lost_forward"] == 0
    assert found["lost_backward"] >= 70
    assert found["lost_undetermined"] <= 12


@pytest.mark.parametrize("seed", range(6))
def test_while_the_way_there_is_blocked_the_answer_already_says_so(seed: int) -> None:
    found = told(MeshPath(seed, until_s=160, there=(60, 1e9)))
    assert found["lost_backward"] == 0
    assert found["lost_forward"] >= 70
    assert found["lost_undetermined"] <= 12


@pytest.mark.parametrize("seed", range(6))
def test_losses_while_this_host_stalled_are_settled_like_the_others(seed: int) -> None:
    """The sender counts them as losses: left aside, nothing would fit its count any more."""
    there = told(MeshPath(seed, until_s=160, there=(60, 1e9), stalled=0.3))
    back = told(MeshPath(seed, until_s=160, back=(60, 1e9), stalled=0.3))
    assert there["lost_backward"] == back["lost_forward"] == 0
    assert min(there["lost_forward"], back["lost_backward"]) >= 70


def test_a_wrong_wall_clock_of_the_peer_changes_nothing() -> None:
    """The reports are placed in steady time: stamps that are a minute ahead or behind play no part."""
    plain = told(MeshPath(until_s=160, back=(60, 1e9)))
    for wrong_s in (-25.0, 3000.0):
        found = told(MeshPath(until_s=160, back=(60, 1e9), wrong_s=wrong_s))
        for name in ("lost_forward", "lost_backward", "lost_undetermined"):
            assert found[name] == plain[name]


def test_after_the_block_the_senders_own_counts_stand() -> None:
    path = MeshPath(until_s=160, back=(60, 90), there=(110, 120))
    found = told(path)
    assert (found["lost_forward"], found["lost_backward"]) == (len(path.lost_there), len(path.lost_back))
    assert found["lost_undetermined"] == 0


def test_a_peer_that_began_anew_settles_nothing() -> None:
    """Its count starts from zero: read as the old one, every loss would seem to be of the way there."""
    found = told(MeshPath(until_s=160, back=(60, 1e9), restarts=(75.0,)))
    assert found["lost_forward"] == 0
    assert found["lost_undetermined"] > 80


def test_without_a_report_of_the_peer_losses_stay_undetermined() -> None:
    path = MeshPath(until_s=160, back=(60, 1e9))
    path.samples = [s for s in path.samples if s.measurement != "truechimer_reflection"]
    found = told(path)
    assert (found["lost_forward"], found["lost_backward"]) == (0, 0)
    assert found["lost_undetermined"] > 80
    assert found["loss_backward_upper"] > 0.5


def test_a_block_that_is_older_than_the_window_is_settled_for_the_window_alone() -> None:
    """Of 440 s of losses the window holds a hundred: none of the others is counted in it."""
    found = told(MeshPath(until_s=500, there=(60, 1e9)), since="100s")
    assert 85 <= found["lost_forward"] <= 100
    assert found["lost_forward"] + found["lost_undetermined"] <= 100
    assert found["lost_backward"] == 0


def test_asking_for_one_node_or_peer_still_hears_its_peer() -> None:
    path = MeshPath(until_s=160, back=(60, 1e9))
    whole = told(path)
    assert told(path, node="a")["lost_backward"] == whole["lost_backward"]
    assert told(path, peer="b", via="stamp")["lost_backward"] == whole["lost_backward"]


def _block() -> st.SearchStrategy[tuple[float, float]]:
    """Seconds before the end at which a block begins, and how much of it is left then (mostly all)."""
    return st.tuples(st.floats(0, 100), st.sampled_from([0.0, 0.0, 3.0, 8.0, 20.0, 50.0]))


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    there=_block(),
    back=_block(),
    fast_ppm=st.floats(-400, 400),
    restarts=st.lists(st.floats(0, 100), max_size=2),
    lossy=st.tuples(st.sampled_from([0, 0.02, 0.3]), st.sampled_from([0, 0.02, 0.3])),
    points_kept=st.sampled_from([1.0, 0.8]),
    stalled=st.sampled_from([0.0, 0.1, 0.7]),
)
def test_no_loss_is_ever_given_to_the_wrong_direction(
    seed: int,
    there: tuple[float, float],
    back: tuple[float, float],
    fast_ppm: float,
    restarts: list[float],
    lossy: tuple[float, float],
    points_kept: float,
    stalled: float,
) -> None:
    """Whatever is blocked, lost, restarted or missing in the store: no more than was really lost so."""
    until_s = 160.0
    path = MeshPath(
        seed,
        until_s=until_s,
        there=(until_s - there[0], until_s - there[1]),
        back=(until_s - back[0], until_s - back[1]),
        fast_ppm=fast_ppm,
        restarts=tuple(sorted(until_s - before for before in restarts)),
        lossy=lossy,
        points_kept=points_kept,
        stalled=stalled,
    )
    found = told(path)
    assert (found["lost_forward"] or 0) <= path.told_there
    assert (found["lost_backward"] or 0) <= path.told_back


def test_two_blocks_that_begin_together_are_told_apart_as_far_as_the_counts_do() -> None:
    """Ten lost on the way there, then the way back alone: what the peer saw later is not counted twice."""
    for seed in range(8):
        path = MeshPath(seed, until_s=160, there=(60, 70), back=(60, 1e9))
        found = told(path)
        assert 1 <= found["lost_forward"] <= path.told_there
        assert 60 <= found["lost_backward"] <= path.told_back


REPORTS = ((6, 6, 6), (16, 13, 7), (26, 23, 10))


def hand_made(
    *,
    undetermined: int = 10,
    lost_until: int = 30,
    reports: tuple[tuple[int, int, int], ...] = REPORTS,
) -> Settled:
    """A probe a second; the last reply at 10 s says 10 seen, then no reply; three were lost there.

    ``reports`` of the peer, whose steady clock reads the same: (second, seen so far, since the last).
    """
    at = np.arange(1.0, lost_until + 1)
    replied = at <= 10
    probes = Probes(
        time_ns=T0 + (at * NS).astype(np.int64),
        steady_s=at,
        epoch=np.ones(len(at)),
        outcome=np.where(replied, 0.0, 1.0),
        rtt_s=np.where(replied, 0.001, np.nan),
        lower_s=np.where(replied, -1e-6, np.nan),
        upper_s=np.where(replied, 1e-6, np.nan),
        peer_epoch=np.where(replied, 1.0, np.nan),
    )
    told_s, seen, requests = (np.array([report[i] for report in reports], dtype=float) for i in range(3))
    reflections = Reflections(told_s + 0.5, np.ones(len(reports)), requests, seen)
    return settle(Level(undetermined, 10, 22.5, 1), probes, reflections, T0)


def test_the_least_is_what_the_peer_saw_less_all_that_was_sent_later() -> None:
    """At 26 s the peer saw 13 of the 16 probes sent since: 6 of them came after the ten losses, so 7 are."""
    assert hand_made() == Settled(forward=0, backward=7, undetermined=3)


def test_probes_whose_end_is_not_stored_yet_are_counted_by_their_spacing() -> None:
    """Four or five more were sent by then: seven at most came after the losses."""
    assert hand_made(lost_until=22) == Settled(forward=0, backward=6, undetermined=4)


def test_what_the_peer_never_saw_was_lost_on_the_way_there() -> None:
    silent = ((6, 6, 6), (16, 10, 4), (26, 10, 0))
    assert hand_made(reports=silent) == Settled(forward=10, backward=0, undetermined=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"undetermined": 13},
        {"reports": ((12, 10, 4), (22, 19, 9), (26, 23, 4))},
        {"reports": ((6, 11, 6), (16, 18, 7), (26, 28, 10))},
        {"reports": ((6, 6, 6), (16, 5, 5), (26, 16, 11))},
        {"reports": ((0, 0, 0), (11, 1, 1), (26, 16, 15))},
        {"reports": ((6, 6, 6), (26, 13, 7))},
    ],
    ids=[
        "losses missing",
        "no report before",
        "more seen than told",
        "began anew",
        "began at once anew",
        "report missing",
    ],
)
def test_what_does_not_fit_together_settles_nothing(wrong: dict[str, Any]) -> None:
    """Samples that are missing, or a peer that began anew: the losses stay undetermined."""
    undetermined = wrong.get("undetermined", 10)
    assert hand_made(**wrong) == Settled(0, 0, undetermined)
