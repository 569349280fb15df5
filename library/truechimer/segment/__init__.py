"""The shared segment: the agent's bound on true time, for every program of the host (docs/segment.md).

A small file under the runtime directory, rewritten in place once a second under a sequence lock: the
generation is odd while the body is being written, and a CRC-32 guards the body beside it. Both sides
use ``pread``/``pwrite`` rather than a mapping, so that nobody gets SIGBUS from a file cut short; readers
in other languages may map it.

::

    BadSegment (DecodeError, exit 3)
    ├── TruncatedSegment   shorter than its format
    ├── ForeignSegment     not ours
    ├── FutureSegment      of a version that this library does not know
    └── TornSegment        still half-written after all retries
"""

from truechimer.segment.layout import (
    MAGIC,
    SIZE,
    VERSION,
    BadSegment,
    ForeignSegment,
    FutureSegment,
    Published,
    TornSegment,
    TruncatedSegment,
    check_header,
    decode_body,
    encode_body,
)
from truechimer.segment.places import RUNTIME_DIR, RUNTIME_VARIABLE, SEGMENT_NAME, default_segment
from truechimer.segment.reader import SegmentReader, Snapshot
from truechimer.segment.writer import SegmentWriter

__all__ = [
    "MAGIC",
    "RUNTIME_DIR",
    "RUNTIME_VARIABLE",
    "SEGMENT_NAME",
    "SIZE",
    "VERSION",
    "BadSegment",
    "ForeignSegment",
    "FutureSegment",
    "Published",
    "SegmentReader",
    "SegmentWriter",
    "Snapshot",
    "TornSegment",
    "TruncatedSegment",
    "check_header",
    "decode_body",
    "default_segment",
    "encode_body",
]
