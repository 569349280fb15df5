"""kernel: what the kernel believes of its clock, by a read-only adjtimex(2) every 10 s."""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import Leap
from truechimer_agent.collecting import Lacking, Observation

if TYPE_CHECKING:
    from truechimer_agent.collecting import Host

STA_INS = 0x0010
STA_DEL = 0x0020
STA_UNSYNC = 0x0040
STA_NANO = 0x2000
_SCALED_PPM = 65536.0


class _Timex(ctypes.Structure):
    """``struct timex`` of <sys/timex.h>, 64-bit."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_seconds", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What adjtimex(2) says, in its own units: offset in ns or µs by STA_NANO, errors in µs, freq scaled."""

    offset: int
    freq: int
    maxerror: int
    esterror: int
    status: int
    tai: int


def read_kernel_clock() -> KernelClock:
    """Call adjtimex with modes = 0, which changes nothing. Raises OSError (EPERM under ProtectClock=yes)."""
    timex = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return KernelClock(timex.offset, timex.freq, timex.maxerror, timex.esterror, timex.status, timex.tai)


def fields_of(clock: KernelClock) -> dict[str, float | int]:
    """The fields of ``truechimer_kernel``; offset + meaning that W is still to be moved forwards."""
    leap = Leap.NONE
    if clock.status & STA_UNSYNC:
        leap = Leap.UNSYNCHRONISED
    elif clock.status & STA_INS:
        leap = Leap.INSERT
    elif clock.status & STA_DEL:
        leap = Leap.DELETE
    return {
        "offset_seconds": clock.offset / (1e9 if clock.status & STA_NANO else 1e6),
        "frequency_ppm": clock.freq / _SCALED_PPM,
        "maxerror_seconds": clock.maxerror / 1e6,
        "esterror_seconds": clock.esterror / 1e6,
        "status": clock.status,
        "synchronized": int(not clock.status & STA_UNSYNC),
        "leap": int(leap),
        "tai_offset_seconds": float(clock.tai),
    }


class Kernel:
    """The kernel's own opinion; maxerror is a bound only under chrony and ntpd."""

    interval_s = 10.0

    def __init__(self, host: Host) -> None:
        self._host = host

    async def open(self) -> None:
        """See whether it may be read at all."""
        try:
            read_kernel_clock()
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
                raise
            raise Lacking(
                f"adjtimex cannot be read: {error.strerror}",
                hint="do not set ProtectClock=yes, and allow adjtimex in SystemCallFilter",
            ) from error

    async def close(self) -> None:
        """Nothing to let go of."""

    async def collect(self) -> list[Observation]:
        """One reading."""
        fields = fields_of(read_kernel_clock())
        return [Observation("truechimer_kernel", self._host.steady_now_ns(), fields)]
