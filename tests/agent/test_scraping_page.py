"""Pages of real exporters are read for what they tell of pauses; anything else is an error of its own."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.scraping import page as page_module
from truechimer_agent.scraping.page import read_page

PAGES = Path(__file__).parent / "pages"


def page_of(name):
    return read_page((PAGES / f"{name}.txt").read_bytes(), openmetrics="openmetrics" in name)


def only(page):
    ((runtime, pauses),) = page.runtimes.items()
    return runtime, pauses


def test_go_tells_cycles_and_the_longest_of_the_last():
    """client_golang's summary: count, sum, and quantile 1."""
    runtime, pauses = only(page_of("go_client_golang_2"))
    (series,) = pauses.series.values()
    assert runtime == "go"
    assert (series.count, series.sum_s, series.longest_s) == (3, 0.000225719, 0.000104989)


@pytest.mark.parametrize(
    ("name", "counts"), [("node_prom_client_2", (11, 3, 3)), ("node_openmetrics", (7, 1, 3))]
)
def test_node_tells_kinds_with_buckets(name, counts):
    """prom-client in both formats, with a prefix of the program's own too."""
    runtime, pauses = only(page_of(name))
    by_kind = {dict(key)["kind"]: series for key, series in pauses.series.items()}
    assert runtime == "node"
    assert tuple(by_kind[kind].count for kind in ("minor", "incremental", "major")) == counts
    for series in by_kind.values():
        assert series.buckets[-1] == (math.inf, series.count)


def test_micrometer_tells_pauses_and_not_concurrent_phases():
    """Those are a timer of their own, which is left out; the maximum is a gauge beside."""
    runtime, pauses = only(page_of("jvm_micrometer_2"))
    assert runtime == "jvm"
    assert sum(series.count for series in pauses.series.values()) == 11
    assert max(series.longest_s for series in pauses.series.values()) == 0.312
    assert sum(series.sum_s for series in pauses.series.values()) < 1


def test_the_cycles_of_a_concurrent_collector_are_no_pauses():
    """client_java sums up ZGC's cycles as it does its pauses: only the latter stop the program."""
    _, pauses = only(page_of("jvm_client_java"))
    assert {dict(key)["gc"] for key in pauses.series} == {"ZGC Major Pauses", "ZGC Minor Pauses"}


@pytest.mark.parametrize(
    "labels",
    [
        'gc="Shenandoah Cycles"',
        'gc="ConcurrentMarkSweep"',
        'gc="GPGC New"',
        'cause="No GC"',
        'action="end of GC cycle"',
    ],
)
def test_other_concurrent_work_is_left_out_too(labels):
    """Whichever label tells it."""
    text = f"jvm_gc_pause_seconds_count{{{labels}}} 3\njvm_gc_pause_seconds_sum{{{labels}}} 90\n"
    _, pauses = only(read_page(text.encode(), openmetrics=False))
    assert pauses.series == {}


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        ("# TYPE nodejs_gc_duration_seconds histogram\n", "node"),
        ("jvm_gc_live_data_size_bytes 0.0\n", "jvm"),
        ("go_gc_duration_seconds_sum 0\ngo_gc_duration_seconds_count 0\n", "go"),
        ("go_gc_duration_seconds_count\t0", "go"),
    ],
)
def test_a_runtime_that_has_not_collected_yet_is_known(text, runtime):
    """No pauses so far is an answer: the first one is then seen as one."""
    found, pauses = only(read_page(text.encode(), openmetrics=False))
    assert found == runtime
    assert sum(series.count for series in pauses.series.values()) == 0


def test_the_same_pauses_told_twice_count_once():
    """Micrometer's timer is preferred to the beans' totals, Go's summary to its histogram."""
    text = (
        'jvm_gc_collection_seconds_count{gc="G1"} 5\njvm_gc_pause_seconds_count{gc="G1"} 5\n'
        'go_gc_pauses_seconds_bucket{le="+Inf"} 6\ngo_gc_duration_seconds_count 3\n'
    )
    page = read_page(text.encode(), openmetrics=False)
    names = {runtime: pauses.family.name for runtime, pauses in page.runtimes.items()}
    assert names == {"jvm": "jvm_gc_pause_seconds", "go": "go_gc_duration_seconds"}


@pytest.mark.parametrize(
    "text",
    [
        "go_gc_duration_seconds_count -1\n",
        "go_gc_duration_seconds_count 1.5\n",
        "go_gc_duration_seconds_count NaN\n",
        "go_gc_duration_seconds_count +Inf\n",
        "go_gc_duration_seconds_sum -0.5\n",
        "go_gc_duration_seconds_sum 1e300\n",
        'nodejs_gc_duration_seconds_bucket{le="wide"} 1\n',
        "nodejs_gc_duration_seconds_bucket 1\n",
        'go_gc_duration_seconds{quantile="1} 0\n',
        "go_gc_duration_seconds_count many\n",
        "go_gc_duration_seconds_count " + "1" * 20_000 + "\n",
        'jvm_gc_pause_seconds_count{cause="x"} 1\n' * 6_000,
    ],
)
def test_what_cannot_be_is_refused(text):
    """Counts that are none, sums that are none, edges that are none, too much of it."""
    with pytest.raises(DecodeError):
        read_page(text.encode(), openmetrics=False)


def test_megabytes_of_something_else_are_not_parsed(monkeypatch):
    """Only the lines about pauses reach the parser."""
    seen = []
    real = page_module._families
    monkeypatch.setattr(
        page_module, "_families", lambda text, **more: seen.append(len(text)) or real(text, **more)
    )
    noise = b'http_requests_total{path="/x"} 17\n' * 100_000
    _, pauses = only(read_page(noise + (PAGES / "go_client_golang_2.txt").read_bytes(), openmetrics=False))
    assert len(pauses.series) == 1
    assert seen
    assert max(seen) < 2_000


NAMES = "go_gc_duration_seconds jvm_gc_pause_seconds nodejs_gc_duration_seconds process_start_time_seconds"
MARKS = """_count _sum _bucket _max { } le=" quantile="1" " , = # TYPE histogram 1 NaN +Inf -3 1e999 EOF"""
PIECES = st.sampled_from([*NAMES.split(), *MARKS.split(), " ", "\n", "\t", "\\", "é", "\x00", " # {} 1"])


@given(
    st.one_of(st.lists(PIECES, max_size=40).map("".join).map(str.encode), st.binary(max_size=300)),
    st.booleans(),
)
def test_any_bytes_are_a_page_or_a_decode_error(body, openmetrics):
    """Whatever answers there cannot break the agent; what is read is finite and not negative."""
    try:
        page = read_page(body, openmetrics=openmetrics)
    except DecodeError:
        return
    for pauses in page.runtimes.values():
        for series in pauses.series.values():
            assert series.count >= 0
            assert 0 <= series.sum_s < math.inf
