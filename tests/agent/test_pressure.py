"""The pressure collector on this host and on captured /proc trees."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from agent.listeninghost import ListeningHost, checked
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.collectors.pressure import Pressure
from truechimer_agent.procfs.counters import Paging, Psi, parse_psi, parse_schedstat, parse_stat, parse_vmstat

if TYPE_CHECKING:
    from pathlib import Path

STAT = "cpu  5227 0 2933 215858 331 0 48 8 0 0\ncpu0 1 0 1 1 1 0 8 2 0 0\nintr 9 8\nctxt 4711\nbtime 1\n"
PSI = "some avg10=0.10 avg60=0.09 avg300=0.09 total=2968208\nfull avg10=0.07 avg60=0.06 avg300=0 total=5066\n"
SCHEDSTAT = """version 17
timestamp 4295229312
cpu0 0 0 0 0 0 0 1030742 2000000000 100
domain0 SMT 3 0 0 0
cpu1 0 0 0 0 0 0 1030742 500000000 100
"""


def captured(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_captured_texts_are_read_in_seconds():
    """Ticks, µs and ns each become seconds."""
    assert parse_psi(PSI) == Psi(2.968208, 0.005066)
    assert parse_psi("some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n") == Psi(5e-6, None)
    assert parse_stat(STAT, 100).steal_s == 0.08
    assert parse_stat(STAT, 100).context_switches == 4711
    assert parse_vmstat("nr_free 1\npgmajfault 1527\n") == Paging(1527, None)
    assert parse_schedstat(SCHEDSTAT) == 2.5


@given(st.one_of(st.text(max_size=200), st.from_regex(r"\A(cpu|ctxt|some|full|pgmajfault) .{0,60}\Z")))
def test_any_text_is_counters_or_a_decode_error(text: str):
    """No text of /proc ends a round with anything else."""
    for parse in (parse_psi, lambda t: parse_stat(t, 100), parse_vmstat, parse_schedstat):
        with contextlib.suppress(DecodeError):
            parse(text)


def test_this_host_gives_a_point_that_fits_its_declaration():
    """Twice: counters do not fall."""
    pressure = Pressure(ListeningHost())

    async def twice():
        await pressure.open()
        return [checked(one) for _ in range(2) for one in await pressure.collect()]

    first, second = asyncio.run(twice())
    assert set(first.fields) == set(second.fields)
    assert "context_switches_total" in first.fields
    assert all(second.fields[name] >= value for name, value in first.fields.items())


def test_a_kernel_without_psi_leaves_those_fields_out_and_says_so_once(tmp_path, caplog):
    """The rest of the point is there all the same."""
    pressure = Pressure(ListeningHost(), captured(tmp_path, stat=STAT, vmstat="pgmajfault 2\npswpin 3\n"))
    with caplog.at_level(logging.INFO):
        (point,) = asyncio.run(pressure.collect())
        asyncio.run(pressure.collect())
    assert checked(point).fields == {
        "steal_seconds_total": 0.08,
        "context_switches_total": 4711,
        "major_faults_total": 2,
        "swap_in_pages_total": 3,
    }
    assert len([one for one in caplog.messages if "pressure/cpu" in one]) == 1


def test_everything_there_gives_every_declared_field(tmp_path):
    """All ten."""
    files = {f"pressure__{name}": PSI for name in ("cpu", "io", "memory")}
    proc = captured(tmp_path, stat=STAT, vmstat="pgmajfault 2\npswpin 3\n", schedstat=SCHEDSTAT, **files)
    (point,) = asyncio.run(Pressure(ListeningHost(), proc).collect())
    assert len(checked(point).fields) == 10


def test_nothing_to_read_is_a_failure_and_no_proc_is_lacking(tmp_path):
    """Each with a sentence."""
    with pytest.raises(CollectFailure, match="nothing could be read"):
        asyncio.run(Pressure(ListeningHost(), tmp_path).collect())
    with pytest.raises(Lacking, match="has no stat"):
        asyncio.run(Pressure(ListeningHost(), tmp_path).open())
