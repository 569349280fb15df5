"""When a probe is due: spread by a hash of its name, so that probes of one interval do not fire together."""

from __future__ import annotations

import hashlib
import math

FIRST_WITHIN_S = 0.9
"""The first probe comes this soon after the start, whatever the interval."""


def phase(name: str) -> float:
    """A fraction of the interval, 0 to below 1: the same for a name at every start and on every host."""
    digest = hashlib.blake2b(name.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def first_due_s(start_s: float, interval_s: float, share: float) -> float:
    """When the first probe is due, for a phase of ``share``."""
    return start_s + share * min(interval_s, FIRST_WITHIN_S)


def next_due_s(start_s: float, interval_s: float, share: float, now_s: float) -> float:
    """The first of ``start + (share + k) · interval`` that lies half an interval ahead or more.

    Beats that were slept through are left out, never made up for.
    """
    beats = math.ceil((now_s + interval_s / 2 - start_s) / interval_s - share)
    return start_s + (share + max(0, beats)) * interval_s
