"""What tasks waited for: captured texts, garbage, and this kernel."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.samples import MEASUREMENTS
from truechimer_agent.collectors.pressure import Pressure, parse_psi, parse_run_queue, parse_vmstat

PSI = (
    "some avg10=0.12 avg60=1.03 avg300=0.80 total=158712345\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
)
SCHEDSTAT = """version 17
timestamp 4295678901
cpu0 0 0 0 0 0 0 1055211432 2000000000 12345
domain0 MC 00000003 0 0 0
cpu1 0 0 0 0 0 0 955211432 500000000 12345
"""


class Host:
    def steady_now_ns(self):
        return 5


def test_pressure_totals_are_seconds():
    """The kernel gives microseconds."""
    assert dict(parse_psi(PSI)) == {"some": 158.712345, "full": 2.5}


def test_run_queue_waits_are_summed_over_cpus():
    """Nanoseconds of every cpu line, none of the domain lines."""
    assert parse_run_queue(SCHEDSTAT) == pytest.approx(2.5)
    assert parse_run_queue("version 17\n") is None


def test_vmstat_by_field_name():
    """Only what is shipped."""
    text = "nr_free_pages 5\npgmajfault 17\npswpin 3\npswpout 9\n"
    assert dict(parse_vmstat(text)) == {"major_faults_total": 17, "swap_in_pages_total": 3}


@given(st.text(max_size=300))
def test_any_text_is_survived(text):
    """Garbage gives nothing, not an error."""
    list(parse_psi(text))
    list(parse_vmstat(text))
    parse_run_queue(text)


def test_this_kernels_counters():
    """The real files: every field is declared and no total is negative."""
    (observation,) = asyncio.run(Pressure(Host()).collect())
    declared = {field.name for field in MEASUREMENTS["truechimer_pressure"].fields}
    assert set(observation.fields) <= declared
    assert observation.fields["context_switches_total"] > 0
    assert all(value >= 0 for value in observation.fields.values())


def test_a_kernel_without_psi_is_said_once(tmp_path, caplog):
    """The fields are left out; the others are shipped."""
    (tmp_path / "vmstat").write_text("pgmajfault 1\npswpin 0\n")
    collector = Pressure(Host(), tmp_path)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            (observation,) = asyncio.run(collector.collect())
    assert "cpu_some_seconds_total" not in observation.fields
    assert observation.fields["major_faults_total"] == 1
    assert sum("pressure/cpu" in record.getMessage() for record in caplog.records) == 1
