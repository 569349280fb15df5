"""The kernel collector: adjtimex for real, its units, and its denial."""

from __future__ import annotations

import asyncio
import errno

import pytest
from agent.listeninghost import ListeningHost, checked

from truechimer.samples import Leap
from truechimer_agent.collecting import Lacking
from truechimer_agent.collectors.kernel import Kernel
from truechimer_agent.procfs.adjtimex import STA_NANO, STA_UNSYNC, Timex, interpret


def test_this_host_gives_a_point_that_fits_its_declaration():
    """Frequency within the kernel's own limit of 500 ppm; maxerror never negative."""
    kernel = Kernel(ListeningHost())

    async def once():
        await kernel.open()
        return await kernel.collect()

    (point,) = asyncio.run(once())
    assert len(checked(point).fields) == 8
    assert abs(point.fields["frequency_ppm"]) <= 500
    assert point.fields["maxerror_seconds"] >= 0


@pytest.mark.parametrize(("status", "offset_s"), [(STA_NANO, 1.5e-3), (0, 1.5)])
def test_the_unit_of_the_offset_goes_by_sta_nano(status: int, offset_s: float):
    """Nanoseconds with the bit, microseconds without."""
    clock = interpret(0, Timex(offset=1_500_000, status=status))
    assert clock.offset_s == pytest.approx(offset_s)


def test_frequency_and_errors_have_their_units():
    """2^-16 ppm and microseconds; TAI − UTC in seconds."""
    clock = interpret(0, Timex(freq=-65536 * 12, maxerror=16_000_000, esterror=3, tai=37))
    assert (clock.frequency_ppm, clock.maxerror_s, clock.tai_offset_s) == (-12.0, 16.0, 37.0)
    assert clock.esterror_s == pytest.approx(3e-6)


@pytest.mark.parametrize(
    ("state", "leap"),
    [
        (0, Leap.NONE),
        (1, Leap.INSERT),
        (2, Leap.DELETE),
        (3, Leap.INSERT),
        (4, Leap.NONE),
        (5, Leap.UNSYNCHRONISED),
    ],
)
def test_the_leap_state_is_what_the_call_returns(state: int, leap: Leap):
    """TIME_OK, INS, DEL, OOP, WAIT, ERROR."""
    assert interpret(state, Timex()).leap is leap


def test_synchronized_is_the_absence_of_sta_unsync():
    """And of nothing else."""
    assert not interpret(5, Timex(status=STA_UNSYNC)).synchronized
    assert interpret(0, Timex(status=STA_NANO)).synchronized


def test_denied_reading_is_lacking_with_the_fix():
    """As under systemd's ProtectClock=."""

    def denied() -> tuple[int, Timex]:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(Lacking, match="denied") as lack:
        asyncio.run(Kernel(ListeningHost(), denied).open())
    assert "ProtectClock" in lack.value.hint
