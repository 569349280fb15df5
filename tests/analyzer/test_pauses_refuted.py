"""What was once told wrongly of pauses: lost rows, cut windows, several programs, hostile figures."""

import json
import time
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import NS, T0, ArrayStore
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.pauses import surroundings
from truechimer_analyzer.pauses.exposure import watched
from truechimer_analyzer.pauses.lengths import Lengths
from truechimer_analyzer.timeouts.binding import lengths_s
from truechimer_analyzer.window import Window

HOSTILE = (float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e-300, 1e300, 9e18, 1.0)
JVM = {"source": "db", "runtime": "jvm"}


def asked(samples: list[Sample], now_s: float = 3600, **options: str) -> dict[str, Any]:
    document: dict[str, Any] = answer("pauses", options, ArrayStore(samples, now_s))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document


def one(samples: list[Sample], name: str, **options: str) -> dict[str, Any]:
    return {each["source"]: each for each in asked(samples, **options)["sources"]}[name]


def felt(document: dict[str, Any], limit_s: float) -> dict[str, Any]:
    return {row["limit_s"]: row for row in document["felt"]}[limit_s]


def test_a_runtimes_row_that_was_lost_or_cut_off_is_not_taken_for_short_stops() -> None:
    """5 s of pause lie in the window and in no row, beside 1000 stops of 0.1 ms: 3.9 s are beyond 1 s."""
    samples = [made.pause_window(float(at)) for at in range(0, 3600, 10)]
    told = {"total_seconds": 5.1, "max_seconds": 5.0, "max_upper_seconds": 5.0, "threshold_seconds": 0.0}
    samples += [made.pause_window(10.0, count=1001, **told, **JVM)]  # type: ignore[arg-type]
    samples += [made.pause_window(float(at), threshold_seconds=0.0, **JVM) for at in range(20, 3600, 10)]  # type: ignore[arg-type]
    observed_s = 3590.0
    found = one(samples, "db")
    assert felt(found, 1.0)["arrival_upper"] >= 4.0 / observed_s
    # With the row, the others are short: what is told is as tight as it was.
    found = one([*samples, made.pause(4.0, 5.0, "gc", **JVM)], "db")
    assert felt(found, 1.0)["arrival_upper"] == pytest.approx(4.0 / observed_s)


def test_asking_for_one_source_tells_the_same_of_it() -> None:
    """The node's threshold is in the windows of its meter, whoever is asked about."""
    told = {"total_seconds": 0.6, "max_seconds": 0.5, "max_upper_seconds": 0.5, "threshold_seconds": 0.0}
    samples = [made.pause_window(10.0), made.pause_window(10.0, count=101, **told, **JVM)]  # type: ignore[arg-type]
    samples += [made.pause(5.0, 0.5, "gc", **JVM)]
    assert one(samples, "db") == one(samples, "db", source="db")


def test_two_programs_of_one_name_do_not_reach_back_before_their_windows() -> None:
    """Ten programs are watched for 100 s in each 10 s: an agent that was gone for a minute shows."""
    kind = {"source": "web", "runtime": "cpython"}
    samples = [
        made.pause_window(float(at), 100.0, **kind) for at in (*range(10, 110, 10), *range(180, 290, 10))
    ]  # type: ignore[arg-type]
    found = one(samples, "web")
    assert found["observed_s"] == 2100.0
    assert found["unwatched"][0] == {
        "from": "2026-11-22T20:01:40.000000Z",
        "to": "2026-11-22T20:02:50.000000Z",
    }
    assert found["unwatched_s"] == pytest.approx(70 + 3320)


def test_a_pause_in_a_window_that_was_watched_in_part_counts_once() -> None:
    """A process that ended 3 s into the window: its pause of the first second is in the window's count."""
    window = made.pause_window(10.0, 3.0, count=1, total_seconds=0.5, max_seconds=0.5, **JVM)  # type: ignore[arg-type]
    found = one([window, made.pause(1.0, 0.5, "gc", **JVM)], "db")
    assert (found["count"], found["total_s"], found["per_hour"]) == (1, 0.5, 1200)


def test_a_meters_longest_is_enclosed_by_its_windows_alone() -> None:
    """Seen 0.1 s late at deadlines every 10 ms, and its row lost: it may have lasted 0.11 s."""
    window = made.pause_window(10.0, count=1, total_seconds=0.1, max_seconds=0.1, interval_seconds=0.01)
    found = one([window], "host")
    assert (found["max_s"], found["max_upper_s"]) == (0.1, pytest.approx(0.11))


def test_how_many_pauses_are_hardly_longer_than_the_threshold_a_meter_cannot_know() -> None:
    """A pause of 12 ms is seen 2 to 12 ms late: under a threshold of 5 ms often not at all."""
    window = made.pause_window(10.0, count=1, total_seconds=0.1, max_seconds=0.1, interval_seconds=0.01)
    found = one([window, made.pause(5.0, 0.1, interval_seconds=0.01)], "host")
    assert felt(found, 0.01)["staying_upper"] is None
    assert felt(found, 0.01)["arrival_upper"] == pytest.approx(0.009)
    assert felt(found, 0.02)["staying_upper"] == pytest.approx(0.108)


def test_a_threshold_that_was_lowered_says_nothing_of_before() -> None:
    samples = [made.pause_window(float(at), threshold_seconds=0.5) for at in range(0, 1000, 10)]
    samples += [made.pause_window(float(at), threshold_seconds=0.005) for at in range(1000, 3600, 10)]
    found = one(samples, "host")
    assert (found["felt"][0]["limit_s"], found["residual_p999_upper_s"]) == (0.5, 0.5)


def test_an_old_spool_that_arrives_now_hides_no_gap() -> None:
    """Windows of an hour ago are heard of now: the hour since is unwatched all the same."""
    samples = [made.pause_window(float(at)) for at in range(10, 110, 10)]
    rows = made.columns("truechimer_pause_window", samples, late_s=3500.0)
    window = Window(T0, T0 + 2 * 3600 * NS, T0 + 3600 * NS, open=True)
    seen = watched(rows, np.arange(len(rows)), window)
    assert seen.unwatched(window) == [(T0 + 100 * NS, T0 + 3600 * NS)]


def test_a_disks_stalls_between_two_probes_are_made_up_for() -> None:
    """Stalls of 0.2 s at random, probed every second: a fifth is seen, by half; Q is told without bias."""
    rng = np.random.default_rng(7)
    observed_s, length_s, limit_s = 300_000.0, 0.2, 0.1
    begins = np.cumsum(5.0 + rng.exponential(5.0, 25_000))
    begins = begins[begins < observed_s]
    late_s = begins + length_s - np.ceil(begins)
    found = Lengths.of(late_s[late_s > 0.005], interval_s=1.0)
    truth = len(begins) * (length_s - limit_s) / observed_s
    assert found.beyond_s(limit_s) / observed_s == pytest.approx(truth, rel=0.1)
    kind = {"source": "disk:/d", "runtime": "disk", "interval_seconds": 1.0}
    window = made.pause_window(100.0, 100.0, count=1, total_seconds=0.15, max_seconds=0.15, **kind)  # type: ignore[arg-type]
    told = one([window, made.pause(50.0, 0.15, "io", **kind)], "disk:/d")  # type: ignore[arg-type]
    assert (told["short_by_up_to_s"], told["max_upper_s"]) == (1.0, pytest.approx(1.15))
    assert felt(told, 0.1)["arrival"] == pytest.approx(0.01)


def test_probes_hidden_by_a_slow_one_are_in_the_distribution() -> None:
    """10 s of a second's grid: nine were due meanwhile and would have taken 9 … 1 s."""
    fields = {"outcome": 0, "interval_seconds": 1.0}
    slow = made.sample("truechimer_fsync", 10.0, {**fields, "duration_seconds": 10.0, "hidden": 9}, disk="/d")
    quick = [
        made.sample(
            "truechimer_fsync", 20.0 + i, {**fields, "duration_seconds": 0.001, "hidden": 0}, disk="/d"
        )
        for i in range(90)
    ]
    (disk,) = asked([slow, *quick])["disks"]
    assert (disk["probes"], disk["hidden"], disk["max_s"]) == (91, 9, 10.0)
    assert (disk["p50_s"], disk["p90_s"]) == (0.001, pytest.approx(0.001))
    assert disk["p99_s"] == pytest.approx(9.0)


def test_hidden_probes_that_cannot_be_cost_nothing() -> None:
    def lengths(took_s: float, hidden: float, interval_s: float) -> Lengths:
        columns = (np.full(50, value) for value in (took_s, hidden, interval_s))
        return surroundings._with_hidden(*columns)

    assert lengths(0.5, 1e15, 1.0).count == 50
    assert lengths(0.5, 3, 0.0).count == lengths(0.5, np.nan, 0.1).count == 50
    many = lengths(1e9, 1e15, 1e-9)
    assert len(many.total_s) <= 50 * 1001
    day = lengths(86_400.0, 86_399, 1.0)
    assert day.count == 50 * 86_400
    assert day.quantiles()["p50_s"] == pytest.approx(43_200, rel=0.002)


def test_the_kernels_waits_may_be_fewer_than_counted_and_the_quantiles_hold() -> None:
    """A second of waits that count as ten at most may be two of half a second."""
    lengths = Lengths.of(np.array([1.0]), np.array([10.0]), counts_at_most=True)
    upper = lengths.quantiles_upper()["p50_s"]
    assert upper is not None
    assert upper >= 0.5


def test_a_program_of_no_known_runtime_tells_pauses_and_not_waits() -> None:
    kind = {"source": "app", "runtime": "process"}
    window = made.pause_window(10.0, count=1, total_seconds=0.5, max_seconds=0.5, **kind)  # type: ignore[arg-type]
    found = one([window, made.pause(5.0, 0.5, "gc", **kind)], "app")
    assert (found["count_of"], found["paused_ratio"]) == ("pauses", pytest.approx(0.05))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_hostile_rows_neither_crash_nor_leave_json(data: st.DataObject) -> None:
    value = st.sampled_from(HOSTILE)

    def some(*names: str) -> dict[str, float]:
        return {name: data.draw(value) for name in names if data.draw(st.booleans())}

    samples: list[Sample] = []
    for at in range(10, 60, 10):
        runtime = data.draw(st.sampled_from(["host", "process", "jvm", "disk", "cpython"]))
        kind = {"source": "x", "runtime": runtime}
        told = some("count", "total_seconds", "max_seconds", "max_upper_seconds", "threshold_seconds")
        told |= some("interval_seconds")
        samples.append(made.pause_window(float(at), data.draw(value), **kind, **told))  # type: ignore[arg-type]
        samples.append(
            made.pause(
                at - 5.0, data.draw(value), **kind, **some("pauses", "interval_seconds", "steal_seconds")
            )  # type: ignore[arg-type]
        )
        fsync = {"outcome": data.draw(st.sampled_from([0, 1, 2, 7]))}
        fsync |= some("duration_seconds", "hidden", "interval_seconds")
        samples.append(made.sample("truechimer_fsync", float(at), fsync, disk="/d"))
        process = some("observed_seconds", "processes", "run_seconds", "run_delay_seconds", "major_faults")
        if process:
            samples.append(made.sample("truechimer_process", float(at), process, **kind))
        heap = some("old_used_bytes", "old_full_ratio", "collecting_seconds")
        if heap:
            samples.append(made.sample("truechimer_heap", float(at), heap, **kind))
    asked(samples)
    asked(samples, stay="36500d", heartbeat="0.000000000001ms")
    lengths = lengths_s(made.columns("truechimer_pause", samples))
    assert not np.isinf(lengths).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_runtimes_figures_enclose_the_truth_whatever_is_lost(seed: int) -> None:
    """Stops from 0.1 ms to 3 s in windows of 10 s; some are summed, some rows lost, the beginning cut off."""
    rng = np.random.default_rng(seed)
    begins = np.sort(rng.uniform(0, 200, rng.integers(1, 60)))
    lasted = np.minimum(10 ** rng.uniform(-4, 0.5, len(begins)), np.append(np.diff(begins), 3.0) * 0.9)
    lasted = np.maximum(lasted, 1e-6)
    # Near the edge of a window no row is known to be of it.
    inside = np.abs((begins + lasted) % 10 - 5) < 3.9
    begins, lasted = begins[inside], lasted[inside]
    since_s = float(rng.integers(0, 60))
    ends = np.arange(10.0, 211.0, 10.0)
    of = np.searchsorted(ends, begins + lasted)
    samples = [made.pause_window(float(at), threshold_seconds=0.05) for at in ends]
    cut = 0.0
    for number, end_s in enumerate(ends):
        mine = lasted[of == number]
        told = {"count": len(mine), "total_seconds": mine.sum(), "max_seconds": mine.max(initial=0.0)}
        told["max_upper_seconds"] = told["max_seconds"]
        if end_s >= since_s:
            cut += 10.0
            samples.append(made.pause_window(float(end_s), threshold_seconds=0.0, **told, **JVM))  # type: ignore[arg-type]
        rows = np.flatnonzero((of == number) & (lasted >= 0.05))
        if len(rows) > 1 and rng.random() < 0.3:
            summed = float(lasted[rows].sum())
            samples.append(made.pause(float(begins[rows[0]]), summed, "gc", **JVM, pauses=len(rows)))  # type: ignore[arg-type]
        elif not (len(rows) and rng.random() < 0.2):
            samples += [made.pause(float(begins[row]), float(lasted[row]), "gc", **JVM) for row in rows]
    kept = [each for each in samples if each.time_ns >= T0 + round(since_s * NS)]
    found = one(kept, "db")
    truth = lasted[ends[np.minimum(of, len(ends) - 1)] >= since_s]
    if not len(truth) or found["observed_s"] <= 0:
        return
    longest = found["max_s"], found["max_upper_s"]
    assert longest[0] <= truth.max() + 1e-6
    assert truth.max() <= longest[1] + 1e-6
    for row in found["felt"]:
        real = min(1.0, np.maximum(0, truth - row["limit_s"]).sum() / cut)
        assert real <= row["arrival_upper"] + 1e-6


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_meters_sums_enclose_what_it_saw_short(seed: int) -> None:
    """Rows that were lost become a sum: upper figures hold for the pauses as they really were."""
    rng = np.random.default_rng(seed)
    interval_s = 0.01
    lasted = 10 ** rng.uniform(-1.8, 0.5, rng.integers(2, 30))
    seen = lasted - rng.uniform(0, interval_s, len(lasted))
    known = Lengths.of(np.zeros(0), interval_s=interval_s).with_sum(
        float(seen.sum()), float(len(seen)), float(seen.max())
    )
    for x_s in (0.0, 0.005, 0.02, 0.1, 1.0):
        assert np.maximum(0, lasted - x_s).sum() <= known.beyond_upper_s(x_s) + 1e-9
        assert np.count_nonzero(lasted > x_s) <= known.longer_than(x_s)[1]
    assert lasted.max() <= (known.longest_s() or (0, 0))[1] + 1e-9


def test_a_hundred_thousand_pauses_cost_little_more_than_ten_thousand() -> None:
    def costs_s(count: int) -> float:
        samples = [made.pause(i * 3600 / count, 0.01 + 1e-7 * i, pauses=1 + i % 3) for i in range(count)]
        samples += [made.pause_window(float(at)) for at in range(0, 3600, 10)]
        store = ArrayStore(samples, 3600)
        began = time.process_time()
        answer("pauses", {}, store)  # type: ignore[arg-type]
        return time.process_time() - began

    costs_s(100)
    # Linear is 10 times, quadratic 100.
    assert costs_s(100_000) < 40 * max(0.02, costs_s(10_000))
