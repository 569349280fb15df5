"""Processes, heaps and disks beside the pauses: sums, last words, early warnings, exposure of probes."""

import json
from typing import Any

import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer


def asked(samples: list[Sample], **options: str) -> dict[str, Any]:
    document: dict[str, Any] = answer("pauses", options, ArrayStore(samples, 3600))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document


def process(at_s: float, **fields: float) -> Sample:
    values = {"observed_seconds": 10.0, "processes": 1, "tasks": 8, "interval_seconds": 0.1, **fields}
    return made.sample("truechimer_process", at_s, values, source="db", runtime="process")


def heap(at_s: float, **fields: float) -> Sample:
    return made.sample("truechimer_heap", at_s, fields, source="db", runtime="jvm")


def fsync(at_s: float, took_s: float | None, outcome: int = 0) -> Sample:
    fields = {"outcome": outcome} if took_s is None else {"outcome": outcome, "duration_seconds": took_s}
    return made.sample("truechimer_fsync", at_s, fields, disk="/var/lib/etcd")


def test_a_process_is_summed_and_its_run_delay_is_a_share_of_what_it_wanted() -> None:
    samples = [
        process(10.0, run_seconds=2.0, run_delay_seconds=6.0, run_delay_seconds_max=3.0, started=1),
        process(20.0, run_seconds=2.0, run_delay_seconds=6.0, run_delay_seconds_max=4.0, ended=1, tasks=9),
    ]
    (found,) = asked(samples)["processes"]
    assert (found["run_s"], found["run_delay_s"], found["run_delay_ratio"]) == (4.0, 12.0, 0.75)
    assert (found["run_delay_max_s"], found["started"], found["ended"], found["tasks"]) == (4.0, 1, 1, 9)
    assert (found["observed_s"], found["state"]) == (20.0, "unknown")
    # What this kernel does not tell is unknown, not nothing.
    assert (found["frozen_s"], found["major_faults"]) == (None, None)


def test_a_heap_nearly_full_warns_while_it_is_heard_of() -> None:
    (full,) = asked([heap(3595.0, old_used_bytes=95, old_limit_bytes=100, old_full_ratio=0.95)])["heaps"]
    assert (full["state"], full["warning"], full["old_used_bytes"]) == ("watched", "nearly_full", 95)
    (old,) = asked([heap(10.0, old_full_ratio=0.95)])["heaps"]
    assert (old["state"], old["warning"]) == ("unknown", None)
    (busy,) = asked(
        [heap(3590.0, old_full_ratio=0.99), heap(3595.0, old_full_ratio=0.2, collecting_seconds=1.5)]
    )["heaps"]
    assert (busy["warning"], busy["collecting_s"], busy["old_full_ratio_max"]) == ("collecting", 1.5, 0.99)


def test_a_disk_has_a_distribution_of_its_own_with_its_exposure() -> None:
    samples = [fsync(float(at), 0.001 * (1 + at % 10)) for at in range(1000)]
    samples += [fsync(float(at), 0.001) for at in range(2600, 3600)]
    samples += [fsync(1000.5, 1.5), fsync(1002.5, None, outcome=1)]
    (found,) = asked(samples)["disks"]
    assert (found["disk"], found["probes"], found["state"]) == ("/var/lib/etcd", 2002, "watched")
    assert found["outcomes"] == {"done": 2001, "failed": 1, "hung": 0}
    assert (found["interval_s"], found["max_s"]) == (1.0, 1.5)
    assert found["observed_s"] == pytest.approx(2001.5)
    assert found["unwatched_s"] == pytest.approx(3600 - 2001.5, abs=5)
    assert found["longest"][0]["duration_s"] == 1.5
    assert (found["p50_s"], found["p999_s"]) == (pytest.approx(0.001), pytest.approx(0.01))
    # Whoever asks for one source does not ask for disks.
    assert asked([*samples, made.pause_window(10.0)], source="host")["disks"] == []


def test_a_disk_that_only_failed_has_no_distribution() -> None:
    (found,) = asked([fsync(3599.0, None, outcome=1)])["disks"]
    assert (found["max_s"], found["p50_s"], found["outcomes"]["failed"]) == (None, None, 1)
    assert (found["observed_s"], found["curve"]) == (0, [])


def test_a_probe_that_hangs_is_no_probe_yet_but_the_longest_so_far() -> None:
    """Outcomes beyond done and failed are told again and again until the probe ends."""
    samples = [fsync(3500.0 + at, 0.001) for at in range(10)]
    samples += [fsync(3511.0 + at, 1.0 + at, outcome=2) for at in range(60)]
    (found,) = asked(samples)["disks"]
    assert (found["probes"], found["max_s"], found["p50_s"]) == (10, 60.0, pytest.approx(0.001))
    assert found["state"] == "watched"


def test_a_probe_that_took_no_time_at_no_interval_hides_none() -> None:
    """Nothing divides nothing: whoever may write to the store writes what they like."""
    fields = {"outcome": 0, "duration_seconds": 0.0, "hidden": 0, "interval_seconds": 0.0}
    store: Any = ArrayStore([made.sample("truechimer_fsync", 10.0, fields, disk="/d")], 60)
    document: Any = answer("pauses", {"since": "1h"}, store)
    assert document["disks"][0]["hidden"] == 0
