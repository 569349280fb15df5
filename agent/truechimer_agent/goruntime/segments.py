"""Where a program keeps its own variables: the writable parts of the executable, from /proc/PID/maps. Pure.

Source: proc_pid_maps(5). The runtime's counters are in .noptrbss, in the nameless memory that follows the
file's last writable part; Go's heap is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

_MOST = 64


@dataclass(frozen=True, slots=True)
class Segment:
    """Addresses from ``start`` to before ``end``."""

    start: int
    end: int


def writable_segments(maps: str, executable: str) -> tuple[Segment, ...]:
    """The readable and writable mappings of ``executable`` (as /proc/PID/exe names it), and what adjoins.

    Adjoining ones are joined; the last first, as the counters lie near the end. Lines that cannot be of
    this file are passed over; at most 64 are returned.
    """
    wanted = executable.replace("\n", "\\012")
    found: list[Segment] = []
    previous_end = 0  # of a mapping that a nameless one may be the tail of
    for line in maps.split("\n"):
        fields = line.split(None, 5)
        start, _, end = fields[0].partition("-") if len(fields) >= 5 else ("", "", "")
        try:
            first, last = int(start, 16), int(end, 16)
        except ValueError:
            continue
        if not 0 <= first < last < 1 << 63:
            continue
        name = fields[5] if len(fields) > 5 else ""
        is_tail = first == previous_end and (not name or name.startswith(("[anon", "[heap]")))
        previous_end = last if name == wanted or is_tail else 0
        if (name == wanted or is_tail) and fields[1].startswith("rw"):
            if found and found[-1].end == first:
                found[-1] = Segment(found[-1].start, last)
            else:
                found.append(Segment(first, last))
    return tuple(reversed(found[-_MOST:]))
