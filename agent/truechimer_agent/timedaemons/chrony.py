"""chronyd, asked by chronyc: ``chronyc -c`` prints reports as comma-separated values (chronyc(1))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer.codes import Leap
from truechimer.errors import DecodeError
from truechimer_agent.timedaemons.believed import Believed, finite, whole
from truechimer_agent.timedaemons.command import answer_of

if TYPE_CHECKING:
    from truechimer.readings import Clocks

_LEAPS = {
    "Normal": Leap.NONE,
    "Insert second": Leap.INSERT,
    "Delete second": Leap.DELETE,
    "Not synchronised": Leap.UNSYNCHRONISED,
}
_TRACKING_COLUMNS = 14
_SOURCE_COLUMNS = 10
_MODES = ("^", "=", "#")


async def read(address: str | None) -> str:
    """The reports ``tracking`` and ``sources``, one after the other, from one run of chronyc.

    ``address`` is a command socket's path or a host; None: chronyc's own choice, which is the socket under
    /run/chrony for root and 127.0.0.1 and ::1, port 323, for everybody else.
    """
    where = () if address is None else ("-h", address)
    return await answer_of("chronyc", "-n", "-c", "-m", *where, "tracking", "sources")


def parse(text: str) -> Believed:
    """Both reports. Raises DecodeError.

    chronyc's system time is chronyd's clock − W, so positive where W is slow; its frequency is how much W
    would gain uncorrected, so that the correction is its negative (chrony's local.h).
    """
    tracking, *sources = text.splitlines() or [""]
    # Counted from the end: nothing keeps a comma out of a reference clock's name.
    values = tracking.split(",")
    if len(values) < _TRACKING_COLUMNS:
        raise DecodeError(f"tracking has {len(values)} columns, not {_TRACKING_COLUMNS}: {tracking[:80]!r}")
    leap = _LEAPS.get(values[-1])
    if leap is None:
        raise DecodeError(f"tracking has an unknown leap status: {values[-1][:40]!r}")
    return Believed(
        daemon="chrony",
        leap=leap,
        stratum=whole(values[-12], "the stratum", 255),
        system_time_s=finite(values[-10], "the system time"),
        root_delay_s=finite(values[-4], "the root delay"),
        root_dispersion_s=finite(values[-3], "the root dispersion"),
        frequency_ppm=-finite(values[-7], "the frequency"),
        skew_ppm=finite(values[-5], "the skew"),
        reachable_sources=sum(_reached(line) for line in sources if line),
    )


def _reached(line: str) -> bool:
    """Whether a line of ``sources`` has any bit of its octal reachability register set."""
    values = line.split(",")
    if len(values) < _SOURCE_COLUMNS or values[0] not in _MODES:
        raise DecodeError(f"no line of sources: {line[:80]!r}")
    return whole(values[-5], "the reachability", 0o377, base=8) > 0


class Chrony:
    """chronyd at ``address`` (see ``read``)."""

    name = "chrony"

    def __init__(self, address: str | None) -> None:
        self._address = address

    async def ask(self, clocks: Clocks) -> Believed:  # noqa: ARG002 - the figures are of the moment of asking
        """What it believes now."""
        return parse(await read(self._address))
