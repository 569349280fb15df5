"""When a probe is due: spread by a hash of its name, two to a wake, so that few fire together.

Each wake comes to cold caches and costs more than a probe. Two share one: the second's sending delays the
reading of the first one's answer by some 0.1 ms at most.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BESIDE_S = 0.005
GRID_S = 0.25
A_WAKE = 2
FIRST_WITHIN_S = 0.9
"""The first probe comes this soon after the start, whatever the interval."""


def phase(name: str) -> float:
    """A fraction of the interval, 0 to below 1: the same for a name at every start and on every host."""
    digest = hashlib.blake2b(name.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def spread(names: Iterable[str]) -> dict[str, float]:
    """A fraction of the interval for each name, ``A_WAKE`` names to each of as many as that takes."""
    ordered = sorted(set(names), key=phase)
    slots = -(-len(ordered) // A_WAKE)
    return {name: (rank // A_WAKE) / slots for rank, name in enumerate(ordered)}


def grid_start_s(now_s: float) -> float:
    """The start of the beat: beside the grid of the other collectors, so that none delays an answer."""
    return now_s // GRID_S * GRID_S + BESIDE_S


def first_due_s(start_s: float, interval_s: float, share: float) -> float:
    """When the first probe is due, for a phase of ``share``."""
    return start_s + share * min(interval_s, FIRST_WITHIN_S)


def next_due_s(start_s: float, interval_s: float, share: float, now_s: float) -> float:
    """The first of ``start + (share + k) · interval`` that lies half an interval ahead or more.

    Beats that were slept through are left out, never made up for.
    """
    beats = math.ceil((now_s + interval_s / 2 - start_s) / interval_s - share)
    return start_s + (share + max(0, beats)) * interval_s
