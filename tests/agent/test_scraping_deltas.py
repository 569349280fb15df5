"""What happened between two pages: exact in count and sum, enclosing for the longest, nothing from resets."""

import bisect
import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from truechimer_agent.scraping.deltas import Between, Stop, between, is_same_process, stops_of
from truechimer_agent.scraping.families import BY_NAME
from truechimer_agent.scraping.page import Page, RuntimePauses, Series, read_page

PAGES = Path(__file__).parent / "pages"
EDGES = (0.001, 0.01, 0.1, 1.0, 2.0, 5.0, math.inf)


def read(name):
    return read_page((PAGES / f"{name}.txt").read_bytes(), openmetrics=False)


def page(name, *, started_s=None, **series):
    family = BY_NAME[name]
    labelled = {(("kind", kind),): one for kind, one in series.items()}
    return Page({family.runtime: RuntimePauses(family, labelled)}, started_s)


def series_of(durations, *, remembered=None, buckets=False):
    counts = [bisect.bisect_right(sorted(durations), edge) for edge in EDGES] if buckets else []
    longest = max(durations[-remembered:], default=0.0) if remembered else None
    return Series(len(durations), math.fsum(durations), longest, tuple(zip(EDGES, counts, strict=False)))


def test_the_captured_pages_of_go():
    """Three cycles, the longest of them known: it is in the quantiles now and was not before."""
    (found,) = between(read("go_client_golang_1"), read("go_client_golang_2"), 10.0)
    assert (found.runtime, found.count, found.total_s) == ("go", 3, pytest.approx(0.000225719))
    assert found.longest_s == found.longest_upper_s == pytest.approx(0.000104989)


def test_the_captured_pages_of_node():
    """Two minor, one incremental, one major: the major one is known, the minor ones sum up to more."""
    (found,) = between(read("node_prom_client_1"), read("node_prom_client_2"), 2.0)
    assert (found.runtime, found.count) == ("node", 4)
    assert found.longest_s == pytest.approx(0.0377185, abs=1e-6)
    assert found.longest_upper_s == pytest.approx(0.0448133, abs=1e-6)


def test_micrometers_first_full_collection_is_seen_singly():
    """Its series was not there before: it counted from nothing."""
    (found,) = between(read("jvm_micrometer_1"), read("jvm_micrometer_2"), 10.0)
    assert (found.count, found.total_s) == (4, pytest.approx(0.357))
    assert found.longest_s == found.longest_upper_s == pytest.approx(0.312)
    assert stops_of(found, 0.005) == [
        Stop(pytest.approx(0.312), 1),
        Stop(pytest.approx(0.045), 3),
    ]


durations = st.lists(st.floats(1e-6, 8.0), max_size=40)


@given(durations, durations, st.sampled_from(["go", "node", "jvm_plain", "micrometer"]))
def test_count_and_sum_are_exact_and_the_longest_is_enclosed(earlier, later, exporter):
    """Whatever pauses there were, for every exporter's way of telling its longest."""
    name, more = {
        "go": ("go_gc_duration_seconds", {"remembered": 256}),
        "node": ("nodejs_gc_duration_seconds", {"buckets": True}),
        "jvm_plain": ("jvm_gc_collection_seconds", {}),
        "micrometer": ("jvm_gc_pause_seconds", {"remembered": 1000}),
    }[exporter]
    before = page(name, a=series_of(earlier, **more))
    after = page(name, a=series_of(earlier + later, **more))
    assert is_same_process(before, after)
    (found,) = between(before, after, 10.0)
    assert found.count == len(later)
    assert found.total_s == pytest.approx(math.fsum(later), abs=1e-6)
    longest = max(later, default=0.0)
    assert found.longest_s - 1e-6 <= longest <= found.longest_upper_s + 1e-6
    if len(later) == 1:
        assert found.longest_s == found.longest_upper_s
    stops = stops_of(found, 0.005)
    assert sum(stop.duration_s for stop in stops) <= found.total_s + 1e-6
    assert sum(stop.count for stop in stops) <= found.count
    assert bool(stops) or longest <= 0.005 + 1e-6


@given(durations, durations, st.integers(0, 5))
def test_a_restart_is_never_a_pause(old, new, lost):
    """A program that began anew has counted less, or it says when it began; else its counters went on."""
    before = page("jvm_gc_collection_seconds", started_s=1000.0, a=series_of(old), b=series_of(old[lost:]))
    after = page("jvm_gc_collection_seconds", started_s=1000.0, a=series_of(new), b=series_of(new[lost:]))
    if is_same_process(before, after):
        (found,) = between(before, after, 10.0)
        assert found.count >= 0
        assert 0 <= found.total_s <= 2 * math.fsum(new) + 1e-6
    assume(new)
    anew = Page(after.runtimes, 1007.0)
    assert not is_same_process(before, anew)


def test_counters_that_went_back_series_that_are_gone_and_other_runtimes_are_another_process():
    """Each of them alone, without a start time."""
    name = "nodejs_gc_duration_seconds"
    before = page(name, a=series_of([0.2, 0.3], buckets=True), b=series_of([0.1], buckets=True))
    assert is_same_process(before, before)
    others = [
        page(name, a=series_of([0.2], buckets=True), b=series_of([0.1], buckets=True)),
        page(name, a=series_of([0.2, 0.1], buckets=True), b=series_of([0.1], buckets=True)),
        page(name, a=series_of([1.5, 0.1], buckets=True), b=series_of([0.1], buckets=True)),
        page(name, a=series_of([0.2, 0.3], buckets=True)),
        page("go_gc_duration_seconds", a=series_of([0.2, 0.3])),
        page(
            "v8js_gc_duration_seconds",
            a=series_of([0.2, 0.3], buckets=True),
            b=series_of([0.1], buckets=True),
        ),
    ]
    assert [is_same_process(before, other) for other in others] == [False] * len(others)


def test_a_start_that_wanders_with_the_hosts_clock_is_no_restart():
    """Programs reckon it from the boot time, which moves by a second now and then."""
    one = {"a": series_of([0.1])}
    before, after = (page("go_gc_duration_seconds", started_s=start, **one) for start in (1000.0, 1001.2))
    assert is_same_process(before, after)


def test_micrometers_maximum_bounds_nothing_once_it_may_have_decayed():
    """Two minutes between two pages: a longer pause may be forgotten, and only the sum bounds it."""
    before = page("jvm_gc_pause_seconds", a=Series(1, 0.5, 0.5))
    after = page("jvm_gc_pause_seconds", a=Series(3, 2.5, 0.2))
    (quick,), (slow,) = between(before, after, 30.0), between(before, after, 120.0)
    assert slow.longest_upper_s == pytest.approx(2.0)
    assert quick.longest_upper_s == pytest.approx(1.0)  # 0.2 contradicts the sum, which decides


def test_pauses_below_the_threshold_are_no_rows_and_a_sum_is_one():
    """Where none can have been longer, nothing is said; where one may have been, all of them are."""
    assert stops_of(Between("go", 50, 0.02, 0.0004, 0.004, 0.9), 0.005) == []
    assert stops_of(Between("go", 0, 0.0, 0.0, 0.0, 0.9), 0.005) == []
    assert stops_of(Between("go", 50, 0.02, 0.0004, 0.02, 0.9), 0.005) == [Stop(0.02, 50)]
    assert stops_of(Between("go", 1, 0.02, 0.02, 0.02, 0.9), 0.005) == [Stop(0.02, 1)]
    assert stops_of(Between("go", 3, 0.021, 0.018, 0.018, 0.9), 0.005) == [Stop(0.018, 1)]
