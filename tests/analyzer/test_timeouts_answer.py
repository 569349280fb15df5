"""`timeouts`: advice, refusals with what would be needed, what binds, and the backtest."""

import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore
from scipy.stats import beta

from truechimer.codes import ProbeOutcome
from truechimer.errors import NotEnough
from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.timeouts import TimeoutsRefused

HOUR = 3600
USES = ["request", "connect", "heartbeat", "suspicion", "election", "session", "lease", "hedge"]


def ask(samples: list[Sample], now_s: float = HOUR, **options: str) -> dict[str, Any]:
    document = answer("timeouts", {"since": "30d", **options}, ArrayStore(samples, now_s))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document


def hour(seed: int = 3, via: str = "tcp", peer: str = "b") -> list[Sample]:
    delays = np.random.default_rng(seed).exponential(0.002, HOUR) + 0.001
    return [made.probe(float(at), float(delay), via=via, peer=peer) for at, delay in enumerate(delays)]


def test_an_empty_store_says_what_is_missing() -> None:
    with pytest.raises(NotEnough, match="none was made") as refused:
        ask([])
    assert "tcp" in (refused.value.hint or "")
    assert refused.value.exit_code == 4


def test_probes_without_a_reply_say_so() -> None:
    with pytest.raises(NotEnough, match="5 probes"):
        ask([made.probe(float(at), None) for at in range(5)])
    with pytest.raises(NotEnough, match="3 refused"):
        ask([made.probe(float(at), None, outcome=ProbeOutcome.REFUSED) for at in range(3)])


def test_a_target_that_the_evidence_supports_is_answered() -> None:
    found = ask(hour(), false_per_month="10000")
    assert [use["use"] for use in found["uses"]] == USES
    request = found["uses"][0]
    assert request["refused"] is None
    assert request["false_per_month"]["estimate"] <= request["false_per_month"]["upper"] <= 10_000
    assert request["detection_s"] == dict.fromkeys(("min", "mean", "max"), request["timeout_s"])
    assert request["basis"] == "empirical"
    assert request["binding"] == "path:a>b/tcp"
    assert 0.005 < request["timeout_s"] < 0.05
    assert found["evidence"]["rate_hz"] == pytest.approx(1.0)
    assert found["evidence"]["samples"] == HOUR
    assert found["products"] == []
    assert found["asked"]["false_per_month"] == 10_000


def test_a_target_beyond_the_evidence_is_refused_with_the_time_it_needs() -> None:
    """One false timeout a month at 1 Hz is one in 2.6 million: an hour cannot vouch for that."""
    with pytest.raises(TimeoutsRefused) as refused:
        ask(hour())
    document = refused.value.document
    json.dumps(document, allow_nan=False)
    assert document["window_s"] == 30 * 86_400
    request = document["uses"][0]
    assert request["timeout_s"] is None
    needed = 3 * document["evidence"]["mean_cluster"] * 30 * 86_400 - HOUR
    assert request["refused"]["needed_s"] == pytest.approx(needed, rel=0.001)
    assert "days more" in request["refused"]["reason"]
    strictest = request["strictest_supported"]
    assert strictest["timeout_s"] >= document["evidence"]["max_rtt_s"]
    answered = ask(hour(), false_per_month=str(strictest["false_per_month"] * 1.001))
    assert answered["uses"][0]["timeout_s"] == strictest["timeout_s"]
    assert refused.value.exit_code == 4
    assert "--false-per-month" in (refused.value.hint or "")


def test_a_lower_rate_asks_for_less() -> None:
    assert ask(hour(), false_per_month="1", rate="0.0001")["uses"][0]["refused"] is None


def test_losses_and_own_stalls_are_no_false_timeouts() -> None:
    samples = hour()
    samples += [made.probe(HOUR + float(at), None) for at in range(50)]
    samples += [made.probe(HOUR + 100.0 + at, 2.0, outcome=ProbeOutcome.OWN_STALL) for at in range(5)]
    with_losses = ask(samples, HOUR * 2, false_per_month="10000", rate="1")
    without = ask(hour(), HOUR * 2, false_per_month="10000", rate="1")
    assert with_losses["evidence"]["lost"] == 50
    assert with_losses["evidence"]["own_stall"] == 5
    assert with_losses["evidence"]["max_rtt_s"] < 1
    assert with_losses["uses"][0]["timeout_s"] == pytest.approx(without["uses"][0]["timeout_s"], rel=0.05)


def test_the_kernels_estimates_of_real_connections_are_no_operations() -> None:
    """Smoothed and not of a probe each: timeouts neither count them nor take their delays."""
    probes = hour()
    estimates = [made.probe(float(at), 5.0, via="kernel", peer="c") for at in range(0, HOUR, 10)]
    assert ask(probes + estimates, false_per_month="10000") == ask(probes, false_per_month="10000")
    with pytest.raises(NotEnough):
        ask(estimates)


def test_the_worst_path_decides_and_is_named() -> None:
    samples = hour() + [
        made.probe(at + 0.5, 0.9 if at % 100 == 0 else 0.002, peer="far", via="icmp") for at in range(HOUR)
    ]
    found = ask(samples, false_per_month="20000")
    request, connect = found["uses"][:2]
    assert request["timeout_s"] >= 0.9
    assert request["binding"] == "path:a>far/icmp"
    assert connect["timeout_s"] < 0.1
    assert request["paths"][0]["path"] == "path:a>far/icmp"


def test_a_stream_on_the_worst_path_is_bounded_by_that_paths_own_evidence() -> None:
    """Twenty paths, one of them with three slow replies: the pool looks far better than that path."""
    samples = [
        made.probe(
            at + index * 0.05, 0.5 if index == 3 and at in (100, 1500, 2900) else 0.002, peer=f"p{index}"
        )
        for index in range(20)
        for at in range(HOUR)
    ]
    cost = ask(samples, detect_within="100ms")["uses"][0]["false_per_month"]
    alone = beta.ppf(1 - 0.05 / 20, 3 + 1, HOUR - 3) * 30 * 86_400
    assert cost["worst_path_upper"] == pytest.approx(alone, rel=0.01)
    assert cost["upper"] < cost["worst_path_upper"]


def test_a_path_of_three_probes_vouches_for_nothing_yet_does_not_void_the_others_advice() -> None:
    thin = [made.probe(float(at), 0.002, peer="new") for at in range(3)]
    found = ask([*hour(), *thin], false_per_month="10000", rate="1")["uses"][0]
    assert found["refused"] is None
    assert found["false_per_month"]["worst_path_upper"] == 30 * 86_400


def test_with_a_single_path_both_bounds_are_one() -> None:
    cost = ask(hour(), detect_within="12ms")["uses"][0]["false_per_month"]
    assert cost["worst_path_upper"] == pytest.approx(cost["upper"], rel=0.03)


def test_a_pause_that_covers_the_slow_replies_binds() -> None:
    samples = hour()
    for at in range(0, HOUR, 600):
        samples[at] = made.probe(float(at), 0.8)
        samples.append(made.pause(at - 0.1, 0.9, "throttled"))
    found = ask(samples, false_per_month="50000")
    assert found["uses"][0]["binding"] == "pause:throttled@a"
    assert found["evidence"]["max_pause_s"] == 0.9


def slow_replies(*pauses: Sample, peer: str = "b") -> str:
    """What binds when a hundred replies of 0.8 s are in an hour, with these pauses beside each."""
    samples = hour()
    for at in range(100):
        samples.append(made.probe(30.5 + 36 * at, 0.8, via="stamp", peer=peer))
    binding: str = ask([*samples, *pauses], false_per_month="1e5")["uses"][0]["binding"]
    return binding


def collections(node: str, **fields: float) -> list[Sample]:
    """A collection of 0.9 s of a watched process at each slow reply."""
    fields = {"duration_s": 0.9, **fields}
    return [
        made.pause(30.4 + 36 * at, cause="gc", node=node, source="kafka", runtime="jvm", **fields)  # type: ignore[arg-type]
        for at in range(100)
    ]


def test_collections_of_a_watched_process_at_the_far_end_bind_by_name() -> None:
    assert slow_replies(*collections("b")) == "pause:gc@b"
    # Also when only the near end was asked about.
    samples = [made.probe(30.5 + 36 * at, 0.8) for at in range(100)]
    found = ask([*samples, *collections("b")], node="a", false_per_month="1e6")
    assert found["uses"][0]["binding"] == "pause:gc@b"


def test_pauses_of_nodes_that_are_at_neither_end_bind_nothing() -> None:
    assert slow_replies(*collections("c")) == "path:a>b/stamp"


def test_a_sum_binds_by_its_mean_and_never_by_itself() -> None:
    assert slow_replies(*collections("b", pauses=2)) == "pause:gc@b"
    assert slow_replies(*collections("b", pauses=9)) == "path:a>b/stamp"
    found = ask([*hour(), made.pause(5.0, 0.9, pauses=9)], false_per_month="1e5")
    assert found["evidence"]["max_pause_s"] == pytest.approx(0.1)


def test_a_whole_hosts_pause_binds_before_that_of_one_of_its_processes() -> None:
    stopped = [made.pause(30.4 + 36 * at, 0.7, "steal", node="b") for at in range(100)]
    assert slow_replies(*collections("b"), *stopped) == "pause:steal@b"


def test_a_slow_disk_binds_no_path() -> None:
    fields = {"duration_seconds": 0.9, "outcome": 0}
    disk = [made.sample("truechimer_fsync", 30.4 + 36 * at, fields, disk="/var") for at in range(100)]
    assert slow_replies(*disk) == "path:a>b/stamp"
    kind = {"cause": "io", "node": "a", "source": "disk:var", "runtime": "disk"}
    stalls = [made.pause(30.4 + 36 * at, 0.9, **kind) for at in range(100)]  # type: ignore[arg-type]
    assert slow_replies(*stalls) == "path:a>b/stamp"


def test_detect_within_alone_asks_what_it_costs() -> None:
    found = ask(hour(), detect_within="500ms")
    request = found["uses"][0]
    assert request["timeout_s"] == 0.5
    assert request["false_per_month"]["estimate"] == 0
    assert request["false_per_month"]["upper"] == pytest.approx(
        found["evidence"]["supported_exceedance"] * 30 * 86_400
    )


def test_both_wishes_that_cannot_be_met_together_are_refused() -> None:
    with pytest.raises(TimeoutsRefused) as refused:
        ask(hour(), detect_within="5ms", false_per_month="10000")
    assert "both" in refused.value.document["uses"][0]["refused"]["reason"]


def test_the_frontier_trades_detection_against_false_timeouts() -> None:
    frontier = ask(hour(), false_per_month="10000")["frontier"]
    assert 10 < len(frontier) <= 60
    assert [p["timeout_s"] for p in frontier] == sorted(p["timeout_s"] for p in frontier)
    uppers = [p["upper"] for p in frontier]
    assert uppers == sorted(uppers, reverse=True)
    assert all(p["false_per_month"] <= p["upper"] for p in frontier)


def test_the_backtest_walks_forward() -> None:
    """In the contract's units, with the fold that the past did not foresee as the worst."""
    samples = [made.probe(float(at), 0.001 if at < HOUR / 2 else 0.2) for at in range(HOUR)]
    trials = ask(samples, false_per_month="1200000")["backtest"]
    assert trials[0]["detector"] == "fixed(0.001…0.2s)"
    assert trials[0]["fitted"]
    assert trials[0]["mistakes"] > HOUR / 10
    assert trials[0]["worst_window"] is not None
    by_name = {trial["detector"]: trial["mistakes"] for trial in trials}
    assert by_name["fixed(1s)"] == 0
    assert by_name["fixed(0.1s)"] == HOUR / 2
