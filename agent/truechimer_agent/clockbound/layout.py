"""The two layouts of ClockBound's segment, in the host's byte order.

Source: github.com/aws/clock-bound, docs/PROTOCOL.md and clock-bound-shm/src of its releases 1.0 and 2.0.
That page prints the magic as the bytes 41 4d 5a 4e 43 42 02 00; what is in memory, and what clients
compare, are the u32 0x414D5A4E and 0x43420200.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

NS = 1_000_000_000
MAGIC = (0x414D5A4E, 0x43420200)
HEADER = struct.Struct("=IIIHH")  # magic, size, version, generation
GENERATION = struct.Struct("=H")
GENERATION_AT = 14
BODY_AT = HEADER.size
LAST_GENERATION = 0xFFFF
DRIFT_LIMIT_PPB = 1_000_000_000
"""Clients refuse a segment that claims so much drift or more."""


class Status(IntEnum):
    """Clients may trust the interval in SYNCHRONIZED and FREE_RUNNING."""

    UNKNOWN = 0
    SYNCHRONIZED = 1
    FREE_RUNNING = 2
    DISRUPTED = 3


@dataclass(frozen=True, slots=True)
class ErrorBound:
    """|UTC − W| is at most ``bound_ns`` + ``max_drift_ppb`` · age.

    The age is that of ``as_of_ns`` by CLOCK_MONOTONIC_COARSE. ``disruption_marker`` None: clients do not
    look at the VM's clock.
    """

    as_of_ns: int
    void_after_ns: int
    bound_ns: int
    max_drift_ppb: int
    status: Status
    disruption_marker: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """One version: ``body`` begins at byte 16."""

    version: int
    body: struct.Struct

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return BODY_AT + self.body.size

    def header(self, generation: int) -> bytes:
        """The first 16 bytes."""
        return HEADER.pack(*MAGIC, self.size, self.version, generation)

    def encode(self, bound: ErrorBound) -> bytes:
        """The body. Version 1 has no disruption marker, and no Disrupted: its clients know codes to 2."""
        times = (*divmod(bound.as_of_ns, NS), *divmod(bound.void_after_ns, NS), bound.bound_ns)
        if self.version == 1:
            status = Status.UNKNOWN if bound.status is Status.DISRUPTED else bound.status
            return self.body.pack(*times, bound.max_drift_ppb, 0, status)
        marker = bound.disruption_marker
        return self.body.pack(*times, marker or 0, bound.max_drift_ppb, bound.status, marker is not None)

    def decode(self, raw: bytes) -> ErrorBound:
        """What a whole file of this version says. Raises ValueError for an unknown status."""
        as_of_s, as_of_ns, void_s, void_ns, bound_ns, *rest = self.body.unpack_from(raw, BODY_AT)
        if self.version == 1:
            drift_ppb, _, status = rest
            marker = None
        else:
            number, drift_ppb, status, has_marker = rest
            marker = number if has_marker else None
        return ErrorBound(
            as_of_s * NS + as_of_ns, void_s * NS + void_ns, bound_ns, drift_ppb, Status(status), marker
        )

    def generation_of(self, raw: bytes) -> int | None:
        """The generation of a whole file of this version and size; None when it is anything else."""
        if len(raw) != self.size:
            return None
        *magic, size, version, generation = HEADER.unpack_from(raw)
        if (*magic, size, version) != (*MAGIC, self.size, self.version):
            return None
        return int(generation)


# As of s and ns, void after s and ns, bound ns, then
V1 = Layout(1, struct.Struct("=qqqqqIIi4x"))  # drift ppb, reserved, status
V2 = Layout(2, struct.Struct("=qqqqqQIiB7x"))  # disruption marker, drift ppb, status, disruption support


def while_writing(generation: int) -> int:
    """The odd generation that says: half-written. After a writer that died in the act it stays."""
    return generation if generation % 2 else generation + 1


def when_written(generation: int) -> int:
    """The even generation after an odd one; never 0, which says that there is nothing yet."""
    return 2 if generation == LAST_GENERATION else generation + 1
