"""`clocks` from synthetic evidence: the interval now, the flags, their evidence and since when."""

import dataclasses
import json
from typing import Any

import pytest
from analyzer import synthetic as made
from analyzer.synthetic import T0, ArrayStore

from truechimer.config.model import LimitsConfig
from truechimer.errors import UserError
from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.window import iso

LIMITS = LimitsConfig(max_offset_s=0.05, max_frequency_ppm=100)


def clocks(samples: list[Sample], now_s: float, **options: str) -> dict[str, Any]:
    document = answer("clocks", options, ArrayStore(samples, now_s), LIMITS)  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document


def node(samples: list[Sample], now_s: float, **options: str) -> dict[str, Any]:
    (found,) = clocks(samples, now_s, **options)["nodes"]
    return found


def flags(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {flag["flag"]: flag for flag in found["flags"]}


def steady(until_s: float, rate_ppm: float = 12.0) -> list[Sample]:
    return [made.clock(float(at), rate_ppm) for at in range(10, int(until_s) + 1, 10)]


def test_an_empty_store_is_an_answer() -> None:
    found = clocks([], 0)
    assert found["nodes"] == []
    assert found["summary"] == {
        "nodes": 0,
        "proven_within": 0,
        "unproven": 0,
        "proven_beyond": 0,
        "flagged": 0,
    }


def test_the_answer_says_what_it_judged_against() -> None:
    assert clocks([], 0)["limits"] == {"max_offset_s": 0.05, "max_frequency_ppm": 100}


def test_a_sound_clock_is_ok_and_its_interval_a_little_wider_than_when_sent() -> None:
    found = node([*steady(300), made.bound(300, -0.001, 0.002), made.server(299, "10.0.0.1")], 305)
    assert (found["state"], found["judgement"], found["flags"]) == ("ok", "proven_within", [])
    assert -0.001 - 1e-4 < found["lower_s"] < -0.001 < 0.002 < found["upper_s"] < 0.002 + 1e-4
    assert found["offset_s"] == pytest.approx(0.0005, abs=1e-5)
    assert found["frequency_lower_ppm"] < 0 < found["frequency_upper_ppm"]
    assert found["frequency_ppm"] == pytest.approx(0, abs=0.01)
    assert (found["last_seen_s"], found["bound_age_s"]) == (5, 5)
    assert found["servers"][0]["verdict"] == "selected"
    assert found["servers"][0]["reason"] is None


def test_a_node_whose_first_rows_came_between_listing_and_reading_is_not_stale() -> None:
    class Listing(ArrayStore):
        def nodes(self) -> list[Any]:
            return []

    document = answer("clocks", {}, Listing([made.bound(300, -0.001, 0.002)], 301), LIMITS)  # type: ignore[arg-type]
    (found,) = document["nodes"]  # type: ignore[misc]
    assert found["state"] == "ok"
    assert found["last_seen_s"] == pytest.approx(1.0, abs=0.5)


def test_a_step_after_the_bound_moves_the_interval_and_is_flagged_with_its_size() -> None:
    samples = [made.bound(300, -0.001, 0.001), made.event(303, "step", 0.5), *steady(300)]
    found = node(samples, 305)
    # No rate since the step is known yet: ±500 ppm of slewing over 5 s.
    assert -0.504 < found["lower_s"] < -0.5 < found["upper_s"] < -0.496
    raised = flags(found)
    assert raised["stepped"]["evidence"]["size_s"] == 0.5
    assert raised["stepped"]["since"] == iso(T0 + 303 * made.NS)
    assert raised["offset"]["evidence"]["limit_s"] == 0.05
    assert (found["state"], found["judgement"]) == ("offset", "proven_beyond")


def test_the_bound_after_a_step_is_taken_as_it_is() -> None:
    samples = [made.event(300, "step", -0.5), made.bound(300.5, 0.499, 0.501), made.event(10, "step", 0.1)]
    found = node(samples, 302)
    assert 0.498 < found["lower_s"] <= found["upper_s"] < 0.502
    assert [step["size_s"] for step in flags(found)["stepped"]["evidence"]["steps"]] == [0.1, -0.5]


def test_a_step_seen_within_two_seconds_after_the_bound_leaves_both_open() -> None:
    found = node([made.bound(300, -0.001, 0.001), made.event(300.2, "step", 0.5)], 301)
    assert found["lower_s"] < -0.5
    assert found["upper_s"] > 0
    assert found["judgement"] == "unproven"


@pytest.mark.parametrize(
    "broken", [made.event(302, "suspend", 60.0), made.event(302, "agent_start", 0.0, epoch=2)]
)
def test_nothing_is_said_across_the_end_of_an_epoch(broken: Sample) -> None:
    found = node([*steady(300), made.bound(300, -0.001, 0.001), broken], 305)
    assert (found["state"], found["judgement"], found["status"]) == ("disrupted", "unproven", "disrupted")
    assert found["lower_s"] is None
    assert found["offset_s"] is None
    assert found["frequency_ppm"] is None


def test_silence_by_the_receivers_clock_makes_a_node_stale_and_unproven() -> None:
    found = node([made.bound(0, -0.001, 0.001)], 31)
    assert (found["state"], found["judgement"]) == ("stale", "unproven")
    assert flags(found)["stale"]["since"] == iso(T0)
    assert node([made.bound(0, -0.001, 0.001)], 29)["state"] == "ok"


def test_a_bound_that_was_spooled_ages_by_its_own_stamp() -> None:
    """It arrives now, but an hour has passed since it was made: ±500 ppm of unknown slewing."""
    store = ArrayStore([made.bound(0, -0.001, 0.001)], 3600)
    store._kept["truechimer_bound"].received_ns[:] = T0 + 3600 * made.NS
    (found,) = answer("clocks", {"since": "2h"}, store, LIMITS)["nodes"]  # type: ignore[arg-type, misc]
    assert found["bound_age_s"] == 3600
    assert found["lower_s"] < -1.7


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (0, 0, "unsynchronised"),
        (0, 2, "unsynchronised"),
        (0, 3, "no_majority"),
        (0, 4, "sources_blocked"),
        (1, 4, "sources_blocked"),
        (2, 2, "sources_blocked"),
        (2, 0, "unsynchronised"),
        (3, 5, "disrupted"),
        (1, 6, "ok"),
        (99, 99, "unsynchronised"),
        (float("inf"), 0, "unsynchronised"),
    ],
)
def test_a_bounds_own_status_becomes_the_state(status: float, reason: int, state: str) -> None:
    assert node([made.bound(0, -0.001, 0.001, status=status, reason=reason)], 5)["state"] == state


def test_a_lasting_flag_says_since_when_and_only_the_present_run_counts() -> None:
    samples = [made.bound(float(at), None, None, status=0, reason=3) for at in (10, 20, 60, 70, 80)]
    samples += [made.bound(float(at), -0.001, 0.001) for at in (30, 40, 50)]
    assert flags(node(samples, 82))["no_majority"]["since"] == iso(T0 + 60 * made.NS)


def test_an_offset_says_since_when_it_was_proven() -> None:
    samples = [made.bound(float(at), 0.0, 0.06 if at < 50 else 0.07) for at in range(0, 50, 10)]
    samples += [made.bound(float(at), 0.06, 0.07) for at in range(50, 100, 10)]
    assert flags(node(samples, 91))["offset"]["since"] == iso(T0 + 50 * made.NS)


def test_drifting_needs_proof_and_says_over_what() -> None:
    found = node([*steady(300, -200.0), made.bound(300, -0.001, 0.001)], 301)
    assert found["state"] == "drifting"
    assert found["frequency_ppm"] == pytest.approx(212)
    assert flags(found)["drifting"]["evidence"]["lower_ppm"] > 100
    loose = made.bound(300, -0.001, 0.001, frequency_lower_ppm=-500.0, frequency_upper_ppm=500.0)
    assert node([*steady(300, -200.0), loose], 301)["state"] == "ok"


@pytest.mark.parametrize("kind", ["step", "slew", "suspend"])
def test_no_drift_is_claimed_right_after_a_step_a_slew_or_a_suspend(kind: str) -> None:
    samples = [*steady(300, -200.0), made.event(275, kind, 0.001), made.bound(300, -0.001, 0.001)]
    found = node(samples, 301)
    assert "drifting" not in flags(found)


def test_no_drift_is_claimed_across_a_slew_nor_on_a_single_rate() -> None:
    """A slew too slow for an event that ended a minute ago; and one wild rate among quiet ones."""
    samples = [made.clock(float(at), 512.0 if 100 < at <= 340 else 12.0) for at in range(10, 401, 10)]
    found = node([*samples, made.bound(400, -0.001, 0.001)], 401)
    assert "drifting" not in flags(found)
    wild = [*steady(290), made.clock(300.0, 50_000.0), made.bound(300, -0.001, 0.001)]
    assert "drifting" not in flags(node(wild, 301))


def test_a_late_bound_widens_by_what_the_kernel_lets_a_daemon_slew() -> None:
    """In time, W keeps its rates to 15 ppm; after 12 s a bound is missing, and W may have been steered."""
    samples = [*steady(300), made.bound(300, -0.001, 0.001)]
    assert node(samples, 309)["half_width_s"] == pytest.approx(0.001 + 9 * 16.1e-6, abs=2e-6)
    assert node(samples, 320)["lower_s"] < -0.001 - 20 * 480e-6


def test_a_leap_second_seen_after_the_bound_may_have_moved_the_clock_alone() -> None:
    """UTC leaps too, or the kernel believed a liar: both are inside until the next bound."""
    found = node([*steady(300), made.bound(300, -0.001, 0.001), made.event(306, "leap", -1.0)], 307)
    assert found["lower_s"] < 0 < 1.0 < found["upper_s"]
    assert "stepped" not in flags(found)


def test_a_slew_seen_after_the_bound_may_have_moved_the_clock_by_none_or_all_of_its_size() -> None:
    found = node([*steady(300), made.bound(300, -0.001, 0.001), made.event(306, "slew", 0.4)], 307)
    assert -0.42 < found["lower_s"] < -0.401
    assert 0.001 < found["upper_s"] < 0.02
    assert found["judgement"] == "unproven"


def test_a_step_before_the_window_but_after_the_bound_moves_the_interval_and_is_not_listed() -> None:
    samples = [made.bound(300, -0.001, 0.001), made.event(310, "step", 5.0), made.server(500, "10.0.0.1")]
    found = node(samples, 500, since="2m")
    assert found["upper_s"] < -4.8
    assert "stepped" not in flags(found)
    assert found["events"] == []


def test_a_clock_stepped_back_by_hours_stamps_that_step_before_the_window() -> None:
    back = dataclasses.replace(made.event(303, "step", -7200.0), time_ns=T0 + (303 - 7200) * made.NS)
    found = node([*steady(300), made.bound(300, -0.001, 0.001), back], 305)
    assert found["lower_s"] == pytest.approx(7200, abs=0.01)


def test_an_agent_that_started_after_the_bound_vouches_for_nothing_and_raises_no_alarm() -> None:
    """The clock may have been stepped while nobody watched; the next bound ends that."""
    samples = [*steady(300), made.bound(300, -0.001, 0.001), made.event(312, "agent_start", 0.0)]
    found = node(samples, 313)
    assert (found["lower_s"], found["status"], found["reason"]) == (None, "unknown", "starting")
    assert (found["state"], found["judgement"], found["flags"]) == ("ok", "unproven", [])
    assert node([*samples, made.server(350, "10.0.0.1")], 351)["state"] == "unsynchronised"
    bound = made.bound(315, -0.001, 0.001)
    assert node([*samples, bound], 316)["judgement"] == "proven_within"


def test_only_another_epoch_that_came_after_the_bound_voids_it() -> None:
    """A wiped state begins to count anew: the old start has the greater epoch."""
    samples = [made.event(100, "agent_start", 0.0, epoch=4), made.event(200, "agent_start", 0.0, epoch=1)]
    found = node([*samples, made.bound(300, -0.001, 0.001)], 301)
    assert (found["state"], found["judgement"]) == ("ok", "proven_within")
    wiped = [made.bound(100, -0.001, 0.001, epoch=4), made.event(200, "agent_start", 0.0, epoch=1)]
    assert node(wiped, 201)["state"] == "disrupted"


def test_falsetickers_are_named_with_since() -> None:
    samples = [made.bound(300, -0.001, 0.001), made.server(299, "10.0.0.1")]
    samples += [
        made.server(float(at), "10.0.0.9", 1 if at < 250 else 2, lower_seconds=0.036, upper_seconds=0.038)
        for at in range(200, 300, 10)
    ]
    found = node(samples, 301)
    raised = flags(found)["falseticker_in_use"]
    assert raised["evidence"]["servers"] == ["10.0.0.9"]
    assert raised["since"] == iso(T0 + 250 * made.NS)
    assert found["state"] == "ok"
    assert {server["server"]: server["verdict"] for server in found["servers"]} == {
        "10.0.0.1": "selected",
        "10.0.0.9": "falseticker",
    }


def test_a_server_that_was_taken_out_of_use_is_forgotten() -> None:
    samples = [made.bound(3000, -0.001, 0.001), made.server(2999, "new"), made.server(10, "old", 2)]
    assert [server["server"] for server in node(samples, 3001)["servers"]] == ["new"]


def test_leap_flags_must_agree() -> None:
    """For a minute at least: servers learn of a leap second at different polls."""
    bound = made.bound(300, -0.001, 0.001)
    agreeing = [made.server(float(at), "a1") for at in range(220, 300, 16)]
    other = [made.server(at + 3.0, "a2", leap=1) for at in range(220, 300, 16)]
    found = node([bound, *agreeing, *other], 301)
    assert flags(found)["leap_mismatch"]["evidence"]["servers"] == {"a1": "none", "a2": "insert"}
    assert flags(found)["leap_mismatch"]["since"] == iso(T0 + 223 * made.NS)
    early = [each for each in agreeing + other if each.time_ns < T0 + 250 * made.NS]
    assert "leap_mismatch" not in flags(node([made.bound(250, -0.001, 0.001), *early], 251))
    kernel = made.sample("truechimer_kernel", 300, {"leap": 1, "synchronized": 1})
    assert "leap_mismatch" in flags(node([bound, *agreeing, kernel], 301))
    unset = made.sample("truechimer_kernel", 300, {"leap": 3, "synchronized": 0})
    assert "leap_mismatch" not in flags(node([bound, *agreeing, unset], 301))


def test_an_oscillator_out_of_specification_is_flagged() -> None:
    bound = made.bound(0, -0.001, 0.001, frequency_lower_ppm=260.0, frequency_upper_ppm=270.0)
    assert "oscillator_out_of_spec" in flags(node([bound], 5))


def test_a_node_that_never_sent_a_bound_is_unsynchronised() -> None:
    found = node([made.probe(0, 0.001)], 5)
    assert (found["state"], found["judgement"], found["status"]) == ("unsynchronised", "unproven", "unknown")
    assert found["bound_age_s"] is None


def test_one_node_comes_with_its_history_and_unknown_names_are_refused() -> None:
    samples = [made.bound(float(at), -0.001, 0.001) for at in range(0, 100, 10)]
    samples.append(made.bound(95, -0.001, 0.001, node="b"))
    found = node(samples, 96, node="a")
    assert len(found["history"]) == 10
    assert found["history"][0]["lower_s"] == -0.001
    with pytest.raises(UserError) as refused:
        clocks(samples, 96, node="c")
    assert refused.value.hint == "known nodes: a, b"
    with pytest.raises(UserError, match="cluster"):
        clocks(samples, 96, cluster="other")
    assert len(clocks(samples, 96, cluster="prod")["nodes"]) == 2


def test_the_past_is_answered_from_what_was_known_then() -> None:
    samples = [made.bound(100, -0.001, 0.001), made.bound(5000, 0.2, 0.3), *steady(100)]
    found = node(samples, 9000, to=iso(T0 + 105 * made.NS))
    assert (found["state"], found["judgement"], found["bound_age_s"]) == ("ok", "proven_within", 5)


def test_the_summary_counts_every_judgement() -> None:
    samples = [
        made.bound(0, -0.001, 0.001, node="a"),
        made.bound(0, 0.2, 0.3, node="b"),
        made.bound(0, -0.2, 0.3, node="c"),
    ]
    found = clocks(samples, 1)
    assert found["summary"] == {
        "nodes": 3,
        "proven_within": 1,
        "unproven": 1,
        "proven_beyond": 1,
        "flagged": 1,
    }
