"""VMClock: a page that the hypervisor writes and /dev/vmclock0 lets everybody read.

Its disruption marker changes when the guest's clocks were disrupted: by a live migration or a restore.
Source: Linux, include/uapi/linux/vmclock-abi.h.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from truechimer.errors import DecodeError

DEVICE = Path("/dev/vmclock0")
MAGIC = 0x4B4C4356
VERSION = 1
# magic, size, version, counter id, time type, sequence, disruption marker.
_PAGE = struct.Struct("<IIHBBIQ")
_TRIES = 100


def parse_marker(page: bytes) -> int | None:
    """The disruption marker; None while the hypervisor is writing (its sequence is odd).

    Raises DecodeError for what is no such page, or of another version.
    """
    if len(page) < _PAGE.size:
        raise DecodeError(f"a vmclock page has at least {_PAGE.size} bytes, this has {len(page)}")
    magic, _, version, _, _, sequence, marker = _PAGE.unpack_from(page)
    if magic != MAGIC:
        raise DecodeError(f"no vmclock page: its magic is {magic:#x}")
    if version != VERSION:
        raise DecodeError(f"a vmclock page of version {version}, this agent reads {VERSION}")
    return None if sequence & 1 else int(marker)


class VmClock:
    """Reads the marker. Raises OSError when the device cannot be read, DecodeError when it is no VMClock."""

    def __init__(self, device: Path = DEVICE) -> None:
        self._file = os.open(device, os.O_RDONLY | os.O_CLOEXEC)

    def marker(self) -> int | None:
        """The disruption marker; None when the page was being written at every try."""
        for _ in range(_TRIES):
            page = os.pread(self._file, _PAGE.size, 0)
            marker = parse_marker(page)
            if marker is not None and os.pread(self._file, _PAGE.size, 0) == page:
                return marker
        return None

    def close(self) -> None:
        """Let go of the device."""
        os.close(self._file)
