"""Finding records in bytes by their content: pure.

A record begins with the wall time of the last collection in ns since 1970, whose two highest bytes stay the
same for 2⁴⁸ ns (3.3 days): a search for two bytes runs at the speed of memory, and little is left to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_agent.goruntime import mstats

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_NS = 86_400 * 1_000_000_000
_MOST_TOPS = 5


def high_bytes(wall_ns: int, age_ns: int) -> tuple[bytes, ...]:
    """The two highest bytes, little-endian, that the end of a last collection can have; likeliest first.

    From a day ahead (the clock may have been set back since) to when the process began, 16 days back at most:
    a runtime collects every two minutes unless it was told not to.
    """
    newest = max(wall_ns + DAY_NS, 0) >> 48
    oldest = max(newest - _MOST_TOPS + 1, max(wall_ns - age_ns - DAY_NS, 0) >> 48, 1)
    likeliest = max(wall_ns, 0) >> 48
    tops = [likeliest] + [top for top in range(newest, oldest - 1, -1) if top != likeliest]
    return tuple((top & 0xFFFF).to_bytes(2, "little") for top in tops)


def places(data: bytes | bytearray, length: int, tops: tuple[bytes, ...]) -> Iterator[int | None]:
    """Offsets below ``length`` (multiples of 8) where a record may be that lies whole in ``data``.

    None for every place that was looked at in vain, so that the caller can stop paying for it. ``data``
    begins at an address that is a multiple of 8.
    """
    offsets = min(length, len(data) - mstats.SIZE + 1)
    if offsets <= 0:
        return
    end = offsets + 7
    for top in tops:
        at = data.find(top, 6, end)
        while at >= 0:
            offset = at - 6
            # Paused for less than two years in all: nearly all arrays of times are told from records by this.
            if not offset & 7 and not data[offset + 15] and mstats.is_settled(data, offset):
                yield offset
            else:
                yield None
            at = data.find(top, at + 1, end)
