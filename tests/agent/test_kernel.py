"""The kernel's clock: units, flags and the privilege."""

import asyncio
import errno

import pytest

from truechimer.codes import Leap
from truechimer.samples import MEASUREMENTS
from truechimer_agent.collecting import Lacking
from truechimer_agent.collectors import kernel
from truechimer_agent.collectors.kernel import STA_DEL, STA_INS, STA_NANO, STA_UNSYNC, Kernel, KernelClock


class Host:
    def steady_now_ns(self):
        return 123


def test_this_kernel_can_be_read():
    """The real system call, read-only: figures are in the kernel's own ranges."""
    (observation,) = asyncio.run(Kernel(Host()).collect())
    assert set(observation.fields) == {field.name for field in MEASUREMENTS["truechimer_kernel"].fields}
    assert abs(observation.fields["frequency_ppm"]) <= 500
    assert 0 <= observation.fields["maxerror_seconds"] <= 16
    assert observation.steady_ns == 123


@pytest.mark.parametrize(("status", "offset_s"), [(0, -0.25), (STA_NANO, -0.00025)])
def test_the_offset_is_in_us_or_ns(status, offset_s):
    """STA_NANO decides."""
    fields = kernel.fields_of(KernelClock(-250_000, 65536 * 12, 16_000_000, 5, status, 37))
    assert fields["offset_seconds"] == pytest.approx(offset_s)
    assert fields["frequency_ppm"] == 12.0
    assert fields["maxerror_seconds"] == 16.0
    assert fields["tai_offset_seconds"] == 37.0


@pytest.mark.parametrize(
    ("status", "leap", "synchronized"),
    [
        (0, Leap.NONE, 1),
        (STA_INS, Leap.INSERT, 1),
        (STA_DEL, Leap.DELETE, 1),
        (STA_UNSYNC | STA_INS, Leap.UNSYNCHRONISED, 0),
    ],
)
def test_leap_and_synchronization(status, leap, synchronized):
    """An unsynchronised kernel announces no leap."""
    fields = kernel.fields_of(KernelClock(0, 0, 0, 0, status, 0))
    assert (fields["leap"], fields["synchronized"]) == (leap, synchronized)


def test_a_forbidden_call_says_what_to_change(monkeypatch):
    """Under ProtectClock=yes even reading is refused: the fix is named."""

    def forbidden():
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(kernel, "read_kernel_clock", forbidden)
    with pytest.raises(Lacking) as caught:
        asyncio.run(Kernel(Host()).open())
    assert "ProtectClock" in caught.value.hint
