"""What a time daemon believes of this host's clock, in one form for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from truechimer.errors import DecodeError

if TYPE_CHECKING:
    from truechimer.codes import Leap
    from truechimer.readings import Clocks


@dataclass(frozen=True, slots=True)
class Believed:
    """One daemon's word; None where it says nothing of the kind.

    ``system_time_s`` is UTC − W as it believes. ``frequency_ppm`` is its correction of W's rate: positive,
    W is made faster. A daemon that is not synchronised says so by ``leap``; its other figures mean little.
    """

    daemon: str
    leap: Leap
    stratum: int
    system_time_s: float | None = None
    root_delay_s: float | None = None
    root_dispersion_s: float | None = None
    frequency_ppm: float | None = None
    skew_ppm: float | None = None
    reachable_sources: int | None = None

    def fields(self) -> dict[str, float | int]:
        """The fields of ``truechimer_daemon``, those that are known."""
        named = {
            "system_time_seconds": self.system_time_s,
            "root_delay_seconds": self.root_delay_s,
            "root_dispersion_seconds": self.root_dispersion_s,
            "frequency_ppm": self.frequency_ppm,
            "skew_ppm": self.skew_ppm,
            "stratum": self.stratum,
            "leap": int(self.leap),
            "reachable_sources": self.reachable_sources,
        }
        return {name: value for name, value in named.items() if value is not None}


class TimeDaemon(Protocol):
    """One kind of time daemon on this host."""

    name: str

    async def ask(self, clocks: Clocks) -> Believed:
        """What it believes now.

        Raises NothingThere when it does not run here or does not answer, DecodeError when its answer is
        not what it should be.
        """
        ...


def finite(text: str, what: str) -> float:
    """A number as daemons write it. Raises DecodeError, also for infinities and NaN."""
    try:
        value = float(text)
    except ValueError:
        raise DecodeError(f"{what} is no number: {text[:40]!r}") from None
    if not math.isfinite(value):
        raise DecodeError(f"{what} is not finite: {text[:40]!r}")
    return value


def whole(text: str, what: str, most: int, base: int = 10) -> int:
    """A count from 0 to ``most`` as daemons write it. Raises DecodeError."""
    text = text.strip()
    try:
        value = int(text, base) if text.isascii() and text.isalnum() else -1
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise DecodeError(f"{what} is no whole number from 0 to {most}: {text[:40]!r}")
    return value
