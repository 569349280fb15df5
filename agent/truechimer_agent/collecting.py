"""What a collector is, and what it hands over.

A collector is one file under ``collectors/``; the runner alone times it, catches and counts its
failures and logs them. It never formats samples: it hands over observations in steady time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from truechimer.errors import TruechimerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from truechimer.readings import Clocks, SteadyClock


@dataclass(frozen=True, slots=True)
class Observation:
    """One point before it is stamped: ``steady_ns`` is S at the event; common tags are added later."""

    measurement: str
    steady_ns: int
    fields: Mapping[str, float | int]
    tags: Mapping[str, str] = field(default_factory=dict)


class Lacking(TruechimerError):  # noqa: N818 - reads as the statement it is
    """A collector cannot work here: it says which privilege or file it lacks, and the rest go on.

    Raised from ``open`` it is logged once and tried again every minute.
    """


class CollectFailure(TruechimerError):  # noqa: N818 - reads as the statement it is
    """One round failed for a reason that the collector understands; the next round tries again."""


class Host(Protocol):
    """What a collector may use of the daemon."""

    @property
    def clocks(self) -> Clocks:
        """This host's clocks."""
        ...

    def steady(self) -> SteadyClock:
        """The steady clock of the present epoch."""
        ...

    def steady_now_ns(self) -> int:
        """S now."""
        ...

    @property
    def emit(self) -> Callable[[Observation], None]:
        """Hand over an observation at once, between rounds (events, replies)."""
        ...


class Collector(Protocol):
    """One source of observations.

    ``collect`` is called every ``interval_s`` of CLOCK_MONOTONIC, never twice at once; the runner counts
    rounds that came late. Work that waits (replies, a child's pipe, a timerfd) runs in tasks or readers
    of the running asyncio loop begun in ``open`` and ended in ``close``, and emits through the host.
    """

    interval_s: float

    async def open(self) -> None:
        """Acquire sockets, files, children. Raises Lacking when it cannot work here."""
        ...

    async def collect(self) -> Iterable[Observation]:
        """One round."""
        ...

    async def close(self) -> None:
        """Let go of everything; safe to call when ``open`` failed."""
        ...
