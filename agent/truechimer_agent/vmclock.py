"""The disruption marker of a VM's clock: a number that changes when the guest was restored or migrated.

Source: Linux include/uapi/linux/vmclock-abi.h. Little-endian: magic, size, version, counter, time type and
sequence count (odd while the hypervisor writes) in 16 bytes, then the marker.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

VMCLOCK = Path("/dev/vmclock0")
_MAGIC = 0x4B4C4356
_VERSION = 1
_HEAD = struct.Struct("<IIHBBIQ")
_TRIES = 10


def read_marker(path: Path = VMCLOCK) -> int | None:
    """The marker; None without a VM clock that can be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _settled(file)
    except OSError:
        return None
    finally:
        os.close(file)


def _settled(file: int) -> int | None:
    for _ in range(_TRIES):
        raw = os.pread(file, _HEAD.size, 0)
        if len(raw) < _HEAD.size:
            return None
        magic, _, version, _, _, sequence, marker = _HEAD.unpack(raw)
        if (magic, version) != (_MAGIC, _VERSION):
            return None
        if sequence % 2 == 0 and os.pread(file, _HEAD.size, 0) == raw:
            return int(marker)
    return None
