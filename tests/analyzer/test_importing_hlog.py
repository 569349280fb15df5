"""HdrHistogram logs as stops: decoding, and taking jHiccup's corrections out again."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_analyzer.importing import hlog
from truechimer_analyzer.importing.found import NS, Line, Refused, Stop, Watched
from truechimer_analyzer.importing.hdrhistogram import Histogram, decode

TRACE = Path(__file__).parent / "traces" / "jhiccup-2.0.7.hlog"


def lines():
    return [Line(n, text) for n, text in enumerate(TRACE.read_text().splitlines(), 1)]


def index_of(histogram, value):
    """AbstractHistogram.countsArrayIndex."""
    half = histogram._half_magnitude
    value >>= histogram._magnitude
    bucket = max(0, value.bit_length() - (half + 1))
    return ((bucket + 1) << half) + ((value >> bucket) - (1 << half))


def test_a_log_of_jhiccup_decodes_as_the_reference_does():
    """62 histograms, 48761 values, up to 1796210687 at 3 digits (HistogramLogReaderWriterTest)."""
    histograms = [decode(line.text.split(",")[-1]) for line in lines() if "HIST" in line.text]
    assert len(histograms) == 62
    assert sum(count for each in histograms for _, count in each.counts) == 48761
    fine = Histogram(1, 3, ())
    greatest = max(each.lowest_value(each.counts[-1][0]) for each in histograms)
    assert fine.highest_value(index_of(fine, greatest)) == 1796210687


def test_each_stop_of_jhiccup_counts_once():
    """Three stops of 1.0, 1.5 and 1.8 s in a minute, though thousands of values are recorded."""
    found = list(hlog.parse(lines(), 0))
    lengths = sorted((each.duration_s for each in found if isinstance(each, Stop)), reverse=True)
    assert lengths[:4] == pytest.approx([1.7994, 1.5477, 0.9668, 0.026], rel=0.01)
    windows = [each for each in found if isinstance(each, Watched)]
    assert len(windows) == 62
    assert sum(each.observed_s for each in windows) == pytest.approx(62.004)
    assert windows[0].time_ns == pytest.approx((1441812279.474 + 0.127 + 1.007) * NS, abs=1000)
    assert not [each for each in found if isinstance(each, Refused)]


@pytest.mark.parametrize("seed", range(8))
def test_corrections_are_taken_out(seed):
    """Of stops from 5 ms to 2 s, recorded as jHiccup does, number and lengths come back."""
    spans = [(0.005, 0.02), (0.02, 0.1), (0.1, 2.0)]
    rng = random.Random(seed)
    true = sorted(rng.uniform(*rng.choice(spans)) for _ in range(rng.randint(1, 3)))
    plain = Histogram(1000, 2, ())
    counts: dict[int, int] = {}
    for length_s in [*true, *(rng.uniform(5e-5, 5e-4) for _ in range(600))]:
        for value_s in [length_s - k * 0.001 for k in range(int(length_s / 0.001) + 1)]:
            index = index_of(plain, max(1, int(value_s * 1e9)))
            counts[index] = counts.get(index, 0) + 1
    got = hlog._uncorrected(Histogram(1000, 2, tuple(sorted(counts.items()))), 1e-9, 0.001)
    long = [length_s for length_s, count in got for _ in range(count) if length_s >= 0.004]
    assert len(long) == len(true)
    assert long == pytest.approx(true, rel=0.02, abs=0.005)


@given(
    st.one_of(
        st.text(max_size=80),
        st.binary(max_size=80).map(lambda raw: __import__("base64").b64encode(raw).decode()),
    )
)
def test_no_text_is_decoded_to_anything_but_a_histogram_or_a_refusal(text):
    """Whatever the text, DecodeError or a histogram."""
    try:
        decode(text)
    except DecodeError:
        return


def test_damage_is_refused_line_by_line():
    """Cut, changed and foreign lines are refused, the others stay."""
    every = lines()
    every[5] = every[5]._replace(text=every[5].text[:-20])
    every[6] = every[6]._replace(text="1,2,3")
    every[7] = every[7]._replace(text=every[7].text.replace("HIST", "HISX"))
    found = list(hlog.parse(every, 0))
    assert [each.number for each in found if isinstance(each, Refused)] == [6, 7, 8]
    assert sum(isinstance(each, Watched) for each in found) == 59
