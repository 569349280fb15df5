"""The campaign finds what is wrong, and a short one of it finds nothing."""

from pathlib import Path

import pytest
from lab.campaign import running
from lab.campaign.judging import UNSEEN_NS, Judge, Stop
from lab.campaign.running import campaign, report
from lab.campaign.scenario import MOST_SERVERS, Act, Lie, draw
from lab.campaign.tally import HIDDEN, MISSED, UNNOTICED, Tally
from lab.harness import ShiftedClock

from truechimer.clock import Interval
from truechimer.codes import BoundReason, BoundStatus, NtpOutcome
from truechimer.readings import Reading
from truechimer.samples import Sample

pytestmark = pytest.mark.lab

MS = 1_000_000
ANCHOR_NS = 10**18
SHIFT_S = 5.0


@pytest.fixture
def shifted(tmp_path: Path) -> ShiftedClock:
    """W is 5 s ahead, so UTC − W is −5 s."""
    return ShiftedClock(tmp_path / "not-needed.so", tmp_path / "shift", round(SHIFT_S * 1e9))


@pytest.fixture
def judge(shifted: ShiftedClock) -> Judge:
    return Judge(Tally(), shifted, {"honest"})


def look(judge: Judge, lower_ns: int, upper_ns: int, *, raw_ns: int = 0, epoch: int = 1) -> None:
    """A program that was told this when it was 0 and the host's RAW showed `raw_ns`."""
    interval = Interval(lower_ns, upper_ns, BoundStatus.SYNCHRONIZED, BoundReason.NONE, 0.0, epoch)
    judge.look(interval, Reading(0, raw_ns, 0, 0, 100), 0)


def sample(name: str, own_raw_ns: int, lower_s: float, upper_s: float, **more: object) -> Sample:
    fields = {
        "steady_seconds": (own_raw_ns + ANCHOR_NS) / 1e9,
        "lower_seconds": lower_s,
        "upper_seconds": upper_s,
        "epoch": 1,
        "outcome": int(NtpOutcome.REPLY),
    }
    return Sample(name, {"server": str(more.get("server", "honest"))}, fields, 0)


def test_a_look_that_leaves_the_truth_out_is_a_miss(judge: Judge) -> None:
    look(judge, -MS, MS)
    assert not judge._tally.misses
    look(judge, 1000, MS)
    look(judge, -MS, -1000)
    assert judge._tally.misses == {MISSED: 2}
    assert "1000 ns" in judge._tally.findings[0]


def test_a_bound_of_w_is_held_against_what_w_was_shifted_by(judge: Judge, shifted: ShiftedClock) -> None:
    """Before and after a step the truth is another one, and only then."""
    began_ns = shifted.history[-1].from_raw_ns
    shifted.step_ns(-4_000 * MS)
    stepped_ns = shifted.history[-1].from_raw_ns
    good = [
        sample("truechimer_bound", began_ns + 1000, -5.001, -4.999),
        sample("truechimer_bound", stepped_ns + 1000, -1.001, -0.999),
    ]
    judge.samples(good, ANCHOR_NS)
    assert not judge._tally.misses
    assert judge._tally.checked["bounds"] == 2
    judge.samples([sample("truechimer_bound", stepped_ns + 1000, -5.001, -4.999)], ANCHOR_NS)
    assert judge._tally.misses == {MISSED: 1}


def test_exchanges_of_honest_servers_alone_are_judged(judge: Judge, shifted: ShiftedClock) -> None:
    at_ns = shifted.history[-1].from_raw_ns + 1000
    wrong = [sample("truechimer_ntp", at_ns, 1.0, 2.0, server=server) for server in ("honest", "liar")]
    judge.samples(wrong, ANCHOR_NS)
    assert judge._tally.replies == 2
    assert judge._tally.misses == {MISSED: 1}


@pytest.mark.parametrize(("traced", "explanation"), [(True, UNNOTICED), (False, HIDDEN)])
def test_a_stop_explains_a_miss_until_it_is_found_out(judge: Judge, traced: bool, explanation: str) -> None:
    """Not before it, not in a new epoch, and not for ever."""
    stop_ns = 10 * UNSEEN_NS
    judge.stops.append(Stop(stop_ns, 1, traced=traced))
    look(judge, 1000, MS, raw_ns=stop_ns + 1)
    assert judge._tally.misses == {explanation: 1}
    look(judge, 1000, MS, raw_ns=stop_ns - MS)
    look(judge, 1000, MS, raw_ns=stop_ns + 1, epoch=2)
    look(judge, 1000, MS, raw_ns=stop_ns + UNSEEN_NS + MS)
    assert judge._tally.misses == {explanation: 1, MISSED: 3}


def test_scenarios_come_again_and_never_have_a_lying_majority() -> None:
    drawn = [draw(3, number, 90.0) for number in range(70)]
    assert drawn == [draw(3, number, 90.0) for number in range(70)]
    assert drawn != [draw(4, number, 90.0) for number in range(70)]
    assert {len(each.servers) for each in drawn} == set(range(1, MOST_SERVERS + 1))
    assert all(2 * each.liars < len(each.servers) for each in drawn)
    assert {event.act for each in drawn for event in each.events} == set(Act)
    assert {server.lie for each in drawn for server in each.servers} == set(Lie)


def test_a_short_campaign_misses_nothing() -> None:
    """Two cells: whatever is published contains the truth, through everything that is done to the clocks."""
    tally = campaign(11, cells=2, seconds=45.0, at_once=2)
    assert not tally.findings, "\n".join(report(tally, 11))
    assert tally.misses[MISSED] == 0
    assert tally.cells == 2
    assert tally.replies > 100
    assert tally.checked["looks of a program"] > 500
    assert tally.checked["honest servers' exchanges"] > 100
    assert sum(tally.acts.values()) >= 4


def test_a_cell_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a cell without misses."""
    monkeypatch.setattr(running, "TESTS", tmp_path)
    tally = campaign(11, cells=1, seconds=1.0)
    assert len(tally.findings) == 1
    assert "ended with 1" in tally.findings[0]
    assert tally.findings[0] in list(report(tally, 11))
