"""`pauses`: exposure, rates, causes and evidence."""

import json
from typing import Any

import pytest
from analyzer import synthetic as made
from analyzer.synthetic import T0, ArrayStore

from truechimer.errors import UserError
from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.window import iso


def sources(samples: list[Sample], **options: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = answer("pauses", options, ArrayStore(samples, 3600))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document["sources"]


def test_nobody_looking_is_no_source() -> None:
    assert sources([]) == []


def test_a_quiet_window_is_not_the_same_as_nothing_observed() -> None:
    (quiet,) = sources([made.pause_window(float(at)) for at in range(0, 3600, 10)])
    assert (quiet["observed_s"], quiet["count"], quiet["per_hour"]) == (3600, 0, 0)
    assert (quiet["max_s"], quiet["residual_p999_s"], quiet["threshold_s"]) == (None, 0, 0.005)
    (blind,) = sources([made.pause(5.0, 0.1)])
    assert (blind["observed_s"], blind["count"], blind["per_hour"]) == (0, 1, None)
    assert blind["residual_p999_s"] is None


def test_pauses_are_counted_by_cause_and_the_longest_keep_their_evidence() -> None:
    samples = [made.pause_window(float(at)) for at in range(0, 360, 10)]
    samples += [made.pause(10.0 * i, 0.01 * (i + 1), "stopped" if i % 3 else "run_queue") for i in range(12)]
    (found,) = sources(samples)
    assert (found["source"], found["runtime"]) == ("host", "host")
    assert found["causes"] == {"stopped": 8, "run_queue": 4}
    assert found["per_hour"] == pytest.approx(120)
    assert found["total_s"] == pytest.approx(0.78)
    assert len(found["longest"]) == 10
    longest = found["longest"][0]
    assert longest["at"] == iso(T0 + 110 * made.NS)
    assert longest["duration_s"] == pytest.approx(0.12)
    assert (longest["cause"], longest["confidence"]) == ("stopped", 0.9)
    assert longest["evidence"] == {"run_delay_seconds": 0.0}
    assert [pause["at"] for pause in found["timeline"]] == sorted(pause["at"] for pause in found["timeline"])
    assert (found["p50_s"], found["p99_s"]) == (pytest.approx(0.06), None)


def test_the_timeline_keeps_the_newest_500() -> None:
    (found,) = sources([made.pause(float(i), 0.01) for i in range(700)])
    assert len(found["timeline"]) == 500
    assert found["timeline"][-1]["at"] == iso(T0 + 699 * made.NS)


def jvm(at_s: float, **fields: float) -> Sample:
    return made.pause_window(at_s, source="cassandra", runtime="jvm", **fields)


def test_windows_count_exactly_what_was_not_seen_singly() -> None:
    """Three single pauses and a sum of seven: count and total are the windows', the longest is enclosed."""
    samples = [
        jvm(float(at), count=5, total_seconds=0.5, max_seconds=0.1, max_upper_seconds=0.3) for at in (10, 20)
    ]
    kind = {"cause": "gc", "source": "cassandra", "runtime": "jvm"}
    samples += [made.pause(2.0 + i, 0.1, **kind) for i in range(3)]  # type: ignore[arg-type]
    samples += [made.pause(12.0, 0.7, pauses=7, sync_seconds=0.01, **kind)]  # type: ignore[arg-type]
    (found,) = sources(samples, source="cassandra")
    assert (found["count"], found["recorded"], found["not_seen_singly"]) == (10, 10, 7)
    assert (found["total_s"], found["causes"]) == (pytest.approx(1.0), {"gc": 10})
    assert found["per_hour"] == pytest.approx(1800)
    assert (found["max_s"], found["max_upper_s"]) == (pytest.approx(0.1), pytest.approx(0.3))
    assert (found["p50_s"], found["p50_upper_s"]) == pytest.approx((0.1, 0.7 / 6))
    (summed,) = [pause for pause in found["longest"] if "pauses" in pause]
    assert (summed["pauses"], summed["sum_s"]) == (7, pytest.approx(0.7))
    assert (summed["duration_s"], summed["upper_s"]) == (pytest.approx(0.1), pytest.approx(0.3))
    assert summed["evidence"]["sync_seconds"] == 0.01


def test_what_the_windows_count_and_nobody_recorded_is_felt_at_most() -> None:
    """The meter's pipe was full: two pauses of a second together, each seen up to 10 ms short."""
    window = made.pause_window(10.0, count=2, total_seconds=1.0, max_seconds=0.8, interval_seconds=0.01)
    (found,) = sources([window])
    assert (found["count"], found["recorded"]) == (2, 0)
    assert (found["max_s"], found["interval_s"]) == (0.8, 0.01)
    by_limit = {row["limit_s"]: row for row in found["felt"]}
    assert (by_limit[0.1]["arrival"], by_limit[0.1]["arrival_upper"]) == pytest.approx((0.08, 0.082))
    assert (by_limit[0.5]["arrival"], by_limit[0.5]["arrival_upper"]) == pytest.approx((0.0, 0.031))


def test_stops_too_short_to_be_recorded_are_no_longer_than_the_nodes_threshold() -> None:
    """A second of stops of 1 ms beside one of 0.5 s: nobody may wait 10 ms for the short ones."""
    window = jvm(
        10.0, count=1001, total_seconds=1.5, max_seconds=0.5, max_upper_seconds=0.5, threshold_seconds=0.0
    )
    long = made.pause(5.0, 0.5, "gc", source="cassandra", runtime="jvm")
    found = {each["source"]: each for each in sources([window, long, made.pause_window(10.0)])}["cassandra"]
    assert (found["count"], found["recorded"], found["total_s"]) == (1001, 1, 1.5)
    first = found["felt"][0]
    assert (first["limit_s"], first["arrival"], first["arrival_upper"]) == (
        0.01,
        pytest.approx(0.049),
        pytest.approx(0.049),
    )
    # Without the node's threshold they may be as long as the longest.
    (alone,) = sources([window, long])
    assert alone["felt"][0]["arrival_upper"] == pytest.approx(0.049 + 2 * 0.049)


def test_a_source_that_fell_silent_is_unknown_and_its_gaps_are_told() -> None:
    samples = [made.pause_window(float(at)) for at in (*range(10, 1000, 10), *range(2000, 3000, 10))]
    (found,) = sources(samples)
    assert (found["state"], found["last_watched_s"]) == ("unknown", pytest.approx(610))
    gaps = [(gap["from"], gap["to"]) for gap in found["unwatched"]]
    assert gaps == [
        (iso(T0 + 990 * made.NS), iso(T0 + 1990 * made.NS)),
        (iso(T0 + 2990 * made.NS), iso(T0 + 3600 * made.NS)),
    ]
    assert found["unwatched_s"] == pytest.approx(1610)
    assert found["observed_s"] == pytest.approx(1990)
    (live,) = sources([made.pause_window(float(at)) for at in range(0, 3600, 10)])
    assert (live["state"], live["unwatched_s"], live["unwatched"]) == ("watched", 0, [])


def test_a_pause_that_no_window_holds_yet_is_counted_but_has_no_exposure() -> None:
    samples = [made.pause_window(float(at)) for at in range(10, 3600, 10)]
    (found,) = sources([*samples, made.pause(3595.0, 0.5)])
    assert (found["count"], found["per_hour"], found["max_s"]) == (1, 0, 0.5)
    assert found["residual_p999_s"] == 0


def test_without_exposure_the_answer_says_what_is_missing() -> None:
    (blind,) = sources([made.pause(5.0, 0.1)])
    assert "nobody was looking" in blind["refused"]["reason"]
    assert (blind["state"], blind["felt"], blind["unwatched_s"]) == ("unknown", [], 3600)


def test_a_meter_says_how_short_it_reads() -> None:
    window = made.pause_window(10.0, count=1, total_seconds=0.1, max_seconds=0.1, interval_seconds=0.01)
    (found,) = sources([window, made.pause(5.0, 0.1, interval_seconds=0.01)])
    assert (found["interval_s"], found["short_by_up_to_s"]) == (0.01, 0.01)
    assert (found["max_s"], found["max_upper_s"]) == (pytest.approx(0.1), pytest.approx(0.11))
    assert found["longest"][0]["upper_s"] == pytest.approx(0.11)
    # A stop that a runtime tells of is whole, however seldom it is looked at.
    told = made.pause(5.0, 0.1, source="x", runtime="jvm", interval_seconds=0.1)
    (whole,) = sources([told])
    assert (whole["short_by_up_to_s"], whole["max_upper_s"]) == (0, pytest.approx(0.1))


def test_the_kernels_view_counts_waits_not_pauses() -> None:
    kind = {"source": "hog", "runtime": "process"}
    window = made.pause_window(10.0, count=5000, total_seconds=7.5, max_seconds=0.02, **kind)  # type: ignore[arg-type]
    (found,) = sources([window])
    assert (found["count"], found["count_of"], found["total_s"]) == (5000, "waits", 7.5)
    # Waits that are summed over the tasks are no share of time in which the process stood.
    assert found["felt"][0]["arrival_upper"] == 0


def test_lengths_are_told_by_cause() -> None:
    samples = [made.pause_window(float(at)) for at in range(10, 110, 10)]
    samples += [made.pause(10.0 + i, 0.01 * (i + 1), "io" if i % 2 else "steal") for i in range(10)]
    (found,) = sources(samples)
    assert found["by_cause"]["io"]["count"] == 5
    assert found["by_cause"]["io"]["max_s"] == pytest.approx(0.1)
    assert list(found["by_cause"]) == ["io", "steal"]


def test_a_source_that_is_none_is_refused_with_those_known() -> None:
    with pytest.raises(UserError, match="no source 'kafka'") as refused:
        sources([jvm(10.0)], source="kafka")
    assert refused.value.hint == "known sources: cassandra"


def test_lengths_that_are_none_are_left_out() -> None:
    (found,) = sources(
        [made.pause(5.0, 0.0), made.pause(6.0, -1.0), made.pause_window(10.0, observed_s=-3.0)]
    )
    assert (found["count"], found["observed_s"], found["max_s"]) == (0, 0, None)
