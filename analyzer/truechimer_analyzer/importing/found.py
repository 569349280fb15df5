"""What parsers find in a file, before it has its names and its place in a store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from truechimer.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

NS = 1_000_000_000
MS = 1_000_000
LONGEST_S = 1e6
"""No round trip and no stop is longer than this: eleven days."""
EPOCH_NS = (0, 9_000_000_000 * NS)
"""What a window of a question can name: 1970 to 2255."""
TEXT_SHOWN = 120


class Line(NamedTuple):
    """A line of the file: its 1-based number and its text without its end; ``why`` when it cannot be read."""

    number: int
    text: str
    why: str | None = None


class Block(NamedTuple):
    """Whole lines with their ends, the first of which has this number; text without NUL."""

    number: int
    text: str


class Probe(NamedTuple):
    """One probe, sent at ``time_ns`` (Unix ns); ``rtt_s`` None: lost. ``peer``: whom it asked, if told."""

    time_ns: int
    rtt_s: float | None
    peer: str | None = None


class Replies(NamedTuple):
    """Probes that were all answered: when each was sent (n,), int64 Unix ns, and its round trip (n,), s."""

    time_ns: NDArray[np.int64]
    rtt_s: NDArray[np.float64]
    peer: str | None = None

    def singly(self) -> Iterator[Probe]:
        """One by one."""
        for time_ns, rtt_s in zip(self.time_ns.tolist(), self.rtt_s.tolist(), strict=True):
            yield Probe(time_ns, rtt_s, self.peer)


class Stop(NamedTuple):
    """One stop that began at ``time_ns`` (Unix ns), or ``pauses`` of them, ``duration_s`` in sum.

    ``sync_s``: until all threads had stopped. ``source``: what the file says it was of.
    """

    time_ns: int
    duration_s: float
    cause: str
    sync_s: float | None = None
    pauses: int = 1
    source: str | None = None


class Watched(NamedTuple):
    """A stretch that ended at ``time_ns`` and was watched for ``observed_s``, with the stops in it."""

    time_ns: int
    observed_s: float
    stops: int
    total_s: float
    max_s: float
    threshold_s: float | None = None
    source: str | None = None


class Refused(NamedTuple):
    """A line that was not taken: its 1-based number, its text (shortened), and why."""

    number: int
    text: str
    why: str


class Note(NamedTuple):
    """What the reader of an answer should know of how the file was read; each is told once."""

    text: str


Measured: TypeAlias = "Probe | Replies | Stop | Watched"
Found: TypeAlias = "Probe | Replies | Stop | Watched | Refused | Note"


class OtherFormat(UserError):  # noqa: N818 - reads as the statement it is
    """The whole file cannot be what it is said to be."""


def refuse(line: Line, why: str) -> Refused:
    """That line, refused."""
    return Refused(line.number, line.text[:TEXT_SHOWN], why)


def decimal(text: str) -> float:
    """A number as locales write it, 0.5 or 0,5; NaN for what is none."""
    if not text.isascii() or "_" in text:
        return math.nan
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def is_length(seconds: float) -> bool:
    """Whether this can be a round trip or a stop: finite, not negative, at most ``LONGEST_S``."""
    return 0 <= seconds <= LONGEST_S


def is_time(time_ns: float) -> bool:
    """Whether a question can name this time."""
    return EPOCH_NS[0] <= time_ns <= EPOCH_NS[1]
