"""A timerfd that becomes readable as soon as somebody sets the wall clock (timerfd_create(2)).

Python has no binding before 3.13.
"""

from __future__ import annotations

import ctypes
import os

_CLOCK_REALTIME = 0
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_TFD_TIMER_CANCEL_ON_SET = 2
_FAR_FUTURE_S = 1 << 40


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class ClockSetWatch:
    """``fileno()`` is readable after CLOCK_REALTIME was set; ``acknowledge`` arms it again."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_REALTIME, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise _last_error()
        try:
            self._arm()
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd

    def _arm(self) -> None:
        never = _Itimerspec(_Timespec(0, 0), _Timespec(_FAR_FUTURE_S, 0))
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        if self._libc.timerfd_settime(self._fd, flags, ctypes.byref(never), None) < 0:
            raise _last_error()

    def acknowledge(self) -> None:
        """Take the news (a read fails with ECANCELED once per setting of the clock)."""
        try:
            os.read(self._fd, 8)
        except OSError:
            self._arm()

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
