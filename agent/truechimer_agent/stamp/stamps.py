"""S in ns to NTP's 64-bit timestamps and back, with the rounding said (RFC 5905 section 6).

Both sides may be off by up to an era: S is unfolded to what lies nearest to a given S.
"""

from __future__ import annotations

NS = 1_000_000_000
_UNIX_EPOCH_S = 2_208_988_800
_EPOCH_UNITS = _UNIX_EPOCH_S << 32
_MASK = (1 << 64) - 1
_ERA_NS = NS << 32


def stamp_down(steady_ns: int) -> int:
    """The latest timestamp that is no later than S; the era is dropped."""
    return (steady_ns << 32) // NS + _EPOCH_UNITS & _MASK


def stamp_up(steady_ns: int) -> int:
    """The earliest timestamp that is no earlier than S; the era is dropped."""
    return _EPOCH_UNITS - (-steady_ns << 32) // NS & _MASK


def ns_down(stamp: int, near_ns: int) -> int:
    """S in whole ns no later than a timestamp, in the era that brings it within 68 years of ``near_ns``."""
    return _unfold((stamp - _EPOCH_UNITS) * NS >> 32, near_ns)


def ns_up(stamp: int, near_ns: int) -> int:
    """S in whole ns no earlier than a timestamp, in the era that brings it within 68 years of ``near_ns``."""
    return _unfold(-((_EPOCH_UNITS - stamp) * NS >> 32), near_ns)


def _unfold(ns: int, near_ns: int) -> int:
    half_ns = _ERA_NS // 2
    return near_ns + (ns - near_ns + half_ns) % _ERA_NS - half_ns
