"""``adjtimex(2)`` read-only: the kernel's own account of the wall clock, in plain units."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from truechimer.samples import Leap

STA_UNSYNC = 0x0040
STA_NANO = 0x2000
TIME_INS, TIME_DEL, TIME_OOP, TIME_ERROR = 1, 2, 3, 5
MICROSECOND_S = 1e-6
NANOSECOND_S = 1e-9
PPM_SCALE = 65536.0


class Timex(ctypes.Structure):
    """``struct timex`` of the kernel's UAPI, in the C library's layout."""

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
        ("time_s", ctypes.c_long),
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
        ("_reserved", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel holds; ``offset_s`` is reference − local still to be slewed."""

    offset_s: float
    frequency_ppm: float
    maxerror_s: float
    esterror_s: float
    status: int
    synchronized: bool
    leap: Leap
    tai_offset_s: float


def read_timex() -> tuple[int, Timex]:
    """The kernel's state (TIME_*) and figures; modes = 0 changes nothing. Raises OSError."""
    timex = Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    state = int(libc.adjtimex(ctypes.byref(timex)))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return state, timex


def interpret(state: int, timex: Timex) -> KernelClock:
    """Units by adjtimex(2): offset in ns under STA_NANO, else µs; frequency in 2^-16 ppm; errors in µs."""
    unit_s = NANOSECOND_S if timex.status & STA_NANO else MICROSECOND_S
    leaps = {
        TIME_INS: Leap.INSERT,
        TIME_DEL: Leap.DELETE,
        TIME_OOP: Leap.INSERT,
        TIME_ERROR: Leap.UNSYNCHRONISED,
    }
    return KernelClock(
        offset_s=timex.offset * unit_s,
        frequency_ppm=timex.freq / PPM_SCALE,
        maxerror_s=timex.maxerror * MICROSECOND_S,
        esterror_s=timex.esterror * MICROSECOND_S,
        status=timex.status,
        synchronized=not timex.status & STA_UNSYNC,
        leap=leaps.get(state, Leap.NONE),
        tai_offset_s=float(timex.tai),
    )
