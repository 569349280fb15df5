"""Logs of HotSpot's collectors as stops and observation."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.importing import jvmgclog
from truechimer_analyzer.importing.found import NS, Line, Note, Refused, Stop, Watched

TRACES = Path(__file__).parent / "traces"


def found(text, begin_ns=0):
    return list(jvmgclog.parse([Line(n, t) for n, t in enumerate(text.splitlines(), 1)], begin_ns))


def of(kind, every):
    return [each for each in every if isinstance(each, kind)]


def test_a_real_log_of_g1():
    """neo4j on JDK 8: 4733 stops, 1456 collections that say why, none counted twice, nothing refused."""
    text = gzip.decompress((TRACES / "gc-g1-neo4j.log.gz").read_bytes()).decode()
    every = found(text)
    stops = of(Stop, every)
    assert len(stops) == text.count("threads were stopped") == 4733
    assert sum(stop.cause == "gc" for stop in stops) == 1455
    assert max(stop.duration_s for stop in stops) == 3.6124994
    assert not of(Refused, every)
    observed_s = sum(each.observed_s for each in of(Watched, every))
    assert observed_s == pytest.approx(14188.8, abs=0.2)
    assert sum(each.stops for each in of(Watched, every)) == 4733


def test_a_wall_clock_that_is_set_back():
    """The wall clock steps back by 140 s: uptime goes on; a line whose beginning was lost counts."""
    every = found((TRACES / "gc-wall-clock-rolls-back.log").read_text())
    stops = of(Stop, every)
    assert [stop.duration_s for stop in stops] == [0.001021, 0.000217, 0.001133]
    apart_s = [(b.time_ns - a.time_ns) / NS for a, b in pairwise(stops)]
    assert apart_s == pytest.approx([0.586, 79.541], abs=0.001)
    assert sum(each.observed_s for each in of(Watched, every)) == pytest.approx(80.128, abs=0.002)
    assert not of(Refused, every)


@pytest.mark.parametrize("name", ["unified-g1-jdk17.log", "unified-zgc-jdk25.log"])
def test_unified_logs(name):
    """Every safepoint is one stop with its time to safepoint; collections are not counted again."""
    text = (TRACES / name).read_text()
    every = found(text)
    stops = of(Stop, every)
    assert len(stops) == text.count('Safepoint "') > 3
    assert {stop.cause for stop in stops} == {"gc"}
    assert all(stop.sync_s is not None and 0 <= stop.sync_s <= stop.duration_s for stop in stops)
    assert not of(Refused, every)


def test_a_unified_log_without_safepoints():
    """Then the collections' pauses are the stops; concurrent phases are none."""
    every = found(
        "[0.500s][info][gc] Using G1\n"
        "[1.500s][info][gc,start] GC(0) Pause Young (Normal) (G1 Evacuation Pause)\n"
        "[1.510s][info][gc     ] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 24M->4M(96M) 10,5ms\n"
        "[2.000s][info][gc] GC(1) Concurrent Mark Cycle 300.123ms\n"
        "[2.500s][info][gc] GC(2) Y: Pause Mark Start (Major) 0.010ms\n",
        begin_ns=50 * NS,
    )
    assert [stop.duration_s for stop in of(Stop, every)] == pytest.approx([0.0105, 0.00001])
    assert of(Stop, every)[0].time_ns == pytest.approx(51.0 * NS - 0.0005 * NS, abs=2e6)
    assert of(Note, every)
    assert sum(each.observed_s for each in of(Watched, every)) == pytest.approx(2.0)


def test_older_logs_without_stopped_times():
    """A collection takes what its last figure of seconds says, also over several lines and interleaved."""
    every = found(
        "10.000: [GC (Allocation Failure) [PSYoungGen: 1K->2K(3K)] 5K->6K(7K), 0.0100000 secs]"
        " [Times: user=0.01 sys=0.00, real=0.01 secs]\n"
        "20.000: [GC pause (G1 Evacuation Pause) (young)\n   [Parallel Time: 2.1 ms, GC Workers: 2]\n"
        "      [GC Worker Start (ms): Min: 1.0]\n, 0.0200000 secs]\n"
        "30.000: [GC concurrent-mark-end, 5.0 secs]\n"
        "40.000: [GC 40.000: [ParNew40.001: [CMS-concurrent-abortable-preclean: 0.3/0.9 secs]"
        " [Times: user=0.1 sys=0.0, real=0.1 secs]\n"
        ": 79K->8K(78K), 0.0290000 secs] 1K->2K(3K), 0.0300000 secs]\n"
        "50.000: [Full GC (System.gc())  165M->72M(5632M), 0.2983033 secs]\n"
        "60.000: [GC pause (young)\n"
    )
    stops = of(Stop, every)
    assert [stop.duration_s for stop in stops] == [0.01, 0.02, 0.03, 0.2983033]
    assert [stop.time_ns for stop in stops] == [0, 10 * NS, 30 * NS, 40 * NS]
    assert [each.number for each in of(Refused, every)] == [10]


def test_another_jvm_in_the_same_file():
    """Uptime that goes back begins anew; the time between is watched by nobody."""
    stopped = "Total time for which application threads were stopped: 0.5 seconds"
    line = f"2020-01-01T00:00:{{:02d}}.000+0000: {{}}.000: {stopped}"
    every = found("\n".join(line.format(*each) for each in [(10, 100), (20, 110), (50, 3), (55, 8)]))
    assert sum(each.observed_s for each in of(Watched, every)) == pytest.approx(10.5 + 5.5, abs=1.01)
    assert len(of(Stop, every)) == 4


def test_stops_that_are_cut_are_refused():
    """Without a length, or with one that cannot be."""
    every = found(
        "1.000: Total time for which application threads were stopped: \n"
        "2.000: Total time for which application threads were stopped: 99999999999 seconds\n"
        '[3.0s][info][safepoint] Safepoint "G1Coll", Time since last: 3 ns, Reaching\n'
    )
    assert [each.number for each in of(Refused, every)] == [1, 2, 3]
    assert not of(Stop, every)


PIECES = st.sampled_from(
    [
        "2014-06-16T07:57:14.622+0200: ",
        "1.000: ",
        "99999999999,999: ",
        "[1.5s]",
        "[gc]",
        "[9999ms] ",
        "[0001-01-01T00:00:00.000+0000] ",
        "[GC ",
        "[GC concurrent-",
        ", 0.5 secs]",
        "Total time for which application threads were stopped: 0,1 seconds",
        'Safepoint "x", Reaching safepoint: 1 ns, ',
        "Total: 9999999999999999999 ns",
        "GC(1) Pause Full 3ms",
        "\ufffd",
    ]
)


@given(st.lists(st.lists(st.one_of(PIECES, st.text(max_size=10)), max_size=5).map("".join), max_size=6))
def test_nothing_but_findings_comes_of_any_lines(texts):
    """Whatever the lines, no error, and every stop has a time and a length that can be."""
    for count, each in enumerate(jvmgclog.parse([Line(n, t) for n, t in enumerate(texts, 1)], 0)):
        if isinstance(each, Stop):
            assert 0 <= each.time_ns <= 9e18
            assert 0 <= each.duration_s <= 1e6
        if count > 2000:
            break


def test_milliseconds_since_1970_are_times_of_day():
    """-Xlog:gc::timemillis alone: two collections ten seconds apart are so, on their day."""
    every = found(
        "[1695220000123ms] GC(1) Pause Young (Normal) 24M->4M(256M) 3.000ms\n"
        "[1695220010123ms] GC(2) Pause Young (Normal) 24M->4M(256M) 3.000ms\n"
    )
    assert [stop.time_ns for stop in of(Stop, every)] == [
        1_695_220_000_120_000_000,
        1_695_220_010_120_000_000,
    ]
    assert sum(window.observed_s for window in of(Watched, every)) == pytest.approx(10, abs=0.01)
