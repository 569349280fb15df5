"""Uses beside request and connect: heartbeat, suspicion, election, session, lease and hedge."""

from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer

HOUR = 3600


def ask(samples: list[Sample], **options: str) -> dict[str, dict[str, Any]]:
    """The uses by name, of an hour."""
    store: Any = ArrayStore(samples, HOUR)
    document: Any = answer("timeouts", {"since": "30d", **options}, store)
    return {use["use"]: use for use in document["uses"]}


def hour(lost: frozenset[int] = frozenset()) -> list[Sample]:
    delays = np.random.default_rng(5).exponential(0.002, HOUR) + 0.001
    return [
        made.probe(float(at), None if at in lost else float(delay), via="stamp")
        for at, delay in enumerate(delays)
    ]


RUN = frozenset({1000, 1001, 1002})


def test_a_run_of_losses_from_a_live_peer_is_a_false_alarm_of_a_heartbeat_and_none_of_a_request() -> None:
    found = ask(hour(RUN), false_per_month="2500")
    assert found["request"]["timeout_s"] < 0.1
    assert 4.0 <= found["heartbeat"]["timeout_s"] < 4.1
    tolerant = ask(hour(RUN), false_per_month="20000")["heartbeat"]
    assert 1.0 <= tolerant["timeout_s"] < 1.1
    assert tolerant["false_per_month"]["estimate"] > 0


def test_suspicion_counts_in_whole_heartbeats() -> None:
    suspicion = ask(hour(RUN), false_per_month="2500")["suspicion"]
    assert suspicion["missed"] == 5
    assert suspicion["timeout_s"] == pytest.approx(5.0)
    assert suspicion["interval_s"] == pytest.approx(1.0)


def test_detection_budgets_add_up() -> None:
    """A peer dies right after a heartbeat or right before the next; an election waits for T to 2 T."""
    found = ask(hour(RUN), false_per_month="2500")
    heartbeat, election = found["heartbeat"], found["election"]
    timeout_s = heartbeat["timeout_s"]
    assert election["timeout_s"] == timeout_s
    assert heartbeat["detection_s"]["min"] == pytest.approx(timeout_s - 1)
    assert heartbeat["detection_s"]["max"] == pytest.approx(timeout_s, abs=0.05)
    assert election["detection_s"]["max"] == pytest.approx(2 * timeout_s, abs=0.05)
    for use in found.values():
        detection = use["detection_s"]
        assert 0 <= detection["min"] <= detection["mean"] <= detection["max"]


def test_a_session_outlasts_the_silence_and_a_reconnection() -> None:
    session = ask(hour(RUN), false_per_month="2500")["session"]
    assert session["timeout_s"] >= 4.0 + session["reconnect_s"]
    assert session["reconnect_s"] > 0


def test_what_notices_within_a_time_is_costed_for_each_use() -> None:
    """An election must be over by then: its timeout is less than half of it."""
    found = ask(hour(RUN), detect_within="6s")
    assert found["heartbeat"]["detection_s"]["max"] == pytest.approx(6.0)
    assert found["election"]["detection_s"]["max"] == pytest.approx(6.0)
    assert found["election"]["timeout_s"] < 3.0
    assert (
        found["election"]["false_per_month"]["estimate"] > found["heartbeat"]["false_per_month"]["estimate"]
    )
    assert found["lease"]["detection_s"]["max"] == pytest.approx(6.0)
    assert found["suspicion"]["detection_s"]["max"] <= 6.0
    assert found["suspicion"]["timeout_s"] == pytest.approx(5.0)


def test_a_time_in_which_nothing_can_be_noticed_is_refused_by_name() -> None:
    found = ask([*hour(), made.probe(HOUR + 1.0, 8.0, via="stamp")], detect_within="5s")
    assert "within 5 s" in found["session"]["refused"]["reason"]


def test_both_wishes_that_cannot_be_met_together_are_refused() -> None:
    found = ask(hour(RUN), false_per_month="2500", detect_within="6s")
    assert found["heartbeat"]["refused"] is None
    assert "no timeout meets both" in found["election"]["refused"]["reason"]


def test_a_lease_says_how_often_its_guard_is_outlived_and_that_only_fencing_removes_that() -> None:
    watched = [made.pause_window(10.0 * at, node=node) for at in range(1, 361) for node in ("a", "b")]
    pauses = [made.pause(500.2, 0.7, node="b"), made.pause(2500.2, 0.3, node="b")]
    lease = ask([*hour(RUN), *watched, *pauses], false_per_month="2500")["lease"]
    safety = lease["safety"]
    assert safety["guard_s"] > 0.7
    assert lease["timeout_s"] > 4.0 + safety["guard_s"]
    assert safety["observed_s"] == pytest.approx(7200.0)
    assert safety["violations_per_node_year"]["estimate"] == 0.0
    of_guards = {guard["guard_s"]: guard["violations_per_node_year"] for guard in safety["guards"]}
    assert of_guards[0.5]["estimate"] == pytest.approx(365.25 * 12)
    assert of_guards[0.2]["estimate"] == pytest.approx(2 * 365.25 * 12)
    assert "fencing" in safety["fencing"]


def test_a_lease_is_renewed_before_it_is_not_usable_any_more() -> None:
    """Round trips of 0.2 s, renewals each second: it must be usable for 1.2 s."""
    far = [made.probe(float(at), 0.2 + 0.001 * (at % 7), via="stamp") for at in range(HOUR)]
    lease = ask(far, false_per_month="2500")["lease"]
    assert lease["safety"]["usable_s"] >= 1.2


def test_rows_of_the_kernels_estimates_do_not_keep_pauses_from_being_answered() -> None:
    samples = [made.probe(10.0 * at, 0.002, via="kernel") for at in range(360)]
    samples += [made.pause_window(10.0 * at) for at in range(361)]
    found = ask(samples, false_per_month="1e5")
    assert found["heartbeat"]["timeout_s"] == pytest.approx(1.0)


def test_a_lease_where_nobody_watched_for_pauses_says_so() -> None:
    safety = ask(hour(RUN), false_per_month="2500")["lease"]["safety"]
    assert safety["violations_per_node_year"] is None
    assert safety["observed_s"] == 0


def test_hedging_begins_at_the_percentile_that_one_in_twenty_outlasts() -> None:
    hedge = ask(hour(RUN), false_per_month="2500")["hedge"]
    assert hedge["timeout_s"] == pytest.approx(0.001 + 0.002 * np.log(20), rel=0.1)
    assert hedge["extra_load_ratio"] == pytest.approx(0.05, abs=0.005)
    assert hedge["false_per_month"]["upper"] > hedge["false_per_month"]["estimate"]


def test_hedging_where_more_than_that_is_lost_has_no_time() -> None:
    hedge = ask(hour(frozenset(range(0, HOUR, 10))), detect_within="10s")["hedge"]
    assert hedge["timeout_s"] is None
    assert "lost" in hedge["refused"]["reason"]


def test_pauses_alone_are_advice_for_heartbeats_and_say_that_nobody_probed() -> None:
    """A GC log that was imported: three stops in a day, watched all the time."""
    day: Any = ArrayStore(
        [
            *(made.pause_window(10.0 * at, source="db", runtime="jvm") for at in range(8641)),
            *(made.pause(at, 2.5, "gc", source="db", runtime="jvm") for at in (1000.3, 30_000.3, 70_000.3)),
        ],
        86_400,
    )
    document: Any = answer("timeouts", {"since": "30d", "false_per_month": "100"}, day)
    found = {use["use"]: use for use in document["uses"]}
    assert list(found) == ["heartbeat", "suspicion", "election", "session", "lease"]
    assert found["heartbeat"]["timeout_s"] == pytest.approx(3.5)
    assert found["heartbeat"]["interval_s"] == 1.0
    assert found["heartbeat"]["binding"] == "pause:gc@a"
    assert "nobody probed" in document["assumptions"][0]
    assert document["evidence"]["max_pause_s"] == 2.5
    tolerant: Any = answer("timeouts", {"since": "30d", "false_per_month": "300"}, day)
    assert tolerant["uses"][0]["timeout_s"] == pytest.approx(1.0)
    assert tolerant["uses"][0]["false_per_month"]["estimate"] == pytest.approx(90, rel=0.01)


def test_pauses_of_a_watched_process_lengthen_its_silences_and_bind() -> None:
    """The probes, answered by the agent, felt nothing of them."""
    pauses = [
        made.pause(300.0 * at + 0.3, 2.0, "gc", node="b", source="db", runtime="jvm") for at in range(11)
    ]
    heartbeat = ask([*hour(), *pauses], false_per_month="2500")["heartbeat"]
    assert heartbeat["timeout_s"] >= 3.0
    assert heartbeat["binding"] == "pause:gc@b"
