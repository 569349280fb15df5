"""VM generation id: the kernel announces by a uevent that this guest was restored from a snapshot.

Source: Linux, drivers/virt/vmgenid.c, which sends NEW_VMGENID=1 over NETLINK_KOBJECT_UEVENT.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

DRIVER = Path("/sys/bus/acpi/drivers/vmgenid")
PLATFORM_DRIVER = Path("/sys/bus/platform/drivers/vmgenid")
_NETLINK_KOBJECT_UEVENT = 15
_KERNEL_GROUP = 1
_ROOM = 8192
_MOST_AT_ONCE = 1000


def is_restore(message: bytes) -> bool:
    """Whether a uevent's text (``action@path``, then NUL-separated KEY=VALUE) tells of a new generation."""
    return b"NEW_VMGENID=1" in message.split(b"\0")[1:]


def is_present(drivers: tuple[Path, ...] = (DRIVER, PLATFORM_DRIVER)) -> bool:
    """Whether this host has a generation id that its kernel watches."""
    return any(
        entry.is_symlink() and entry.name != "module"
        for driver in drivers
        if driver.is_dir()
        for entry in driver.iterdir()
    )


class UeventSocket:
    """The kernel's uevents. Raises OSError when the kernel refuses."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _NETLINK_KOBJECT_UEVENT
        )
        try:
            self._socket.bind((0, _KERNEL_GROUP))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def take(self) -> list[bytes]:
        """The messages that the kernel sent since; under a flood some are lost."""
        messages = []
        for _ in range(_MOST_AT_ONCE):
            try:
                message, (sender, _) = self._socket.recvfrom(_ROOM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue
                raise
            if sender == 0:  # anybody may send to the group; the kernel alone has no process id
                messages.append(message)
        return messages

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
