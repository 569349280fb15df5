"""Tables as probes or pauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.importing import csv
from truechimer_analyzer.importing.csv import Layout
from truechimer_analyzer.importing.found import NS, Line, Note, OtherFormat, Probe, Refused, Stop, Watched


def found(*texts, **layout):
    return list(csv.parse([Line(n, text) for n, text in enumerate(texts, 1)], Layout(**layout)))


def test_round_trips_and_losses():
    """Unix seconds and ISO 8601; an empty value is a lost probe."""
    got = found("time,rtt_s", "100,0.5", "1970-01-01T00:01:41Z,", '"102","0.25"')
    assert got == [Probe(100 * NS, 0.5), Probe(101 * NS, None), Probe(102 * NS, 0.25)]


def test_other_headers_and_units():
    """Columns by name, units by option or by the end of the name, else seconds, which is said."""
    assert found("epoch;x", "5;2,5", time="epoch", value="x", unit="ms") == [Probe(5 * NS, 0.0025)]
    assert found("time\trtt_us", "5\t7", value="rtt_us") == [Probe(5 * NS, pytest.approx(7e-6))]
    note, probe = found("time,x", "5,7", value="x")
    assert isinstance(note, Note)
    assert probe == Probe(5 * NS, 7.0)


def test_pauses_come_with_observation():
    """From the first row to the end of the last somebody looked; each window counts its stops."""
    got = found("time,duration_s", "100,0.5", "130,1")
    stops = [each for each in got if isinstance(each, Stop)]
    windows = [each for each in got if isinstance(each, Watched)]
    assert [(s.time_ns // NS, s.duration_s) for s in stops] == [(100, 0.5), (130, 1.0)]
    assert sum(w.observed_s for w in windows) == pytest.approx(31)
    assert sum(w.stops for w in windows) == 2
    assert sum(w.total_s for w in windows) == 1.5


@pytest.mark.parametrize(
    "row",
    [
        "1e400,1",
        "nan,1",
        "-5,1",
        "1512144010000,1",
        "5,nan",
        "5,-1",
        "5,inf",
        "5,1e300",
        "5",
        "x,1",
        "5,1_0",
        '5,"',
    ],
)
def test_what_cannot_be_is_refused_with_its_line(row):
    """Times out of range, lengths that are none, missing cells."""
    got = found("time,rtt_s", row)
    assert [each.number for each in got if isinstance(each, Refused)] == [2]
    assert len(got) == 1


def test_a_header_without_the_columns_is_another_format():
    """The message says which column, the hint what there is."""
    with pytest.raises(OtherFormat, match="'rtt_s'") as error:
        found("time,other", "1,2")
    assert "other" in (error.value.hint or "")


@given(st.lists(st.text(max_size=40), max_size=6), st.sampled_from(["rtt", "pauses"]))
def test_nothing_but_findings_comes_of_any_rows(rows, kind):
    """Whatever the rows, no error but the format's own."""
    name = "rtt_s" if kind == "rtt" else "duration_s"
    for each in found(f"time,{name}", *rows, kind=kind):
        assert isinstance(each, Probe | Stop | Watched | Refused)


@pytest.mark.parametrize(
    ("name", "unit_s"),
    [("latency_ns", 1e-9), ("elapsed (ms)", 1e-3), ("ms", 1e-3), ("rtt.us", 1e-6), ("rtt [s]", 1.0)],
)
def test_a_unit_in_the_name_of_a_column_counts(name, unit_s):
    """However it is set apart: 2000 ns taken for as many seconds would be wrong by a billion."""
    assert found(f"time,{name}", "5,7", value=name) == [Probe(5 * NS, pytest.approx(7 * unit_s))]
