"""kernel: what the kernel believes of the wall clock, by read-only adjtimex."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from truechimer_agent.collecting import Lacking, Observation
from truechimer_agent.procfs.adjtimex import Timex, interpret, read_timex

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_agent.collecting import Host

DENIED = (errno.EPERM, errno.EACCES, errno.ENOSYS)


class Kernel:
    """adjtimex every 10 s, changing nothing."""

    interval_s = 10.0

    def __init__(self, host: Host, read: Callable[[], tuple[int, Timex]] = read_timex) -> None:
        self._host = host
        self._read = read

    async def open(self) -> None:
        """Raises Lacking when even reading is denied."""
        self._read_allowed()

    async def collect(self) -> list[Observation]:
        """One point."""
        now_ns = self._host.steady_now_ns()
        clock = interpret(*self._read_allowed())
        fields: dict[str, float | int] = {
            "offset_seconds": clock.offset_s,
            "frequency_ppm": clock.frequency_ppm,
            "maxerror_seconds": clock.maxerror_s,
            "esterror_seconds": clock.esterror_s,
            "status": clock.status,
            "synchronized": int(clock.synchronized),
            "leap": int(clock.leap),
            "tai_offset_seconds": clock.tai_offset_s,
        }
        return [Observation("truechimer_kernel", now_ns, fields)]

    async def close(self) -> None:
        """Nothing is kept open."""

    def _read_allowed(self) -> tuple[int, Timex]:
        try:
            return self._read()
        except OSError as error:
            if error.errno in DENIED:
                raise Lacking(
                    f"adjtimex is denied even for reading: {error.strerror}",
                    hint="under systemd: no ProtectClock=, and SystemCallFilter= with adjtimex clock_adjtime",
                ) from error
            raise
